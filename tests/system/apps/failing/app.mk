# SPDX-License-Identifier: Apache-2.0
# An image that fails its trial, in a way that its version's PATCH says.
FEATURES := http ota
