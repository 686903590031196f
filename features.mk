# SPDX-License-Identifier: Apache-2.0
# What an app may ask for by `FEATURES :=` in its app.mk, and what each feature needs.
# A feature chooses files: `obj-$(FEAT_NET) += ...` in the files.mk lists.

features := net http block rng

needs_http := net
needs_net  := rng

# Every feature asked for, with everything those need in turn.
closure = $(sort $(1) $(foreach f,$(1),$(call closure,$(needs_$(f)))))
