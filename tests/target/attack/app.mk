# SPDX-License-Identifier: Apache-2.0
# Does one thing that must not be possible, the one that argv[1] names.
FEATURES :=
