# SPDX-License-Identifier: Apache-2.0
# The server on lwIP's raw API that `make bench` measures.
FEATURES := net
