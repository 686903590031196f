/* SPDX-License-Identifier: Apache-2.0 */
/* Consoles on a UART: output by polling, input by interrupt. What pl011.c and mini_uart.c share. */
#ifndef DRIVERS_UART_H
#define DRIVERS_UART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <pith/console.h>
#include <pith/driver.h>

#define UART_BAUD 115200u /* where nobody has set another */

struct uart;
struct uart_type {
	const char *name;
	/* Its pins are set: 8n1, receiver and transmitter on, no interrupts. Returns 0 or negative. */
	int (*start)(struct uart *u);
	/* How many bytes can be written to its first register, which is that of data. */
	size_t (*room)(struct uart *u);
};

/* Linked only into images that read from the console, as CONSOLE_INPUT (pith/console.h) is. */
struct uart_input {
	const struct uart_type *type;
	/* The next byte received; -EIO it was damaged; -EAGAIN there is none. */
	int (*receive)(struct uart *u);
	/* Let the receiver interrupt, while there is a byte or again with each that comes. */
	void (*listen)(struct uart *u);
};
#define UART_INPUT(...)                                 \
	static const struct uart_input uart_input_entry \
	    __attribute__((used, section("uart_inputs"), aligned(8))) = {__VA_ARGS__}

/* The state of a driver, or its beginning. */
struct uart {
	struct console console;
	const struct uart_type *type;
	const struct uart_input *input; /* NULL before it is asked for */
	uint8_t *regs;
	bool stuck; /* took no byte for a whole timeout: do not wait for it again */
};

/* Set its pins, start it, and register it as a console. Returns 0 or what start says. */
int uart_probe(const struct device *dev, const struct uart_type *type);

#endif
