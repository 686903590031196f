# SPDX-License-Identifier: Apache-2.0
# Every Raspberry Pi in QEMU: 10 or later, with the tree of Debian's kernel package. A board.mk says
# qemu_machine and tree.

qemu       := build/deps/qemu10/bin/qemu-system-aarch64
# Single: the parked CPUs do not take the host's from the one that has work.
qemu_flags  = -M $(qemu_machine) -accel tcg,thread=single -dtb build/deps/dtbs/broadcom/$(tree).dtb $(qemu_block_$(FEAT_BLOCK))
qemu_block_y = -drive if=sd,format=raw,file=$(build)/disk.img

# The tree's stdout-path is serial1, the mini-UART: QEMU's second.
qemu_console = -serial null -serial $(1)

run debug: build/deps/qemu10/.ready build/deps/dtbs/.ready

load_address := 0x200000

# One U-Boot for all of them.
uboot_name := rpi
