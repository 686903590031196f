/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts: controllers, their lines, and the handlers attached to them. */
#include <errno.h>
#include <pith/assert.h>
#include <pith/boot_alloc.h>
#include <pith/compiler.h>
#include <pith/irq.h>
#include <pith/log.h>

/* A handler of a line; the line's others follow. */
struct irq_action {
	irq_handler handler;
	void *arg;
	struct irq_action *next;
};

static struct irqchip *chips, *root;
static bool inside;

COLD int irqchip_register(struct irqchip *chip)
{
	chip->actions = boot_alloc(chip->lines * sizeof(struct irq_action *));
	if (!chip->actions)
		return -ENOMEM;
	chip->next = chips;
	chips = chip;
	if (chip->handle && !root)
		root = chip;
	return 0;
}

static struct irqchip *chip_of(dt_node node)
{
	for (struct irqchip *c = chips; c; c = c->next)
		if (c->node == node)
			return c;
	return NULL;
}

/* Put a at the end of the line's handlers; the first one enables the line. */
static COLD int line_attach(struct irqchip *chip, unsigned int line, struct irq_action *a)
{
	unsigned long flags = irq_save();
	struct irq_action **end = &chip->actions[line];
	bool first = !*end;
	int error = 0;

	while (*end)
		end = &(*end)->next;
	*end = a;
	if (first)
		error = chip->enable(chip, line);
	if (error)
		*end = NULL;
	irq_restore_quiet(flags);
	return error;
}

COLD int irq_attach(dt_node node, unsigned int index, irq_handler handler, void *arg)
{
	struct irq_action *a;
	struct irqchip *chip;
	struct dt_irq irq;
	int line, error;

	error = dt_irq(node, index, &irq);
	if (error)
		return error;
	chip = chip_of(irq.controller);
	if (!chip)
		return -ENODEV;
	line = chip->translate(chip, irq.cells, irq.cell_count);
	if (line < 0)
		return line;
	assert((unsigned int)line < chip->lines);
	a = boot_alloc(sizeof(*a));
	if (!a)
		return -ENOMEM;
	*a = (struct irq_action){.handler = handler, .arg = arg};
	return line_attach(chip, line, a);
}

void irq_dispatch(struct irqchip *chip, unsigned int line)
{
	struct irq_action *a = line < chip->lines ? chip->actions[line] : NULL;

	if (!a) {
		klog("%s: interrupt %u is nobody's", chip->name, line);
		if (line < chip->lines)
			chip->disable(chip, line);
		return;
	}
	for (; a; a = a->next)
		a->handler(a->arg);
}

void irq_entry(void)
{
	inside = true;
	root->handle(root);
	inside = false;
}

bool in_irq(void)
{
	return inside;
}
