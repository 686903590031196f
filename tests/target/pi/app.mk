# SPDX-License-Identifier: Apache-2.0
# What a Raspberry Pi has of its own: firmware calls, lines and LEDs, random numbers, the watchdog.
FEATURES := rng gpio
CFLAGS   := -Itests/target
