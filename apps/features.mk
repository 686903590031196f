# SPDX-License-Identifier: Apache-2.0
# What an app may ask for by `FEATURES :=` in its app.mk, and what each feature needs in turn.
# A feature chooses files: `obj-$(FEAT_NET) += ...` in each folder's files.mk. What another feature
# needs and an app can do without, its app.mk may leave out by `OMIT :=`.

features  := net http block config ota rng gpio
omissible := ipv6

net_needs    := rng ipv6
http_needs   := net
config_needs := block
ota_needs    := config

# FEAT_NET := y and so on, for $(1) and all that it needs.
define choose
FEAT_$(shell echo $(1) | tr a-z A-Z) := y
$(foreach f,$(filter-out $(OMIT),$($(1)_needs)),$(call choose,$(f)))
endef
