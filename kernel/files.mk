# SPDX-License-Identifier: Apache-2.0
# The files of kernel/: obj-y always, obj-$(FEAT_...) with a feature (features.mk).
obj-y += kernel/dt.o

# Base: console, log, devices, time.
obj-y += kernel/bootargs.o kernel/console.o kernel/driver.o kernel/irq.o kernel/line.o
obj-y += kernel/log.o kernel/machine.o kernel/time.o
obj-y += kernel/page.o kernel/malloc.o kernel/runtree.o
