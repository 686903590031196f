# SPDX-License-Identifier: Apache-2.0
# What every machine has: interrupts, timer, console, clock, power.
FEATURES :=
CFLAGS   := -Itests/target
