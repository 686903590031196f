# SPDX-License-Identifier: Apache-2.0
# What is on a disk besides the image: U-Boot, keys, the signed image, and the disk itself.

# --- Keys -------------------------------------------------------------------------------------
# KEYS=folder (tools/keys.py says what is in it). The default is not in the repository's history, and
# `make clean` leaves it alone.

KEYS     ?= keys
key_blob := build/uboot/keys.dtb

.PHONY: keys
keys: | $(setup)
	@tools/keys.py new $(KEYS)

# Development keys are made when the default folder is not there, which tools/keys.py says.
keys/current.pub: | $(setup)
	@tools/keys.py new $(@D)

$(key_blob): $(KEYS)/current.pub tools/keys.py FORCE
	@tools/keys.py blob $(KEYS) $@

# What an image with the feature `ota` verifies updates with.
$(obj)/keys.c: $(KEYS)/current.pub tools/keys.py FORCE | $(setup)
	@tools/keys.py source $(KEYS) $@

$(obj)/keys.o: $(obj)/keys.c $(rules) | $(first)
	$(Q)$(CC) $(c_flags) $(warnings) -c -o $@ $<

# --- U-Boot -----------------------------------------------------------------------------------
# build/uboot/<name>/u-boot.bin, from boards/<name>/uboot.config and uboot.env.

uboots      := $(patsubst boards/%/uboot.config,%,$(wildcard boards/*/uboot.config))
uboot_src   := $(call dep,uboot)

# U-Boot's make has a BOARD of its own: it is not to inherit ours.
MAKEOVERRIDES :=
# One make at a time: it knows nothing of another one in the same folder.
uboot_make = flock build/uboot/.lock $(MAKE) -C $(uboot_src) O=$(abspath $(@D)) \
	CROSS_COMPILE=$(CROSS) --no-print-directory $(if $(V),,-s) \
	KBUILD_BUILD_USER=pith KBUILD_BUILD_HOST=pith SOURCE_DATE_EPOCH=0
uboot_base_qemu-virt := qemu_arm64_defconfig
uboot_base_rpi       := rpi_arm64_defconfig

.PHONY: uboot
uboot: $(uboots:%=build/uboot/%/u-boot.bin)

$(uboots:%=build/uboot/%/boot.env): build/uboot/%/boot.env: boards/%/uboot.env boards/boot.env
	@mkdir -p $(@D)
	@cat $^ > $@

# As old as its unpacking, which is only done again when something is different.
$(uboot_src)/Makefile: | $(uboot_src)/.ready ;

# It names files by their whole paths: in a tree that was moved or copied it is made anew.
$(uboots:%=build/uboot/%/.config): build/uboot/%/.config: boards/uboot.config \
		boards/%/uboot.config $(uboot_src)/Makefile \
		$(if $(shell grep -Lsw '$(CURDIR)/build/uboot' build/uboot/*/.config),FORCE)
	$(call say,CONFIG,build/uboot/$*)
	@mkdir -p $(@D)
	$(Q)$(uboot_make) $(uboot_base_$*) < /dev/null
	@cat boards/uboot.config boards/$*/uboot.config > $(@D)/pith.config
	@printf 'CONFIG_%s="%s"\n' DEFAULT_ENV_FILE '$(abspath $(@D))/boot.env' \
		FIT_KEY_BLOB '$(abspath $(key_blob))' >> $(@D)/pith.config
	$(Q)cd $(@D) && $(abspath $(uboot_src))/scripts/kconfig/merge_config.sh -m .config pith.config \
		> merge.log
	$(Q)$(uboot_make) olddefconfig < /dev/null

# fit-keys.o is made of a file that U-Boot's make does not know of.
$(uboots:%=build/uboot/%/u-boot.bin): build/uboot/%/u-boot.bin: build/uboot/%/.config \
		build/uboot/%/boot.env $(key_blob)
	$(call say,UBOOT,$@)
	@rm -f $(@D)/boot/fit-keys.o
	$(Q)$(uboot_make) u-boot.bin < /dev/null
	@touch $@

# --- The signed image -------------------------------------------------------------------------
# SIGN=key signs with another key than KEYS/current.pem: a file, or a PKCS#11 URI. Signed anew each
# time, since the answer may have changed (RELEASE=1); the same input gives the same bytes.

fit := $(build)/$(app).itb

.PHONY: fit
fit: $(fit)

$(fit): $(build)/Image dts/image.its.in tools/fit $(key_blob) FORCE
	$(call say,SIGN,$@)
	$(Q)tools/fit $< $@ --product $(app) --version $(VERSION) --keys $(KEYS) \
		$(if $(SIGN),--sign '$(SIGN)')

# One update file for every board; a slot has the same bytes.
update := $(build)/$(app)-$(VERSION).pith

.PHONY: update
update: $(update)
	@echo "$(update) is ready."

$(update): $(fit) tools/update tools/disk.py
	$(call say,UPDATE,$@)
	$(Q)tools/update $< $@ --keys $(KEYS) $(if $(SIGN),--sign '$(SIGN)')

# TOKEN is the device's; without it that of the cards which `make run` boots.
run_token := keys/token

.PHONY: ota
ota: $(update)
	@TOKEN='$(TOKEN)' tools/ota '$(HOST)' $< --token-file $(run_token)

.PHONY: demo-ota
demo-ota: | setup setup-disk
	@tools/demo/ota

# --- The disk ---------------------------------------------------------------------------------
# build/<app>/<board>/sdcard.img. A board.mk says which U-Boot it takes; boot_files are the other
# files of the boot partition, boot_needs what has to be fetched for them.

sdcard   := $(build)/$(BOARD)/sdcard.img
uboot    := build/uboot/$(uboot_name)/u-boot.bin
firmware := $(call dep,raspi-firmware)

boot_needs_rpi := $(firmware)/.ready build/deps/dtbs/.ready
boot_files_rpi  = boards/rpi/config.txt \
	$(addprefix $(firmware)/usr/lib/raspi-firmware/,bootcode.bin start.elf fixup.dat start_cd.elf \
		fixup_cd.dat start4.elf fixup4.dat start4cd.elf fixup4cd.dat) \
	LICENCE.broadcom=$(firmware)/usr/share/doc/raspi-firmware/copyright \
	build/deps/dtbs/broadcom/*-rpi-*.dtb

# With a new card each time: what runs is what was built. Whoever may read the keys may push to it.
ifeq ($(BOOT)$(filter run,$(MAKECMDGOALS)),ubootrun)
CONFIG ?= $(build)/run.txt
run: $(sdcard)
$(sdcard): $(CONFIG)
endif

$(run_token): | $(setup)
	@mkdir -p $(@D)
	@umask 077 && python3 -c 'import secrets; print(secrets.token_hex(16))' > $@

$(build)/run.txt: $(run_token)
	@mkdir -p $(@D)
	@echo token=$$(cat $<) > $@

.PHONY: sdcard flash
sdcard: $(sdcard)
	@echo "$(sdcard) is ready. \`make flash BOARD=$(BOARD) APP=$(APP) DEV=/dev/...\` writes it."

# With `flash`, the configuration goes to the card, not into the image.
$(sdcard): $(update) $(uboot) $(boot_needs_$(uboot_name)) tools/sdcard tools/disk.py FORCE
	$(call say,SDCARD,$@)
	@mkdir -p $(@D)
	$(Q)tools/sdcard $@ --update $(update) $(if $(filter flash,$(MAKECMDGOALS)),, \
		$(CONFIG:%=--config '%')) --boot $(uboot) $(boot_files_$(uboot_name))

flash: $(sdcard)
	$(if $(DEV),,$(error Say which device: make flash DEV=/dev/... (lsblk lists them)))
	@tools/flash $(sdcard) $(DEV) $(CONFIG:%=--config '%')
