# SPDX-License-Identifier: Apache-2.0
# Takes all memory there is, and looks where it was.
FEATURES :=
CFLAGS   := -Iarch-aarch64/include -Itests/target
