# SPDX-License-Identifier: Apache-2.0
# The files of net/: obj-y always, obj-$(FEAT_...) with a feature (features.mk).
