# SPDX-License-Identifier: Apache-2.0
# The server that `make bench` measures.
FEATURES := net
