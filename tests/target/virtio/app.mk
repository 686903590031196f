# SPDX-License-Identifier: Apache-2.0
# Disks and random bytes, over whatever virtio the machine has.
FEATURES := block rng
CFLAGS   := -Itests/target
