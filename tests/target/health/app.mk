# SPDX-License-Identifier: Apache-2.0
# Says how it is, then does what it is told to, which is mostly bad for it.
FEATURES := ota
