# SPDX-License-Identifier: Apache-2.0
# The files of kernel/: obj-y always, obj-$(FEAT_...) with a feature (features.mk).
obj-y += kernel/dt.o
