# SPDX-License-Identifier: Apache-2.0
# epoll and what it waits for; the same source runs on Linux.
FEATURES :=
CFLAGS   := -Itests/target
