# SPDX-License-Identifier: Apache-2.0
# Shows what main() was given, and ends as its last argument says.
FEATURES :=
