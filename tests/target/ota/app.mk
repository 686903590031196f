# SPDX-License-Identifier: Apache-2.0
# Updates itself from its second disk.
FEATURES := ota
