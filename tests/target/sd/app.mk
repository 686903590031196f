# SPDX-License-Identifier: Apache-2.0
# Reads and writes an SD card, whatever controller the machine has.
FEATURES := block
CFLAGS   := -Itests/target
