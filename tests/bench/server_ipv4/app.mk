# SPDX-License-Identifier: Apache-2.0
# The server that `make bench` measures, without IPv6: what a trimmed image takes.
FEATURES := net
OMIT     := ipv6
