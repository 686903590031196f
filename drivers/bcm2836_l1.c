/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The BCM2836's local interrupt controller, one for each CPU: its timers, and a line from the
 * peripherals' controller (bcm2835_armctrl.c). It has no acknowledge: a line is served until its
 * device lowers it.
 *
 * Source: "ARM Quad A7 core" (QA7), revision 3.4, sections 3.2 and 4; binding: Linux,
 * interrupt-controller/brcm,bcm2836-l1-intc.txt.
 */
#include <errno.h>
#include <pith/compiler.h>
#include <pith/driver.h>
#include <pith/io.h>
#include <pith/irq.h>

/* A register a CPU, 4 bytes apart. */
#define TIMER_CONTROL   0x40 /* RW: bits 0-3 let the CPU's timers interrupt, 4-7 as FIQ */
#define MAILBOX_CONTROL 0x50 /* RW: the same for its mailboxes */
#define IRQ_SOURCE      0x60 /* RO: a bit a pending line */
/* For all. */
#define GPU_ROUTING   0x0c /* RW: bits 0-1: the CPU that gets the peripherals' interrupt */
#define PMU_ROUTE_CLR 0x14 /* WO: stop routing the performance monitors' */
#define L1_BYTES      0x100

#define LINE_TIMERS  4 /* 0 to 3: secure, non-secure, hypervisor, virtual */
#define LINE_GPU     8
#define LINES        10
#define SOURCE_LINES (1u << LINE_GPU | ((1u << LINE_TIMERS) - 1))

struct bcm2836_l1 {
	struct irqchip chip;
	uint8_t *regs;
	unsigned int cpu;
};

static struct bcm2836_l1 *l1_of(struct irqchip *chip)
{
	return container_of(chip, struct bcm2836_l1, chip);
}

/* A line and its flags: all are level-triggered. */
static int l1_translate(struct irqchip *chip, const uint32_t *cells, unsigned int cell_count)
{
	(void)chip;
	if (cell_count != 2 || (cells[0] >= LINE_TIMERS && cells[0] != LINE_GPU))
		return -EINVAL;
	return (int)cells[0];
}

static void set_timer(struct bcm2836_l1 *l1, unsigned int line, bool on)
{
	uint8_t *control = l1->regs + TIMER_CONTROL + 4 * l1->cpu;
	uint32_t value = read32(control) & ~(1u << line);

	write32(control, on ? value | 1u << line : value);
}

static int l1_enable(struct irqchip *chip, unsigned int line)
{
	struct bcm2836_l1 *l1 = l1_of(chip);

	if (line == LINE_GPU)
		write32(l1->regs + GPU_ROUTING, l1->cpu);
	else
		set_timer(l1, line, true);
	return 0;
}

static void l1_disable(struct irqchip *chip, unsigned int line)
{
	struct bcm2836_l1 *l1 = l1_of(chip);

	/* The peripherals' line has no mask. Another CPU stands still, with its interrupts masked. */
	if (line == LINE_GPU)
		write32(l1->regs + GPU_ROUTING, (l1->cpu + 1) & 3);
	else
		set_timer(l1, line, false);
}

static void l1_handle(struct irqchip *chip)
{
	struct bcm2836_l1 *l1 = l1_of(chip);
	uint32_t pending;

	while ((pending = read32(l1->regs + IRQ_SOURCE + 4 * l1->cpu) & SOURCE_LINES))
		irq_dispatch(chip, __builtin_ctz(pending));
}

static void l1_start(struct bcm2836_l1 *l1)
{
	uint8_t *regs = l1->regs, *of_cpu = regs + 4 * l1->cpu;

	write32(of_cpu + TIMER_CONTROL, 0);
	write32(of_cpu + MAILBOX_CONTROL, 0);
	write32(regs + PMU_ROUTE_CLR, 0x11u << l1->cpu);
}

static int l1_probe(const struct device *dev)
{
	struct bcm2836_l1 *l1 = dev->state;
	int error;

	/* The Pi 4's tree has it for its CPUs' start addresses only: interrupts go to the GIC. */
	if (!dt_prop(dev->node, "interrupt-controller").data)
		return -ENODEV;
	l1->regs = dev->regs;
	l1->cpu = sysreg_read(mpidr_el1) & 3;
	l1->chip.name = "bcm2836-l1";
	l1->chip.node = dev->node;
	l1->chip.lines = LINES;
	l1->chip.translate = l1_translate;
	l1->chip.enable = l1_enable;
	l1->chip.disable = l1_disable;
	l1->chip.handle = l1_handle;
	error = irqchip_register(&l1->chip);
	if (!error)
		l1_start(l1);
	return error;
}

DRIVER(bcm2836_l1) = {
    .name = "bcm2836-l1",
    .compatible = "brcm,bcm2836-l1-intc\0",
    .stage = DRV_IRQCHIP,
    .state_bytes = sizeof(struct bcm2836_l1),
    .reg_bytes = L1_BYTES,
    .probe = l1_probe,
};
