# SPDX-License-Identifier: Apache-2.0
# make test and its parts. tools/testrun counts and prints the last line.

.PHONY: test test-host test-static test-target test-system host-tests
test: | setup-test
	@tools/testrun host static target system
test-host test-static test-target test-system:
	@tools/testrun $(@:test-%=%)

.PHONY: setup-test
setup-test:
	@tools/setup test

# Host tests: the pure modules, natively, under the sanitizers. tests/host/host.mk lists them:
#   HOST_TESTS += dt
#   dt_SRCS := kernel/dt.c           files tested, paths from the root of the repository
#   dt_CFLAGS, dt_LIBS, dt_NEEDS     optional; NEEDS are made first (dtbs, $(libfdt)/.ready)
include tests/host/host.mk

.PHONY: list-host-tests
list-host-tests:
	@echo $(HOST_TESTS)

host-tests: $(HOST_TESTS:%=build/host/test_%)

build/host/test_%: tests/host/test_%.c $$($$*_SRCS) Makefile cross.mk tests/host/host.mk | $$($$*_NEEDS)
	@mkdir -p $(@D)
	$(call say,HOSTCC,$@)
	$(Q)$(HOSTCC) $(host_flags) $($*_CFLAGS) -MMD -MP -MT $@ -o $@ $< $($*_SRCS) -lcmocka $($*_LIBS)

-include $(wildcard build/host/*.d)
