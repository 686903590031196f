# SPDX-License-Identifier: Apache-2.0
# Target tests in one image, for every machine (tests/system/test_same_bytes.py).
FEATURES := net http block rng gpio
CFLAGS   := -Itests/target -Iarch-aarch64/include
