/* SPDX-License-Identifier: Apache-2.0 */
/* Consoles on a UART (uart.h). */
#include <errno.h>
#include <pith/compiler.h>
#include <pith/io.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/supply.h>
#include <pith/time.h>
#include "uart.h"

extern const struct uart_input __start_uart_inputs[];

#define SEND_TIMEOUT_NS (100 * NS_PER_MS)
#define BYTES_AT_ONCE   32 /* received in one interrupt */

/* How many bytes can be sent now. Waits for room for one, once. */
static size_t wait_room(struct uart *u)
{
	size_t room = u->type->room(u);

	if (!room && !u->stuck) {
		uint64_t deadline_ns = time_now_ns() + SEND_TIMEOUT_NS;
		bool late;

		/* The time first, and a last look after it: we may be stopped for long in between. */
		do {
			late = time_now_ns() > deadline_ns;
			room = u->type->room(u);
		} while (!room && !late);
	}
	u->stuck = !room;
	return room;
}

static void uart_write(struct console *c, const char *bytes, size_t count)
{
	struct uart *u = container_of(c, struct uart, console);
	size_t room;

	while (count > 0 && (room = wait_room(u)) > 0)
		for (; room > 0 && count > 0; room--, count--)
			write32(u->regs, (unsigned char)*bytes++);
}

static void uart_irq(void *arg)
{
	struct uart *u = arg;

	/* The line stays up, and brings us back, while there is more. */
	for (int i = 0; i < BYTES_AT_ONCE; i++) {
		int byte = u->input->receive(u);

		if (byte == -EAGAIN)
			break;
		if (byte >= 0)
			console_input((char)byte);
	}
}

static void uart_enable_input(struct console *c)
{
	struct uart *u = container_of(c, struct uart, console);
	unsigned long flags;
	int error;

	u->input = __start_uart_inputs;
	while (u->input->type != u->type)
		u->input++;
	error = irq_attach(c->node, 0, uart_irq, u);
	if (error) {
		klog("%s: no input: error %d", c->name, -error);
		return;
	}
	flags = irq_save();
	u->input->listen(u);
	uart_irq(u); /* what was typed before */
	irq_restore(flags);
}

CONSOLE_INPUT(uart_write, uart_enable_input);

int uart_probe(const struct device *dev, const struct uart_type *type)
{
	struct uart *u = dev->state;
	int error = pins_default(dev->node);

	if (error)
		klog("%s: its pins are as they were found: error %d", type->name, -error);
	u->type = type;
	u->regs = dev->regs;
	u->console.name = type->name;
	u->console.node = dev->node;
	u->console.write = uart_write;
	error = type->start(u);
	if (!error)
		console_register(&u->console);
	return error;
}
