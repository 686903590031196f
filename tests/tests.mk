# SPDX-License-Identifier: Apache-2.0
# make test and its parts. tools/testrun counts and prints the last line.

.PHONY: test test-host test-static test-target test-system host-tests
test: | setup-test
	@tools/testrun host static target system
test-host test-static test-target test-system: | setup-test
	@tools/testrun $(@:test-%=%)

.PHONY: setup-test
setup-test:
	@tools/setup test

# Power cuts, at length.
.PHONY: test-powercut
test-powercut: | setup-test
	@$(MAKE) --no-print-directory build/host/powercut_sweep
	POWER_CUTS=400 MODEL_CASES=500 /usr/bin/python3 -B -m pytest -p no:cacheprovider -q -s \
		tests/system/test_power_cuts.py tests/system/test_uboot_model.py
	build/host/powercut_sweep all

# Damaged images through the real U-Boot, at length.
.PHONY: test-bad-images
test-bad-images: | setup-test
	BAD_IMAGES=300 /usr/bin/python3 -m pytest -p no:cacheprovider -s tests/system/test_bad_images.py

# Host tests: the pure modules, natively, under the sanitizers. tests/host/host.mk lists them:
#   HOST_TESTS += dt
#   dt_SRCS := kernel/dt.c           files tested, paths from the root of the repository
#   dt_CFLAGS, dt_LIBS               more flags, if it takes any
#   dt_NEEDS := dtbs                 of tools/deps, if any (libraries come by themselves)
include tests/host/host.mk

host-tests: $(HOST_TESTS:%=build/host/test_%)
.PHONY: list-host-tests
list-host-tests:
	@echo $(HOST_TESTS)

# The pinned libraries that any of $(1) lies in.
libraries_in = $(foreach l,$(libraries),$(if $(findstring $(l),$(1)),$(l)/.ready))

define host_test
$(1)_objs := $(patsubst %.c,build/host/$(1)/%.o,tests/host/test_$(1).c $($(1)_SRCS))

build/host/$(1)/%.o: %.c Makefile cross.mk tests/tests.mk tests/host/host.mk \
		| $(call libraries_in,$($(1)_SRCS) $($(1)_CFLAGS)) $($(1)_NEEDS:%=build/deps/%/.ready)
	@mkdir -p $$(@D)
	$$(call say,HOSTCC,$$<)
	$$(Q)$(HOSTCC) $(host_flags) $($(1)_CFLAGS) $$(if $$(filter build/deps/%,$$<),-w) \
		-MMD -MP -c -o $$@ $$<

build/host/test_$(1): $$($(1)_objs)
	$$(call say,HOSTLD,$$@)
	$$(Q)$(HOSTCC) $(host_flags) -o $$@ $$^ -lcmocka $($(1)_LIBS)

-include $$($(1)_objs:.o=.d)
endef
$(foreach t,$(HOST_TESTS),$(eval $(call host_test,$(t))))
