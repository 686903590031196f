/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The BCM2835's interrupt controller for the peripherals ("ARMCTRL"), under the BCM2836's local one:
 * bank 0 has the Arm's own lines, banks 1 and 2 the 64 that the GPU shares.
 *
 * Source: BCM2835 ARM Peripherals, section 7.5; binding: Linux,
 * interrupt-controller/brcm,bcm2835-armctrl-ic.txt.
 */
#include <errno.h>
#include <pith/compiler.h>
#include <pith/driver.h>
#include <pith/io.h>
#include <pith/irq.h>

#define BASIC_PENDING 0x00 /* RO: bank 0; 8, 9: something in banks 1, 2; 10-20: some of these */
#define PENDING_1     0x04 /* RO; bank 2 follows */
#define ENABLE_1      0x10 /* WO: 1 enables; bank 2 and bank 0 follow */
#define DISABLE_1     0x1c /* WO: 1 disables; the same */
#define ARMCTRL_BYTES 0x28

#define BANKS       3
#define BANK0_LINES 8
#define BASIC_BANK0 0xffu
#define BASIC_BANK1 (1u << 8 | 0x1fu << 10) /* lines 7, 9, 10, 18, 19 have bits of their own ... */
#define BASIC_BANK2 (1u << 9 | 0x3fu << 15) /* ... and do not set bit 8; likewise in bank 2 */

struct armctrl {
	struct irqchip chip;
	uint8_t *regs;
};

static struct armctrl *armctrl_of(struct irqchip *chip)
{
	return container_of(chip, struct armctrl, chip);
}

static int armctrl_translate(struct irqchip *chip, const uint32_t *cells, unsigned int cell_count)
{
	(void)chip;
	if (cell_count != 2 || cells[0] >= BANKS || cells[1] >= (cells[0] ? 32 : BANK0_LINES))
		return -EINVAL;
	return (int)(cells[0] * 32 + cells[1]);
}

/* Enable and disable registers are in the order of banks 1, 2, 0. */
static void write_line(struct armctrl *a, unsigned int first, unsigned int line)
{
	write32(a->regs + first + (line / 32 + BANKS - 1) % BANKS * 4, 1u << line % 32);
}

static int armctrl_enable(struct irqchip *chip, unsigned int line)
{
	write_line(armctrl_of(chip), ENABLE_1, line);
	return 0;
}

static void armctrl_disable(struct irqchip *chip, unsigned int line)
{
	write_line(armctrl_of(chip), DISABLE_1, line);
}

static void dispatch_bank(struct armctrl *a, unsigned int bank, uint32_t pending)
{
	for (; pending; pending &= pending - 1)
		irq_dispatch(&a->chip, bank * 32 + __builtin_ctz(pending));
}

static void armctrl_irq(void *arg)
{
	struct armctrl *a = arg;
	uint32_t basic = read32(a->regs + BASIC_PENDING);

	dispatch_bank(a, 0, basic & BASIC_BANK0);
	if (basic & BASIC_BANK1)
		dispatch_bank(a, 1, read32(a->regs + PENDING_1));
	if (basic & BASIC_BANK2)
		dispatch_bank(a, 2, read32(a->regs + PENDING_1 + 4));
}

static int armctrl_start(struct armctrl *a)
{
	for (unsigned int bank = 0; bank < BANKS; bank++)
		write32(a->regs + DISABLE_1 + bank * 4, UINT32_MAX);
	return irq_attach(a->chip.node, 0, armctrl_irq, a);
}

static int armctrl_probe(const struct device *dev)
{
	struct armctrl *a = dev->state;
	int error;

	a->regs = dev->regs;
	a->chip.name = "armctrl";
	a->chip.node = dev->node;
	a->chip.lines = BANKS * 32;
	a->chip.translate = armctrl_translate;
	a->chip.enable = armctrl_enable;
	a->chip.disable = armctrl_disable;
	error = irqchip_register(&a->chip);
	return error ? error : armctrl_start(a);
}

DRIVER(armctrl) = {
    .name = "armctrl",
    .compatible = "brcm,bcm2836-armctrl-ic\0",
    .stage = DRV_IRQCHIP,
    .state_bytes = sizeof(struct armctrl),
    .reg_bytes = ARMCTRL_BYTES,
    .probe = armctrl_probe,
};
