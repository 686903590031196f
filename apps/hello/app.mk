# SPDX-License-Identifier: Apache-2.0
# The smallest app: no features at all.
FEATURES :=
