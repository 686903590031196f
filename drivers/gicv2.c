/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GICv2, as a non-secure system sees it: the firmware has put interrupts into Group 1 where there
 * are groups, and what is bit 0 here enables ours. One CPU: everything goes to the one we run on.
 *
 * Source: Arm Generic Interrupt Controller Architecture version 2.0, IHI 0048B.b.
 */
#include <errno.h>
#include <pith/compiler.h>
#include <pith/driver.h>
#include <pith/io.h>
#include "gic.h"

#define GICD_CTLR_ENABLE 1u
#define GICD_ITARGETSR   0x800 /* RW: 1 byte a line, a bit a CPU; the first 32 RO: this CPU */
#define GICD_BYTES       0x1000

#define GICC_CTLR        0x000 /* RW */
#define GICC_CTLR_ENABLE 1u
#define GICC_PMR         0x004 /* RW: priority mask */
#define GICC_IAR         0x00c /* RO: acknowledge */
#define GICC_EOIR        0x010 /* WO: end of interrupt, takes all of IAR's value */
#define GICC_IAR_LINE    0x3ffu
#define GICC_BYTES       0x14

struct gicv2 {
	struct gic gic;
	uint8_t *gicc;
	uint8_t this_cpu; /* as a bit of ITARGETSR */
};

static struct gicv2 *gicv2_of(struct irqchip *chip)
{
	return container_of(chip, struct gicv2, gic.chip);
}

static int gicv2_enable(struct irqchip *chip, unsigned int line)
{
	struct gicv2 *g = gicv2_of(chip);

	if (line >= GIC_FIRST_SPI)
		write8(g->gic.gicd + GICD_ITARGETSR + line, g->this_cpu);
	gic_line_enable(&g->gic, g->gic.gicd, line);
	return 0;
}

static void gicv2_disable(struct irqchip *chip, unsigned int line)
{
	gic_line_disable(gicv2_of(chip)->gic.gicd, line);
}

static void gicv2_handle(struct irqchip *chip)
{
	struct gicv2 *g = gicv2_of(chip);

	for (;;) {
		uint32_t iar = read32(g->gicc + GICC_IAR);

		if ((iar & GICC_IAR_LINE) >= GIC_MAX_LINES)
			return;
		irq_dispatch(chip, iar & GICC_IAR_LINE);
		write32(g->gicc + GICC_EOIR, iar);
	}
}

/*
 * ITARGETSR0-7 read as this CPU's bit in every byte that has an interrupt; as zero where there is
 * only one CPU, which needs no target (section 4.3.12).
 */
static uint8_t this_cpu(const uint8_t *gicd)
{
	uint32_t mask = 0;

	for (unsigned int line = 0; line < GIC_FIRST_SPI && !mask; line += 4)
		mask = read32(gicd + GICD_ITARGETSR + line);
	mask |= mask >> 16;
	return mask | mask >> 8;
}

static void gicv2_start(struct gicv2 *g)
{
	uint8_t *gicd = g->gic.gicd;

	write32(gicd + GICD_CTLR, 0);
	gic_lines_off(gicd, 0, g->gic.chip.lines);
	g->this_cpu = this_cpu(gicd);
	write32(gicd + GICD_CTLR, GICD_CTLR_ENABLE);
	write32(g->gicc + GICC_PMR, GIC_PRIORITY_MASK);
	write32(g->gicc + GICC_CTLR, GICC_CTLR_ENABLE);
}

static int gicv2_probe(const struct device *dev)
{
	struct gicv2 *g = dev->state;
	struct irqchip *chip = &g->gic.chip;
	int error = device_map(dev->node, 1, GICC_BYTES, &g->gicc);

	if (error)
		return error;
	gic_init(&g->gic, dev);
	chip->name = "gicv2";
	chip->enable = gicv2_enable;
	chip->disable = gicv2_disable;
	chip->handle = gicv2_handle;
	error = irqchip_register(chip);
	if (!error)
		gicv2_start(g);
	return error;
}

DRIVER(gicv2) = {
    .name = "gicv2",
    .compatible = "arm,gic-400\0arm,cortex-a15-gic\0arm,cortex-a9-gic\0arm,cortex-a7-gic\0",
    .stage = DRV_IRQCHIP,
    .state_bytes = sizeof(struct gicv2),
    .reg_bytes = GICD_BYTES,
    .probe = gicv2_probe,
};
