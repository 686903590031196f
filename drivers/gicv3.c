/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GICv3 and later with affinity routing, without ITS: the distributor has the shared lines, this
 * CPU's redistributor the private ones, system registers are the CPU interface. All in Group 1.
 *
 * Source: Arm Generic Interrupt Controller Architecture, version 3 and 4, IHI 0069H.
 */
#include <errno.h>
#include <pith/compiler.h>
#include <pith/driver.h>
#include <pith/io.h>
#include <pith/log.h>
#include <pith/time.h>
#include "gic.h"

#define GICD_CTLR_GRP1  (1u << 0) /* non-secure view; with one Security state it is Group 0 */
#define GICD_CTLR_GRP1A (1u << 1) /* non-secure view; with one Security state it is Group 1 */
#define GICD_CTLR_ARE   (1u << 4)
#define GICD_CTLR_RWP   (1u << 31)
#define GICD_IROUTER    0x6000 /* RW: 8 bytes a line, the affinity it goes to */
#define GICD_BYTES      0x10000

/* A redistributor: 64 KiB of its own registers, 64 KiB for SGIs and PPIs, with GICv4 128 KiB more.
 */
#define GICR_CTLR              0x0000
#define GICR_CTLR_RWP          (1u << 3)
#define GICR_TYPER             0x0008 /* RO, 64 bits */
#define GICR_TYPER_VLPIS       (1u << 1)
#define GICR_TYPER_LAST        (1u << 4)
#define GICR_TYPER_AFFINITY(t) ((t) >> 32)
#define GICR_WAKER             0x0014
#define GICR_WAKER_SLEEP       (1u << 1)
#define GICR_WAKER_ASLEEP      (1u << 2)
#define GICR_SGI_FRAME         0x10000
#define GICR_BYTES             0x20000
#define GICR_BYTES_V4          0x40000

#define ICC_SRE_SRE        1u
#define ICC_CTLR_EOIMODE   (1u << 1)
#define ICC_IGRPEN1_ENABLE 1u

#define WAIT_NS (100 * NS_PER_MS)

struct gicv3 {
	struct gic gic;
	uint8_t *gicr;
	uint64_t affinity; /* of this CPU, as in GICD_IROUTER */
};

static struct gicv3 *gicv3_of(struct irqchip *chip)
{
	return container_of(chip, struct gicv3, gic.chip);
}

static int wait_clear(const uint8_t *reg, uint32_t bits)
{
	return io_wait32(reg, bits, 0, time_now_ns() + WAIT_NS);
}

/* Wait until the last write to controls or enables of that part has taken effect (12.9.4, 12.11.2).
 */
static int distributor_wait(struct gicv3 *g)
{
	return wait_clear(g->gic.gicd + GICD_CTLR, GICD_CTLR_RWP);
}

static int redistributor_wait(struct gicv3 *g)
{
	return wait_clear(g->gicr + GICR_CTLR, GICR_CTLR_RWP);
}

static NOINLINE int distributor_set(struct gicv3 *g, uint32_t control)
{
	write32(g->gic.gicd + GICD_CTLR, control);
	return distributor_wait(g);
}

/* Where a line's registers are. */
static uint8_t *line_base(struct gicv3 *g, unsigned int line)
{
	return line < GIC_FIRST_SPI ? g->gicr + GICR_SGI_FRAME : g->gic.gicd;
}

static int gicv3_enable(struct irqchip *chip, unsigned int line)
{
	struct gicv3 *g = gicv3_of(chip);
	uint8_t *base = line_base(g, line);
	uint8_t *igroupr = base + GIC_IGROUPR + 4 * (line / 32);

	/* Ignored where the firmware owns the groups (two Security states). */
	write32(igroupr, read32(igroupr) | 1u << (line % 32));
	if (line >= GIC_FIRST_SPI)
		write64(base + GICD_IROUTER + 8 * line, g->affinity);
	gic_line_enable(&g->gic, base, line);
	return 0;
}

static void gicv3_disable(struct irqchip *chip, unsigned int line)
{
	struct gicv3 *g = gicv3_of(chip);

	gic_line_disable(line_base(g, line), line);
	if (line < GIC_FIRST_SPI ? redistributor_wait(g) : distributor_wait(g))
		klog("gicv3: line %u does not go off", line);
}

static void gicv3_handle(struct irqchip *chip)
{
	for (;;) {
		uint32_t line = sysreg_read(icc_iar1_el1) & 0xffffff;

		if (line >= GIC_MAX_LINES)
			return;
		/* The acknowledgement must be seen before the handler touches the device (4.1.1).
		 */
		io_sync();
		irq_dispatch(chip, line);
		sysreg_write(icc_eoir1_el1, line);
		isb();
	}
}

/* Find our redistributor in a region by its affinity. */
static uint8_t *find_in_region(uint64_t pa, uint64_t bytes, uint64_t stride, uint32_t affinity)
{
	for (uint64_t at = 0; at <= bytes && bytes - at >= GICR_BYTES;) {
		uint8_t *gicr = io_map(pa + at, GICR_BYTES);
		uint64_t typer;

		if (!gicr)
			return NULL;
		typer = read64(gicr + GICR_TYPER);
		if (GICR_TYPER_AFFINITY(typer) == affinity)
			return gicr;
		if (typer & GICR_TYPER_LAST)
			return NULL;
		at += stride ? stride : typer & GICR_TYPER_VLPIS ? GICR_BYTES_V4 : GICR_BYTES;
	}
	return NULL;
}

static uint8_t *find_redistributor(dt_node node, uint32_t affinity)
{
	int64_t regions = dt_u32(node, "#redistributor-regions", 0);
	uint64_t stride = 0, pa, bytes;

	if (regions < 0)
		regions = 1;
	dt_u64(node, "redistributor-stride", &stride);
	for (unsigned int i = 0; i < regions && !dt_reg(node, 1 + i, &pa, &bytes); i++) {
		uint8_t *gicr = find_in_region(pa, bytes, ALIGN_DOWN(stride, GICR_BYTES), affinity);

		if (gicr)
			return gicr;
	}
	return NULL;
}

static int distributor_start(struct gicv3 *g)
{
	uint8_t *gicd = g->gic.gicd;
	/* ARE may be set already, and must not be cleared (12.9.4). */
	int error = distributor_set(g, read32(gicd + GICD_CTLR) & GICD_CTLR_ARE);

	if (error)
		return error;
	gic_lines_off(gicd, GIC_FIRST_SPI, g->gic.chip.lines);
	error = distributor_wait(g);
	/* ARE first: what else a write changes along with it is not defined (12.9.4). */
	if (!error)
		error = distributor_set(g, GICD_CTLR_ARE);
	if (!error)
		error = distributor_set(g, GICD_CTLR_ARE | GICD_CTLR_GRP1A | GICD_CTLR_GRP1);
	return error;
}

static int redistributor_start(struct gicv3 *g)
{
	uint8_t *waker = g->gicr + GICR_WAKER;
	int error;

	write32(waker, read32(waker) & ~GICR_WAKER_SLEEP);
	error = wait_clear(waker, GICR_WAKER_ASLEEP);
	if (error)
		return error;
	gic_lines_off(g->gicr + GICR_SGI_FRAME, 0, GIC_FIRST_SPI);
	return redistributor_wait(g);
}

static int cpu_interface_start(void)
{
	sysreg_write(icc_sre_el1, sysreg_read(icc_sre_el1) | ICC_SRE_SRE);
	isb();
	if (!(sysreg_read(icc_sre_el1) & ICC_SRE_SRE)) {
		klog("gicv3: the firmware keeps the CPU interface's system registers off");
		return -EIO;
	}
	sysreg_write(icc_pmr_el1, GIC_PRIORITY_MASK);
	/* End of interrupt drops priority and deactivates. */
	sysreg_write(icc_ctlr_el1, sysreg_read(icc_ctlr_el1) & ~(uint64_t)ICC_CTLR_EOIMODE);
	sysreg_write(icc_igrpen1_el1, ICC_IGRPEN1_ENABLE);
	isb();
	return 0;
}

static int gicv3_start(struct gicv3 *g)
{
	int error = distributor_start(g);

	if (!error)
		error = redistributor_start(g);
	return error ? error : cpu_interface_start();
}

static int gicv3_probe(const struct device *dev)
{
	struct gicv3 *g = dev->state;
	struct irqchip *chip = &g->gic.chip;
	uint64_t mpidr = sysreg_read(mpidr_el1);
	int error;

	/* MPIDR_EL1 has Aff3 in bits 39:32, GICR_TYPER right above the others. */
	g->affinity = mpidr & 0xff00ffffffull;
	g->gicr = find_redistributor(dev->node, (mpidr >> 8 & 0xff000000) | (mpidr & 0xffffff));
	if (!g->gicr) {
		klog("gicv3: no redistributor for this CPU (MPIDR_EL1 %#llx)", (long long)mpidr);
		return -ENXIO;
	}
	gic_init(&g->gic, dev);
	chip->name = "gicv3";
	chip->enable = gicv3_enable;
	chip->disable = gicv3_disable;
	chip->handle = gicv3_handle;
	error = gicv3_start(g);
	return error ? error : irqchip_register(chip);
}

DRIVER(gicv3) = {
    .name = "gicv3",
    .compatible = "arm,gic-v3\0",
    .stage = DRV_IRQCHIP,
    .state_bytes = sizeof(struct gicv3),
    .reg_bytes = GICD_BYTES,
    .probe = gicv3_probe,
};
