# SPDX-License-Identifier: Apache-2.0
# Gives memory to a device and takes it back; the device is played by this program.
FEATURES :=
CFLAGS   := -Itests/target
