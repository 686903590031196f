# SPDX-License-Identifier: Apache-2.0
# The files of drivers/: obj-y always, obj-$(FEAT_...) with a feature (features.mk).
