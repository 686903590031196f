# SPDX-License-Identifier: Apache-2.0
# The scheduler and what threads rely on.
FEATURES :=
CFLAGS   := -Itests/target
