# SPDX-License-Identifier: Apache-2.0
# qemu-system-aarch64 -M virt: what `make run` and `make debug` boot.

PORT ?= 8080

# maxcpus: QEMU before 8.1 leaves out the guest's memory barriers where there can be one CPU only (its
# tcg_gen_mb), and virtio's notifications get lost now and then.
qemu_flags = -M virt -cpu cortex-a72 -smp 1,maxcpus=2 -m 128M -global virtio-mmio.force-legacy=false \
	$(qemu_net_$(or $(FEAT_NET),n)) $(qemu_rng_$(FEAT_RNG)) $(qemu_block_$(qemu_has_disk))

qemu_net_y   = -netdev user,id=net0,hostfwd=tcp:127.0.0.1:$(PORT)-:80 \
	-device virtio-net-device,netdev=net0
qemu_net_n   = -nic none
qemu_rng_y   = -device virtio-rng-device
qemu_block_y = -drive if=none,id=disk0,format=raw,file=$(qemu_disk) \
	-device virtio-blk-device,drive=disk0

qemu_console = -serial $(1)

# There is no firmware that would pass bootargs on. The watchdog is for images with feature ota.
qemu_boot_uboot = -bios $(uboot) -device i6300esb -action watchdog=reset $(if $(ARGS),$(error With BOOT=uboot QEMU virt takes no ARGS))

# Of which U-Boot its disk has.
uboot_name := qemu-virt

# Where QEMU loads the image; with `nokaslr` it stays there.
load_address := 0x40200000
