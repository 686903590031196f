# SPDX-License-Identifier: Apache-2.0
# The other end of the system tests: takes, sends and counts what they ask for.
FEATURES := net http
