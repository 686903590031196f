# SPDX-License-Identifier: Apache-2.0
# A router between two networks: forwarding, NAT, a stateful filter.
FEATURES := net http config
OMIT     := ipv6   # nothing would filter it
