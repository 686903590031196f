/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the GIC's versions have in common: the binding's interrupt specifier, and the registers with
 * a field for each line, which a distributor and a GICv3 redistributor have at the same offsets.
 *
 * Sources: GICv2: Arm IHI 0048B.b, section 4.3; GICv3: Arm IHI 0069, section 12.9 to 12.11;
 * binding: Linux, Documentation/devicetree/bindings/interrupt-controller/arm,gic{,-v3}.yaml.
 */
#ifndef DRIVERS_GIC_H
#define DRIVERS_GIC_H

#include <stdint.h>
#include <pith/driver.h>
#include <pith/irq.h>

#define GIC_FIRST_SPI 32u
#define GIC_MAX_LINES 1020u /* 1020-1023: "nothing for you", in several ways */

/* Offsets of a line's registers; GICD_ in a distributor, GICR_ in a redistributor's SGI frame. */
#define GIC_IGROUPR    0x080 /* RW: 1 bit a line */
#define GIC_ISENABLER  0x100 /* W1S: 1 bit a line */
#define GIC_ICENABLER  0x180 /* W1C: 1 bit a line */
#define GIC_ICACTIVER  0x380 /* W1C: 1 bit a line */
#define GIC_IPRIORITYR 0x400 /* RW: 1 byte a line, 0 the most urgent */
#define GIC_ICFGR      0xc00 /* RW: 2 bits a line: 0 level, 2 edge */

#define GICD_CTLR  0x000 /* RW */
#define GICD_TYPER 0x004 /* RO: ITLinesNumber, bits 4:0 */

/* Any of the priorities that a non-secure view has (the upper half) will do: all lines share it. */
#define GIC_PRIORITY      0xa0u
#define GIC_PRIORITY_MASK 0xf0u /* lets GIC_PRIORITY through */

struct gic {
	struct irqchip chip;
	uint8_t *gicd;
	uint32_t edge[GIC_MAX_LINES / 32 + 1]; /* bit a line: edge-triggered, says the tree */
};

/*
 * Set what is the same for all: gicd, dev's first registers; the chip's node, how many lines it has, and
 * its translate, which remembers the trigger.
 */
void gic_init(struct gic *g, const struct device *dev);

/* Disable and deactivate lines [first, end), multiples of 32. */
void gic_lines_off(uint8_t *base, unsigned int first, unsigned int end);

/* Set trigger and priority of a (disabled) line, and enable it. */
void gic_line_enable(const struct gic *g, uint8_t *base, unsigned int line);
void gic_line_disable(uint8_t *base, unsigned int line);

#endif
