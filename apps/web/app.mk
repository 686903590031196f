# SPDX-License-Identifier: Apache-2.0
# The device's own page: what it is and how it is doing.
FEATURES := net http ota
FILES    := www
