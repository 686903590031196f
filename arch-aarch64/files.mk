# SPDX-License-Identifier: Apache-2.0
# The files of arch-aarch64/: obj-y always, obj-$(FEAT_...) with a feature (features.mk).
obj-y += arch-aarch64/pagetable.o
