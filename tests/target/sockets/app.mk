# SPDX-License-Identifier: Apache-2.0
# Sockets over the loopback interface; the same source runs on Linux.
FEATURES := net
CFLAGS   := -Itests/target
