# SPDX-License-Identifier: Apache-2.0
# Every Raspberry Pi in QEMU: 10 or later, with the tree of Debian's kernel package. A board.mk says
# qemu_machine and tree.

qemu       := build/deps/qemu10/bin/qemu-system-aarch64
# Single: the parked CPUs do not take the host's from the one that has work.
qemu_flags  = -M $(qemu_machine) -accel tcg,thread=single -dtb $(qemu_tree) $(qemu_block_$(qemu_has_disk))
qemu_block_y = -drive if=sd,format=raw,file=$(qemu_disk)

# The tree's stdout-path is serial1, the mini-UART: QEMU's second.
qemu_console = -serial null -serial $(1)

run debug: build/deps/qemu10/.ready build/deps/dtbs/.ready

qemu_boot_uboot = -kernel $(uboot) -append '$(ARGS)'

# Fresh seeds, as the firmware adds them. QEMU's watchdog resets at once when it is started, which
# U-Boot does: it is hidden there.
qemu_tree := build/uboot/$(BOARD).dtb
run debug: $(qemu_tree)
$(qemu_tree): build/deps/dtbs/.ready FORCE | $(setup)
	@mkdir -p $(@D)
	@cp build/deps/dtbs/broadcom/$(tree).dtb $@
	@fdtput -t bx $@ /chosen kaslr-seed `od -An -v -tx1 -N8 /dev/urandom`
	@fdtput -t bx $@ /chosen rng-seed `od -An -v -tx1 -N64 /dev/urandom`
	$(if $(filter uboot,$(BOOT)),@fdtput -t s $@ /soc/watchdog@7e100000 status disabled)

load_address := 0x200000

# One U-Boot for all of them.
uboot_name := rpi
