# SPDX-License-Identifier: Apache-2.0
# The files of drivers/: obj-y always, obj-$(FEAT_...) with a feature (apps/features.mk).

obj-y += drivers/gic.o drivers/gicv2.o drivers/gicv3.o
obj-y += drivers/timer.o
obj-y += drivers/pl011.o drivers/uart.o
obj-y += drivers/psci.o
obj-y += drivers/pl031.o

# Raspberry Pi: what every image needs to boot there, and to keep a running watchdog quiet.
obj-y += drivers/bcm2836_l1.o drivers/bcm2835_armctrl.o
obj-y += drivers/bcm2835_gpio.o drivers/bcm2835_mailbox.o drivers/bcm2835_cprman.o
obj-y += drivers/mini_uart.o
obj-y += drivers/bcm2835_pm.o
obj-$(FEAT_GPIO) += drivers/bcm2835_lines.o drivers/raspberrypi_gpio.o drivers/gpio_poweroff.o
obj-$(FEAT_RNG)  += drivers/bcm2835_rng.o drivers/iproc_rng200.o drivers/word_rng.o

# Ethernet of the Raspberry Pi 4.
obj-$(FEAT_NET) += drivers/genet.o drivers/phy.o

# SD cards.
sd_objs := drivers/sd.o drivers/sdhci.o drivers/bcm2835_sdhost.o
obj-$(FEAT_BLOCK) += $(sd_objs)

# Virtio: the transport and the rings with any of their devices.
obj-$(FEAT_NET)   += drivers/virtio_net.o
obj-$(FEAT_BLOCK) += drivers/virtio_blk.o
obj-$(FEAT_RNG)   += drivers/virtio_rng.o
obj-$(or $(FEAT_NET),$(FEAT_BLOCK),$(FEAT_RNG)) += drivers/virtio_mmio.o drivers/virtqueue.o

# What runs at every switch; of other files the functions that are marked FAST (pith/compiler.h).
$(obj)/drivers/timer.o: optimize := -O2

# The watchdog of QEMU virt, where it is told to have one: for what is updated.
obj-$(FEAT_OTA) += drivers/pci_ecam.o drivers/i6300esb.o
