# SPDX-License-Identifier: Apache-2.0
# Latencies that `make bench` reports, alone and under load.
FEATURES := net
