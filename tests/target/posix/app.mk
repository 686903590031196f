# SPDX-License-Identifier: Apache-2.0
# Descriptors, threads, semaphores, streams, bundled files; the same source runs on Linux.
FEATURES :=
FILES    := data
CFLAGS   := -Itests/target
