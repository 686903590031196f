# SPDX-License-Identifier: Apache-2.0
# Walks the live translation tables.
FEATURES :=
CFLAGS   := -Iarch-aarch64/include -Itests/target
