# SPDX-License-Identifier: Apache-2.0
# Raspberry Pi 4 Model B.
qemu_machine := raspi4b
tree         := bcm2711-rpi-4-b
include boards/rpi/qemu.mk
