# SPDX-License-Identifier: Apache-2.0
# Pith: one C program, one bootable image. `make help` lists what can be done.
#
# One non-recursive make. An app's app.mk names its features (apps/features.mk); features choose files
# from the lists in each folder (files.mk); everything built goes to build/<app>/.

MAKEFLAGS += --no-builtin-rules --no-builtin-variables
.DELETE_ON_ERROR:

.PHONY: image
image:

# What to boot on, a folder under boards/, and how: `direct` by QEMU's -kernel alone, without boot
# loader, slots or signatures; `uboot` from a card, as the board does it.
BOARD ?= qemu-virt
BOOT  ?= direct
$(if $(wildcard boards/$(BOARD)/board.mk),,$(error There is no board $(BOARD). The boards here: \
	$(patsubst boards/%/board.mk,%,$(wildcard boards/*/board.mk))))
$(if $(filter-out direct uboot,$(BOOT)),$(error BOOT=$(BOOT): there are BOOT=direct and BOOT=uboot))
include cross.mk apps/features.mk tools/deps.lock boards/$(BOARD)/board.mk

# V=1 shows whole commands.
Q   := $(if $(V),,@)
say  = $(if $(V),@true,@printf '  %-8s%s\n' $(1) $(2))

# --- The app ----------------------------------------------------------------------------------
# APP is the name of a folder under apps/, or the path of a folder anywhere.

APP     ?= web
$(if $(word 2,$(CURDIR))$(word 2,$(APP)),$(error make takes no blanks in a path: $(CURDIR), APP=$(APP)))
app_dir := $(abspath $(if $(findstring /,$(APP)),$(APP),apps/$(APP)))
app     := $(notdir $(app_dir))
build   := build/$(app)$(if $(EARLYCON),-earlycon)$(if $(DMA_DEBUG),-dmadebug)
obj     := $(build)/obj

# What an app.mk may say, and what holds when it does not. SRCS and FILES are relative to its folder.
FEATURES :=
OMIT     :=
FILES    :=
CFLAGS   :=
SRCS     := $(patsubst $(app_dir)/%,%,$(wildcard $(app_dir)/*.c))
# In a development build every commit counts as a PATCH: those since the tag vX.Y.Z, or all of them.
tagged   := $(shell git describe --tags --long --match 'v[0-9]*.[0-9]*.[0-9]*' 2>/dev/null | \
	awk -F '[v.-]' '{ printf "%d.%d.%d", $$2, $$3, $$4 + $$5 }')
untagged := 0.1.$(or $(shell git rev-list --count HEAD 2>/dev/null),0)
VERSION  := $(or $(tagged),$(untagged))

# Goals that install what is missing before anything is built.
setup := $(or $(if $(filter keys uboot fit update ota sdcard flash,$(MAKECMDGOALS))$(filter uboot,$(BOOT)),setup-disk), \
	$(if $(filter run debug deps dtbs,$(MAKECMDGOALS)),setup))

# These build no app, so they need none.
other_goals := help setup new test test-powercut test-bad-images test-host host-tests list-host-tests test-static test-target test-system bench bench-linux \
	format lint dtbs deps clean distclean keys uboot demo-ota build/host/% build/deps/% build/uboot/%

ifneq ($(filter-out $(other_goals),$(or $(MAKECMDGOALS),image)),)
$(if $(wildcard $(app_dir)/app.mk),,$(error There is no app in $(app_dir) (no app.mk). The apps \
	here: $(patsubst apps/%/app.mk,%,$(wildcard apps/*/app.mk)). `make new APP=$(APP)` makes one))
$(if $(filter demo-ota deps host test uboot,$(app)),$(error build/$(app)/ has another use: rename the app's folder))
include $(app_dir)/app.mk
VERSION := $(strip $(VERSION))
ifneq ($(filter ota,$(MAKECMDGOALS)),)
$(if $(HOST),,$(error Say which device: make ota APP=$(APP) HOST=<address, or address:port>))
# A development build is later than what the device runs, so that this works twice in a row.
ifeq ($(origin VERSION) $(VERSION),file $(or $(tagged),$(untagged)))
VERSION := $(shell tools/ota '$(HOST)' --next $(VERSION))
$(if $(VERSION),,$(error No update was made))
endif
endif
unknown := $(filter-out $(features),$(FEATURES))
$(if $(unknown),$(error $(app_dir)/app.mk: unknown in FEATURES: $(unknown). There are: $(features)))
unknown := $(filter-out $(omissible),$(OMIT))
$(if $(unknown),$(error $(app_dir)/app.mk: unknown in OMIT: $(unknown). There are: $(omissible)))
$(if $(SRCS),,$(error There is no .c file in $(app_dir)))
$(if $(setup)$(shell command -v python3),,$(error python3 is not installed: `make setup` installs \
	what is missing))
endif

$(foreach f,$(FEATURES),$(eval $(call choose,$(f))))

.PHONY: setup setup-disk
setup:
	@tools/setup run
setup-disk:
	@tools/setup disk

# --- Libraries that are not ours --------------------------------------------------------------
# tools/deps.lock pins them; a files.mk says which it links: deps-$(FEAT_NET) += lwip.

dep         = build/deps/$(1)-$($(1)_version)
lwip        := $(call dep,lwip)
http-parser := $(call dep,http-parser)
mbedtls     := $(call dep,mbedtls)
libfdt      := $(call dep,libfdt)
jsmn        := $(call dep,jsmn)

build/deps/%/.ready: tools/deps tools/deps.lock $(wildcard net/lwip.patch boards/uboot.patch) | $(setup)
	@tools/deps $*

# Their sources come into being by unpacking.
libraries := $(lwip) $(http-parser) $(mbedtls) $(libfdt) $(jsmn)
$(foreach l,$(libraries),$(eval $(l)/%.c: | $(l)/.ready ;))
.PRECIOUS: $(libraries:%=%/%.c)

.PHONY: deps dtbs
deps: $(libraries:%=%/.ready) dtbs build/deps/qemu10/.ready build/deps/nginx/.ready
dtbs: build/deps/dtbs/.ready

# --- Objects ----------------------------------------------------------------------------------

obj-y    :=
deps-y   :=
includes =
flags    =
lists    := $(wildcard */files.mk)
include $(lists)

objs := $(obj)/bundle.o $(obj)/version.o $(SRCS:%.c=$(obj)/app/%.o) $(addprefix $(obj)/,$(obj-y))

# Before any object: the headers of the libraries. Changed rules, pins or patches rebuild everything.
rules := Makefile cross.mk apps/features.mk $(lists) $(app_dir)/app.mk tools/deps.lock $(wildcard net/*.patch)
first := $(foreach d,$(sort $(deps-y)),$(call dep,$(d))/.ready) $(setup)

# A files.mk sets `flags`, `optimize` and `includes` of its own objects: $(obj)/net/%.o: includes += -I$(lwip)
$(obj)/kernel/%.o $(obj)/arch-aarch64/%.o: includes += -Iarch-aarch64/include
$(obj)/build/deps/%.o: warnings := -w
$(obj)/app/%.o: includes += -I$(app_dir)
$(obj)/app/%.o: optimize := -O2
$(obj)/app/%.o $(addprefix $(obj)/,arch-aarch64/early.o arch-aarch64/pagetable.o): lto :=
$(obj)/app/%.o: flags += $(CFLAGS)

$(obj)/%.o: %.c $(rules) | $(first)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(c_flags) $(lto) $(warnings) $(includes) $(flags) -MMD -MP -c -o $@ $<

$(obj)/%.o: %.S $(rules) | $(first)
	@mkdir -p $(@D)
	$(call say,AS,$<)
	$(Q)$(CC) $(asm_flags) $(includes) $(flags) -MMD -MP -c -o $@ $<

$(obj)/app/%.o: $(app_dir)/%.c $(rules) | $(first)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(c_flags) $(warnings) $(includes) $(flags) -MMD -MP -c -o $@ $<

# The app's FILES (pith/bundle.h), and what image this is (pith/machine.h).
$(obj)/bundle.S: tools/bundle $(rules) | $(first)
	@mkdir -p $(@D)
	$(Q)tools/bundle $(app_dir) $@ $(FILES)

$(obj)/bundle.o: $(obj)/bundle.S | $(first)
	$(call say,AS,$<)
	$(Q)$(CC) $(asm_flags) -Wa,-I$(app_dir) -c -o $@ $<

$(obj)/version.c: $(if $(filter-out $(VERSION),$(shell cat $(obj)/version 2>/dev/null)),FORCE) $(rules)
	@mkdir -p $(@D)
	@echo '$(VERSION)' > $(obj)/version
	@printf '%s\n' '#include <pith/machine.h>' \
		'const char image_name[] = "$(app)";' \
		'const char image_version[] = "$(VERSION)";' > $@

$(obj)/version.o: $(obj)/version.c | $(first)
	$(Q)$(CC) $(c_flags) $(warnings) -c -o $@ $<

.PHONY: FORCE
FORCE:

-include $(objs:.o=.d)

# --- The image --------------------------------------------------------------------------------

image: $(build)/Image

# picolibc's printf without doubles is a third as large. Only an app can have any: we print none.
printf = $(if $(shell tools/doubles $(SRCS:%.c=$(obj)/app/%.o)),,-Wl$(comma)--defsym=vfprintf=__i_vfprintf)

# ld 2.40 crashes in the cheap workaround of one erratum (cross.mk) when it has to work around 835769, too
# (as in picolibc's strtol): then the other one, 8 KB larger. What is out of reach in an image of more
# than 1 MiB, large FILES or arrays included, is compiled again with the code model that reaches it.
link = $(CC) $(call link_flags,$(1)) $(printf) -Wl,-T,arch-aarch64/image.lds -Wl,-Map,$(build)/image.map \
	-o $@ $(objs) $(libs)
relink = printf '  %-8s%s\n' RELINK '$@: $(1)'
# Not as $(MAKE) in the recipe, which make would run even when it is asked only to show what it would do.
farther = MAKEFLAGS='$(filter-out -j% --jobserver%,$(MAKEFLAGS))' $(MAKE) --no-print-directory -j2 \
	APP='$(APP)' VERSION='$(VERSION)' model=small obj=$(build)/obj-small

$(build)/image.elf: $(objs) arch-aarch64/image.lds $(lists)
	$(call say,LINK,$@)
	$(Q)LC_ALL=C $(call link,adr) 2>$(build)/link.log || \
	if [ $(model) = tiny ] && grep -q 'relocation truncated to fit' $(build)/link.log; then \
		$(call relink,larger than 1 MiB); \
		$(farther) $@; \
	else \
		$(call relink,see link.log beside it); \
		$(call link,full); \
	fi

$(build)/Image: $(build)/image.elf tools/image
	$(call say,IMAGE,$@)
	$(Q)tools/image $< $@

# The disk is the card when that is booted from.
boot_what_direct = $(build)/Image
boot_what_uboot  = $(sdcard)
qemu_boot_direct = -kernel $(build)/Image -append '$(ARGS)'
qemu_disk        = $(if $(filter uboot,$(BOOT)),$(sdcard),$(build)/disk.img)
qemu_has_disk    = $(if $(filter uboot,$(BOOT)),y,$(FEAT_BLOCK))

.PHONY: run debug size compdb
run: $(build)/Image $(if $(FEAT_BLOCK),$(build)/disk.img) | $(setup)
	@echo "Booting $(boot_what_$(BOOT)) in QEMU.$(if $(and $(FEAT_NET),$(PORT)), Its port 80 is http://localhost:$(PORT)/ (PORT=$(PORT)).)" \
		"To leave, press Ctrl-A, then X."
	@exec $(qemu) $(qemu_flags) -display none $(call qemu_console,mon:stdio) $(qemu_boot_$(BOOT))

# nokaslr keeps the image where it was loaded, so gdb knows where its symbols are.
debug: $(build)/Image $(if $(FEAT_BLOCK),$(build)/disk.img) | setup
	@echo "The console goes to $(build)/console.log."
	@exec gdb-multiarch -q -ex 'set confirm off' \
		-ex 'target remote | exec $(qemu) $(qemu_flags) -display none -monitor none -S \
			$(call qemu_console,file:$(build)/console.log) -kernel $< -append "nokaslr $(ARGS)" -gdb stdio' \
		-ex 'add-symbol-file $(build)/image.elf -o $(load_address)' \
		-ex 'set substitute-path app $(app_dir)' -ex 'directory $(CURDIR)' \
		-ex 'python gdb.events.gdb_exiting.connect(lambda event: gdb.execute("kill"))' \
		-ex 'tbreak main' -ex 'continue'

$(build)/disk.img:
	@truncate -s 64M $@

size: $(build)/Image
	@tools/size $(build)

compdb:
	@$(MAKE) --always-make --dry-run V=1 APP=$(APP) $(build)/image.elf | tools/compdb > compile_commands.json

# --- Disks ------------------------------------------------------------------------------------

include boards/boards.mk

# --- Tests (docs/testing.md) ------------------------------------------------------------------

include tests/tests.mk
-include tests/bench/bench.mk

# --- The rest ---------------------------------------------------------------------------------

.PHONY: new format lint clean distclean help
new:
	$(if $(filter file,$(origin APP)),$(error Say which: make new APP=<name or path>))
	$(if $(wildcard $(app_dir)),$(error $(app_dir) is already there))
	@mkdir -p $(dir $(app_dir)) && cp -r tools/template $(app_dir)
	@echo "$(app_dir) is there: look into main.c and app.mk, then make run APP=$(APP)"

format: | setup-test
	clang-format -i $$(git ls-files '*.c' '*.h')

lint: | setup-test
	@tools/lint

# clean keeps what was downloaded, distclean does not.
clean:
	rm -rf $(filter-out build/deps,$(wildcard build/*)) compile_commands.json
distclean:
	rm -rf build compile_commands.json

help:
	@cat tools/help.txt
