# SPDX-License-Identifier: Apache-2.0
# Updates itself from a second disk, and behaves as the PATCH of its version says.
FEATURES := ota
