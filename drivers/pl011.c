/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PL011 UART: output by polling, input by interrupt.
 *
 * Source: PrimeCell UART (PL011) Technical Reference Manual, Arm DDI 0183, revision r1p5.
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

#define UARTDR     0x000 /* RW: data; when read, errors above it */
#define UARTFR     0x018 /* RO: flags */
#define UARTIBRD   0x024 /* RW: baud rate divisor, integer part */
#define UARTFBRD   0x028 /* RW: and 64ths */
#define UARTLCR_H  0x02c /* RW: line control; its write makes the divisors effective */
#define UARTCR     0x030 /* RW: control */
#define UARTIFLS   0x034 /* RW: FIFO levels that interrupt */
#define UARTIMSC   0x038 /* RW: interrupt mask, 1 lets through */
#define UARTICR    0x044 /* WO: interrupt clear */
#define UART_BYTES 0x048

#define DR_ERRORS   (0x7u << 8) /* framing, parity, break; the byte is not one */
#define FR_BUSY     (1u << 3)
#define FR_RXFE     (1u << 4)
#define FR_TXFF     (1u << 5)
#define FR_TXFE     (1u << 7)
#define LCR_H_FEN   (1u << 4)
#define LCR_H_8BITS (3u << 5)
#define CR_UARTEN   (1u << 0)
#define CR_TXE      (1u << 8)
#define CR_RXE      (1u << 9)
#define IFLS_RX_1_8 (0u << 3) /* receive FIFO an eighth full: react early */
#define INT_RX      (1u << 4)
#define INT_RT      (1u << 6) /* receive timeout: bytes below the level have waited for 32 bits */
#define INT_ALL     0x7ffu

#define BAUD 115200u

struct pl011 {
	struct console console;
	uint8_t *regs;
	size_t fifo_bytes; /* that an empty FIFO takes: 16, in later revisions 32 */
	bool stuck;        /* took no byte for a whole timeout: do not wait for it again */
};

static bool wait_clear(struct pl011 *p, uint32_t flag)
{
	uint64_t deadline_ns;

	if (!(read32(p->regs + UARTFR) & flag))
		return true;
	deadline_ns = time_now_ns() + 100 * NS_PER_MS;
	while (read32(p->regs + UARTFR) & flag)
		if (time_now_ns() > deadline_ns)
			return false;
	return true;
}

/* How many bytes can be sent now. Waits for room for one, once. */
static size_t send_room(struct pl011 *p)
{
	uint32_t flags = read32(p->regs + UARTFR);

	p->stuck = (flags & FR_TXFF) && (p->stuck || !wait_clear(p, FR_TXFF));
	if (p->stuck)
		return 0;
	return flags & FR_TXFE ? p->fifo_bytes : 1;
}

static void pl011_write(struct console *c, const char *bytes, size_t count)
{
	struct pl011 *p = container_of(c, struct pl011, console);
	const char *end = bytes + count;

	while (bytes < end) {
		size_t room = send_room(p);

		if (room == 0)
			return;
		for (; room > 0 && bytes < end; room--)
			write32(p->regs + UARTDR, (unsigned char)*bytes++);
	}
}

static void pl011_irq(void *arg)
{
	struct pl011 *p = arg;
	char bytes[32];
	size_t count = 0;

	for (size_t i = 0; i < sizeof(bytes) && !(read32(p->regs + UARTFR) & FR_RXFE); i++) {
		uint32_t data = read32(p->regs + UARTDR);

		if (!(data & DR_ERRORS))
			bytes[count++] = data;
	}
	/* Reading the FIFO empty clears both; a level that stays up brings us back. */
	console_input(bytes, count);
}

static void pl011_enable_input(struct console *c)
{
	struct pl011 *p = container_of(c, struct pl011, console);
	int error = irq_attach(c->node, 0, pl011_irq, p, c->name);
	unsigned long flags;

	if (error) {
		klog("%s: no input: error %d", c->name, -error);
		return;
	}
	write32(p->regs + UARTIFLS, IFLS_RX_1_8);
	flags = irq_save();
	write32(p->regs + UARTIMSC, INT_RX | INT_RT);
	/* What was typed before probe cleared the interrupts; the level was passed, it won't be
	 * again. */
	pl011_irq(p);
	irq_restore(flags);
}

CONSOLE_INPUT(pl011_write, pl011_enable_input);

/*
 * If nobody has enabled it: 8n1 with FIFOs, in the order of section 3.3.8. A baud rate that is set
 * is left alone; section 3.3.6 has the divisor: clock / (16 * baud) in 64ths. The first clock is
 * UARTCLK (binding: arm,pl011.yaml).
 */
static void pl011_start(struct pl011 *p)
{
	uint32_t divisor_64ths;

	if (read32(p->regs + UARTCR) & CR_UARTEN)
		return;
	divisor_64ths = (clock_rate_hz(p->console.node, 0) * 4ull + BAUD / 2) / BAUD;
	wait_clear(p, FR_BUSY);
	write32(p->regs + UARTLCR_H, 0); /* flushes the FIFOs */
	if (!read32(p->regs + UARTIBRD) && divisor_64ths >= 64) {
		write32(p->regs + UARTIBRD, divisor_64ths / 64);
		write32(p->regs + UARTFBRD, divisor_64ths % 64);
	}
	write32(p->regs + UARTLCR_H, LCR_H_8BITS | LCR_H_FEN);
	write32(p->regs + UARTCR, CR_UARTEN | CR_TXE | CR_RXE);
}

static int pl011_probe(dt_node node)
{
	uint64_t pa, bytes;
	struct pl011 *p;
	int error = dt_reg(node, 0, &pa, &bytes);

	if (error)
		return error;
	if (bytes < UART_BYTES)
		return -EINVAL;
	p = boot_alloc(sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->regs = io_map(pa, bytes);
	if (!p->regs)
		return -ENXIO;
	p->console = (struct console){
	    .name = "pl011",
	    .node = node,
	    .write = pl011_write,
	};
	error = pins_default(node);
	if (error)
		klog("pl011: its pins are as they were found: error %d", -error);
	write32(p->regs + UARTIMSC, 0);
	write32(p->regs + UARTICR, INT_ALL);
	pl011_start(p);
	p->fifo_bytes = read32(p->regs + UARTLCR_H) & LCR_H_FEN ? 16 : 1;
	console_register(&p->console);
	return 0;
}

/* Not "arm,primecell": that is every PrimeCell. */
static const char *const pl011_compatible[] = {"arm,pl011", NULL};

DRIVER(pl011) = {
    .name = "pl011",
    .compatible = pl011_compatible,
    .stage = DRV_CONSOLE,
    .probe = pl011_probe,
};
