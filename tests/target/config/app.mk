# SPDX-License-Identifier: Apache-2.0
# Prints what the device's configuration says.
FEATURES := net config
