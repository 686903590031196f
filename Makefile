# SPDX-License-Identifier: Apache-2.0
# Pith: one C program, one bootable image. `make help` lists what can be done.
#
# One non-recursive make: an app (apps/<name>/app.mk) names its features, features choose files from
# the lists in each folder (files.mk), and everything ends up in build/<app>/.

MAKEFLAGS += --no-builtin-rules --no-builtin-variables
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all
all: image

include cross.mk features.mk tools/deps.lock

# --- The app ---------------------------------------------------------------------------------
# APP is the name of a folder under apps/, or the path of a folder anywhere.

APP     ?= hello
app_dir := $(abspath $(if $(findstring /,$(APP)),$(APP),apps/$(APP)))
app     := $(notdir $(app_dir))
build   := build/$(app)
obj     := $(build)/obj

FEATURES :=
FILES    :=
CFLAGS   :=
SRCS     := $(patsubst $(app_dir)/%,%,$(wildcard $(app_dir)/*.c))
VERSION  := 0.1.0
include $(app_dir)/app.mk

$(foreach f,$(call closure,$(FEATURES)),$(eval FEAT_$(shell echo $(f) | tr a-z A-Z) := y))

# --- Libraries that are not ours ---------------------------------------------------------------
# tools/deps.lock pins them; an object that needs one names it: deps-$(FEAT_NET) += lwip.

dep         = build/deps/$(1)-$($(1)_version)
lwip       := $(call dep,lwip)
http-parser := $(call dep,http-parser)
mbedtls    := $(call dep,mbedtls)
libfdt     := $(call dep,libfdt)/libfdt

build/deps/%/.ready: tools/deps tools/deps.lock $(wildcard net/lwip.patch)
	@tools/deps $*

# A source file in there comes with the rest.
$(foreach d,lwip http-parser mbedtls libfdt,$(eval $(call dep,$(d))/%.c: | $(call dep,$(d))/.ready ;))

# Debian's arm64 device trees, for the host tests.
.PHONY: dtbs
dtbs:
	@tools/deps dtbs

# --- Which objects ---------------------------------------------------------------------------

obj-y  :=
deps-y :=
include $(wildcard arch-aarch64/files.mk kernel/files.mk drivers/files.mk net/files.mk)

deps := $(foreach d,$(sort $(deps-y)),$(call dep,$(d))/.ready)
objs := $(addprefix $(obj)/,$(obj-y)) $(SRCS:%.c=$(obj)/app/%.o) $(obj)/version.o

# Everything is rebuilt when the rules change.
rules := Makefile cross.mk features.mk $(app_dir)/app.mk | $(deps)

$(obj)/%.o: %.c $(rules)
	@mkdir -p $(@D)
	$(CC) $(c_flags) $(warnings) $(flags) -MMD -MP -c -o $@ $<

$(obj)/%.o: %.S $(rules)
	@mkdir -p $(@D)
	$(CC) $(asm_flags) $(flags) -MMD -MP -c -o $@ $<

$(obj)/app/%.o: $(app_dir)/%.c $(rules)
	@mkdir -p $(@D)
	$(CC) $(c_flags) $(warnings) -I$(app_dir) $(CFLAGS) -MMD -MP -c -o $@ $<

$(obj)/version.c: $(rules)
	@mkdir -p $(@D)
	@printf '%s\n' '#include <pith/machine.h>' \
		'const char image_name[] = "$(app)";' \
		'const char image_version[] = "$(VERSION)";' > $@

$(obj)/version.o: $(obj)/version.c
	$(CC) $(c_flags) $(warnings) -c -o $@ $<

# --- The image -------------------------------------------------------------------------------

lists := $(wildcard */files.mk)
image: $(build)/Image

$(build)/image.elf: $(objs) arch-aarch64/image.lds $(lists)
	$(CC) $(link_flags) -Wl,-T,arch-aarch64/image.lds -Wl,-Map,$(build)/image.map -o $@ \
		$(objs) $(libs)

$(build)/Image: $(build)/image.elf
	$(OBJCOPY) -O binary $< $@

-include $(objs:.o=.d)

# --- Host tests ------------------------------------------------------------------------------
# tests/host/host.mk: HOST_TESTS += name, name_SRCS := files tested, name_CFLAGS, name_LIBS.

-include tests/host/host.mk
host_tests := $(addprefix build/host/test_,$(HOST_TESTS))

.PHONY: test-host
test-host: $(host_tests)
	@for t in $(host_tests); do echo "$$t"; $$t || exit 1; done

.SECONDEXPANSION:
build/host/test_%: tests/host/test_%.c $$($$*_SRCS) Makefile cross.mk tests/host/host.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(host_flags) $($*_CFLAGS) -MMD -MP -MT $@ -o $@ $< $($*_SRCS) -lcmocka $($*_LIBS)

-include $(wildcard build/host/*.d)

.PHONY: clean
clean:
	rm -rf build
