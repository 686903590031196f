# SPDX-License-Identifier: Apache-2.0
# What an app may ask for by `FEATURES :=` in its app.mk, and what each feature needs in turn.
# A feature chooses files: `obj-$(FEAT_NET) += ...` in each folder's files.mk.

features := net http block config ota rng gpio

net_needs    := rng
http_needs   := net
config_needs := block
ota_needs    := config

# FEAT_NET := y and so on, for $(1) and all that it needs.
define choose
FEAT_$(shell echo $(1) | tr a-z A-Z) := y
$(foreach f,$($(1)_needs),$(call choose,$(f)))
endef
