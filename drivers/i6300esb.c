/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watchdog of Intel's 6300ESB I/O controller hub, which QEMU virt has on its PCI bus if told so.
 *
 * Two counters one after the other: at the end of the first the hardware could interrupt, at the end of
 * the second it resets. Each write of a register but RELOAD's own key must be unlocked by two writes.
 *
 * Source: Intel 6300ESB I/O Controller Hub Datasheet (300641), chapter 17, watchdog timer (D29:F4).
 */
#include <errno.h>
#include <pith/io.h>
#include <pith/machine.h>
#include <pith/watchdog.h>
#include "pci.h"

/* Configuration space. */
#define WDT_CONFIG          0x60 /* RW, 16 bits */
#define WDT_CONFIG_INT_NONE 0x3  /* no interrupt between the counters */
#define WDT_CONFIG_1MHZ     0x4  /* else 1 kHz: the 33 MHz clock divided by 2^15 */
#define WDT_CONFIG_NO_RESET 0x20
#define WDT_LOCK            0x68 /* RW, 8 bits */
#define WDT_LOCK_ENABLE     0x2

/* BAR 0. */
#define WDT_PRELOAD_1        0x00 /* WO, 20 bits: the first counter starts from it */
#define WDT_PRELOAD_2        0x04 /* WO: the second */
#define WDT_RELOAD           0x0c /* RW, 16 bits */
#define WDT_RELOAD_START     0x100
#define WDT_RELOAD_TIMED_OUT 0x200 /* it has reset the machine; survives that; 1 clears it */
#define WDT_BYTES            0x10
#define WDT_PRELOAD_MAX      0xfffffu

static uint8_t *config, *regs;
static struct watchdog watchdog;

/* For the next write; nothing else may come between. Feeding is done with interrupts masked. */
static void unlock(void)
{
	write16(regs + WDT_RELOAD, 0x80);
	write16(regs + WDT_RELOAD, 0x86);
}

/* Half of the time in each counter. A tick is a little less than 1 ms: 0.983. */
static void esb_feed(struct watchdog *w, uint32_t timeout_ms)
{
	(void)w;
	unlock();
	write32(regs + WDT_PRELOAD_1, timeout_ms / 2);
	unlock();
	write32(regs + WDT_PRELOAD_2, timeout_ms / 2);
	unlock();
	write16(regs + WDT_RELOAD, WDT_RELOAD_START);
	write8(config + WDT_LOCK, WDT_LOCK_ENABLE);
}

static int esb_probe(struct pci_function *f)
{
	config = f->config;
	regs = pci_map_bar(f, 0, WDT_BYTES);
	if (!regs)
		return -EINVAL;
	if (read16(regs + WDT_RELOAD) & WDT_RELOAD_TIMED_OUT) {
		machine_set_reset_reason("watchdog");
		unlock();
		write16(regs + WDT_RELOAD, WDT_RELOAD_TIMED_OUT);
	}
	write16(config + WDT_CONFIG, WDT_CONFIG_INT_NONE);
	watchdog = (struct watchdog){
	    .name = "i6300esb watchdog",
	    .max_ms = 2 * WDT_PRELOAD_MAX,
	    .running = read8(config + WDT_LOCK) & WDT_LOCK_ENABLE,
	    .feed = esb_feed,
	};
	watchdog_register(&watchdog);
	return 0;
}

const struct pci_driver i6300esb_driver = {
    .name = "i6300esb",
    .vendor = 0x8086,
    .device = 0x25ab,
    .probe = esb_probe,
};
