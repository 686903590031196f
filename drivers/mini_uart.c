/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mini-UART of the BCM2835's auxiliary peripherals: output by polling, input by interrupt. Its
 * baud rate is a divisor of the core's clock.
 *
 * Source: BCM2835 ARM Peripherals, section 2, with its errata (elinux.org/BCM2835_datasheet_errata);
 * binding: Linux, serial/brcm,bcm2835-aux-uart.yaml.
 */
#include <errno.h>
#include <pith/boot_alloc.h>
#include <pith/compiler.h>
#include <pith/console.h>
#include <pith/driver.h>
#include <pith/io.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/supply.h>
#include <pith/time.h>

/* Of the auxiliary peripherals, the mini-UART's clock (its first cell is which): */
#define AUX_ENABLES 0x04 /* RW: a bit each; without it the mini-UART's registers do not answer */

#define MU_IO    0x00 /* RW: data */
#define MU_IER   0x04 /* RW: interrupt enables */
#define MU_IIR   0x08 /* WO: clear FIFOs */
#define MU_LCR   0x0c /* RW: line control */
#define MU_MCR   0x10 /* RW: modem control */
#define MU_LSR   0x14 /* RO: line status; reading it forgets an overrun */
#define MU_CNTL  0x20 /* RW: receiver and transmitter on */
#define MU_STAT  0x24 /* RO */
#define MU_BAUD  0x28 /* RW: 16 bits: clock / (8 * (BAUD + 1)) */
#define MU_BYTES 0x40

/* Erratum for page 12: receive is bit 0, and bits 2 and 3 must be set for it to interrupt. */
#define IER_RECEIVE         0xdu
#define IIR_CLEAR           0x6u
#define LCR_8BITS           0x3u /* erratum for page 14: two bits, as in a 16550 */
#define CNTL_RX_TX          0x3u
#define STAT_RECEIVED       (1u << 0)
#define STAT_TX_LEVEL(stat) ((stat) >> 24 & 0xf)
#define FIFO_BYTES          8u

#define BAUD 115200u

struct mini_uart {
	struct console console;
	uint8_t *regs;
	bool stuck; /* took no byte for a whole timeout: do not wait for it again */
};

/* How many bytes can be sent now. */
static size_t send_room(struct mini_uart *u)
{
	uint32_t level = STAT_TX_LEVEL(read32(u->regs + MU_STAT));

	return level < FIFO_BYTES ? FIFO_BYTES - level : 0;
}

/* The same, after waiting for room, once. */
static size_t wait_room(struct mini_uart *u)
{
	size_t room = send_room(u);

	if (!room && !u->stuck) {
		uint64_t deadline_ns = time_now_ns() + 100 * NS_PER_MS;

		while (!room && time_now_ns() <= deadline_ns)
			room = send_room(u);
	}
	u->stuck = !room;
	return room;
}

static void mini_uart_write(struct console *c, const char *bytes, size_t count)
{
	struct mini_uart *u = container_of(c, struct mini_uart, console);
	const char *end = bytes + count;

	while (bytes < end) {
		size_t room = wait_room(u);

		if (room == 0)
			return;
		for (; room > 0 && bytes < end; room--)
			write32(u->regs + MU_IO, (unsigned char)*bytes++);
	}
}

static void mini_uart_irq(void *arg)
{
	struct mini_uart *u = arg;
	char bytes[FIFO_BYTES];
	size_t count = 0;

	/* The line stays up, and brings us back, while there is more. */
	while (count < sizeof(bytes) && read32(u->regs + MU_STAT) & STAT_RECEIVED)
		bytes[count++] = (char)read32(u->regs + MU_IO);
	/* One of the interrupt's bits that must be set may stand for an overrun. */
	read32(u->regs + MU_LSR);
	console_input(bytes, count);
}

static void mini_uart_enable_input(struct console *c)
{
	struct mini_uart *u = container_of(c, struct mini_uart, console);
	int error = irq_attach(c->node, 0, mini_uart_irq, u, c->name);

	if (error)
		klog("%s: no input: error %d", c->name, -error);
	else
		write32(u->regs + MU_IER, IER_RECEIVE);
}

CONSOLE_INPUT(mini_uart_write, mini_uart_enable_input);

/* What the mini-UART's clock names: the auxiliary peripherals. Switch it on there. */
static int clock_on(dt_node node, dt_node *aux, bool *was_on)
{
	uint32_t phandle, bit, enables;
	uint64_t pa, bytes;
	uint8_t *regs;
	int error;

	if (dt_u32(node, "clocks", 0, &phandle) || dt_u32(node, "clocks", 1, &bit) || bit > 2)
		return -EINVAL;
	*aux = dt_by_phandle(phandle);
	error = dt_reg(*aux, 0, &pa, &bytes);
	if (error)
		return error;
	regs = bytes < AUX_ENABLES + 4 ? NULL : io_map(pa, bytes);
	if (!regs)
		return -EINVAL;
	error = io_probe_read32(regs + AUX_ENABLES, &enables);
	if (error)
		return error;
	*was_on = enables >> bit & 1;
	if (!*was_on)
		write32(regs + AUX_ENABLES, enables | 1u << bit);
	return 0;
}

/*
 * 8n1, receiver and transmitter on. A divisor that somebody has set is left alone; else it is
 * computed from the core's clock, which is the auxiliary peripherals'.
 */
static void start(struct mini_uart *u, dt_node aux, bool was_on)
{
	bool has_rate = was_on && read32(u->regs + MU_BAUD);
	uint32_t clock_hz = has_rate ? 0 : clock_rate_hz(aux, 0);

	write32(u->regs + MU_IER, 0);
	if (has_rate && (read32(u->regs + MU_CNTL) & CNTL_RX_TX) == CNTL_RX_TX)
		return;
	write32(u->regs + MU_CNTL, 0);
	write32(u->regs + MU_LCR, LCR_8BITS);
	write32(u->regs + MU_MCR, 0);
	write32(u->regs + MU_IIR, IIR_CLEAR);
	if (clock_hz >= 8 * BAUD)
		write32(u->regs + MU_BAUD, (clock_hz + 4 * BAUD) / (8 * BAUD) - 1);
	write32(u->regs + MU_CNTL, CNTL_RX_TX);
}

static int mini_uart_probe(dt_node node)
{
	struct mini_uart *u;
	uint64_t pa, bytes;
	bool was_on;
	dt_node aux;
	int error = dt_reg(node, 0, &pa, &bytes);

	if (error)
		return error;
	if (bytes < MU_BYTES)
		return -EINVAL;
	error = clock_on(node, &aux, &was_on);
	if (error)
		return error;
	u = boot_alloc(sizeof(*u));
	if (!u)
		return -ENOMEM;
	u->regs = io_map(pa, MU_BYTES);
	if (!u->regs)
		return -ENXIO;
	u->console = (struct console){
	    .name = "mini-uart",
	    .node = node,
	    .write = mini_uart_write,
	};
	start(u, aux, was_on);
	error = pins_default(node);
	console_register(&u->console);
	if (error)
		klog("mini-uart: its pins are as they were found: error %d", -error);
	return 0;
}

static const char *const mini_uart_compatible[] = {"brcm,bcm2835-aux-uart", NULL};

DRIVER(mini_uart) = {
    .name = "mini-uart",
    .compatible = mini_uart_compatible,
    .stage = DRV_CONSOLE,
    .probe = mini_uart_probe,
};
