# SPDX-License-Identifier: Apache-2.0
# Looks for the seeds of the device tree.
FEATURES :=
CFLAGS   := -Itests/target
