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

# --- U-Boot -----------------------------------------------------------------------------------
# build/uboot/<name>/u-boot.bin, from boards/<name>/uboot.config and uboot.env.

uboots      := $(patsubst boards/%/uboot.config,%,$(wildcard boards/*/uboot.config))
uboot_src   := $(call dep,uboot)
uboot_flags  = -C $(uboot_src) O=$(abspath $(@D)) CROSS_COMPILE=$(CROSS) --no-print-directory \
	KBUILD_BUILD_USER=pith KBUILD_BUILD_HOST=pith SOURCE_DATE_EPOCH=0 $(if $(V),,-s)
uboot_base_qemu-virt := qemu_arm64_defconfig
uboot_base_rpi       := rpi_arm64_defconfig

.PHONY: uboot
uboot: $(uboots:%=build/uboot/%/u-boot.bin)

build/uboot/%/boot.env: boards/%/uboot.env boards/boot.env
	@mkdir -p $(@D)
	@cat $^ > $@

build/uboot/%/.config: boards/uboot.config boards/%/uboot.config $(uboot_src)/.ready
	$(call say,CONFIG,build/uboot/$*)
	@mkdir -p $(@D)
	$(Q)$(MAKE) $(uboot_flags) $(uboot_base_$*) < /dev/null
	@cat boards/uboot.config boards/$*/uboot.config > $(@D)/pith.config
	@printf 'CONFIG_%s="%s"\n' DEFAULT_ENV_FILE '$(abspath $(@D))/boot.env' \
		FIT_KEY_BLOB '$(abspath $(key_blob))' >> $(@D)/pith.config
	$(Q)cd $(@D) && $(abspath $(uboot_src))/scripts/kconfig/merge_config.sh -m .config pith.config \
		> merge.log
	$(Q)$(MAKE) $(uboot_flags) olddefconfig < /dev/null

# fit-keys.o is made of a file that U-Boot's make does not know of.
build/uboot/%/u-boot.bin: build/uboot/%/.config build/uboot/%/boot.env $(key_blob)
	$(call say,UBOOT,$@)
	@rm -f $(@D)/boot/fit-keys.o
	$(Q)$(MAKE) $(uboot_flags) u-boot.bin < /dev/null
	@touch $@
