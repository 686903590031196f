# SPDX-License-Identifier: Apache-2.0
# Raspberry Pi 3 Model B.
qemu_machine := raspi3b
tree         := bcm2837-rpi-3-b
include boards/rpi/qemu.mk
