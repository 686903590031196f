/* SPDX-License-Identifier: Apache-2.0 */
/* What the GIC's versions have in common, see gic.h. */
#include <errno.h>
#include <pith/compiler.h>
#include <pith/io.h>
#include "gic.h"

/* Specifier: type, number, flags. */
#define TYPE_SPI    0u
#define TYPE_PPI    1u
#define PPI_LINE    16u
#define PPI_COUNT   16u
#define FLAGS_EDGES 3u /* rising 1, falling 2; level 4, 8 */

static int gic_translate(struct irqchip *chip, const uint32_t *cells, unsigned int cell_count)
{
	struct gic *g = container_of(chip, struct gic, chip);
	unsigned int line;

	if (cell_count < 3)
		return -EINVAL;
	if (cells[0] == TYPE_SPI && cells[1] < chip->lines - GIC_FIRST_SPI)
		line = GIC_FIRST_SPI + cells[1];
	else if (cells[0] == TYPE_PPI && cells[1] < PPI_COUNT)
		line = PPI_LINE + cells[1];
	else
		return -EINVAL; /* GICv3's extended ranges (2, 3) among them: no machine needs them
		                   yet */
	if (cells[2] & FLAGS_EDGES)
		g->edge[line / 32] |= 1u << (line % 32);
	return line;
}

void gic_init(struct gic *g, const struct device *dev)
{
	unsigned int lines = 32 * ((read32(dev->regs + GICD_TYPER) & 0x1f) + 1);

	g->gicd = dev->regs;
	g->chip.node = dev->node;
	g->chip.lines = MIN(lines, GIC_MAX_LINES);
	g->chip.translate = gic_translate;
}

void gic_lines_off(uint8_t *base, unsigned int first, unsigned int end)
{
	for (unsigned int word = first / 32; word < (end + 31) / 32; word++) {
		write32(base + GIC_ICENABLER + 4 * word, ~0u);
		write32(base + GIC_ICACTIVER + 4 * word, ~0u);
	}
}

void gic_line_enable(const struct gic *g, uint8_t *base, unsigned int line)
{
	uint8_t *icfgr = base + GIC_ICFGR + 4 * (line / 16);
	uint32_t field = 2u << (2 * (line % 16)), config = read32(icfgr) & ~field;

	if (g->edge[line / 32] >> (line % 32) & 1)
		config |= field;
	write32(icfgr, config); /* PPIs may be fixed: then the write changes nothing */
	write8(base + GIC_IPRIORITYR + line, GIC_PRIORITY);
	write32(base + GIC_ISENABLER + 4 * (line / 32), 1u << (line % 32));
}

void gic_line_disable(uint8_t *base, unsigned int line)
{
	write32(base + GIC_ICENABLER + 4 * (line / 32), 1u << (line % 32));
}
