/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PL011 UART.
 *
 * Source: PrimeCell UART (PL011) Technical Reference Manual, Arm DDI 0183, revision r1p5.
 */
#include <errno.h>
#include <pith/compiler.h>
#include <pith/io.h>
#include <pith/supply.h>
#include <pith/time.h>
#include "uart.h"

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

#define STOP_TIMEOUT_NS (100 * NS_PER_MS)

struct pl011 {
	struct uart uart;
	size_t fifo_bytes; /* that an empty FIFO takes: 16, in later revisions 32 */
};

static size_t pl011_room(struct uart *u)
{
	uint32_t flags = read32(u->regs + UARTFR);

	if (flags & FR_TXFF)
		return 0;
	return flags & FR_TXFE ? container_of(u, struct pl011, uart)->fifo_bytes : 1;
}

/* Reading the FIFO empty clears both interrupts. */
static int pl011_receive(struct uart *u)
{
	uint32_t data;

	if (read32(u->regs + UARTFR) & FR_RXFE)
		return -EAGAIN;
	data = read32(u->regs + UARTDR);
	return data & DR_ERRORS ? -EIO : (int)(data & 0xff);
}

/*
 * A level that has been passed already, by what was typed before start cleared the interrupts, is not
 * passed again before the FIFO has been read.
 */
static void pl011_listen(struct uart *u)
{
	write32(u->regs + UARTIFLS, IFLS_RX_1_8);
	write32(u->regs + UARTIMSC, INT_RX | INT_RT);
}

/*
 * 8n1 with FIFOs, in the order of section 3.3.8. A baud rate that is set is left alone; section 3.3.6
 * has the divisor: clock / (16 * baud) in 64ths. The first clock is UARTCLK (binding: arm,pl011.yaml).
 */
static void configure(struct uart *u)
{
	uint8_t *regs = u->regs;
	uint32_t divisor_64ths =
	    (clock_rate_hz(u->console.node, 0) * 4ull + UART_BAUD / 2) / UART_BAUD;

	io_wait32(regs + UARTFR, FR_BUSY, 0, time_now_ns() + STOP_TIMEOUT_NS);
	write32(regs + UARTLCR_H, 0); /* flushes the FIFOs */
	if (!read32(regs + UARTIBRD) && divisor_64ths >= 64) {
		write32(regs + UARTIBRD, divisor_64ths / 64);
		write32(regs + UARTFBRD, divisor_64ths % 64);
	}
	write32(regs + UARTLCR_H, LCR_H_8BITS | LCR_H_FEN);
	write32(regs + UARTCR, CR_UARTEN | CR_TXE | CR_RXE);
}

/* One that somebody has enabled goes on as it is. */
static int pl011_start(struct uart *u)
{
	uint8_t *regs = u->regs;

	write32(regs + UARTIMSC, 0);
	write32(regs + UARTICR, INT_ALL);
	if (!(read32(regs + UARTCR) & CR_UARTEN))
		configure(u);
	container_of(u, struct pl011, uart)->fifo_bytes =
	    read32(regs + UARTLCR_H) & LCR_H_FEN ? 16 : 1;
	return 0;
}

static const struct uart_type pl011 = {
    .name = "pl011",
    .start = pl011_start,
    .room = pl011_room,
};

UART_INPUT(&pl011, pl011_receive, pl011_listen);

static int pl011_probe(const struct device *dev)
{
	return uart_probe(dev, &pl011);
}

/* Not "arm,primecell": that is every PrimeCell. */
DRIVER(pl011) = {
    .name = "pl011",
    .compatible = "arm,pl011\0",
    .stage = DRV_CONSOLE,
    .state_bytes = sizeof(struct pl011),
    .reg_bytes = UART_BYTES,
    .probe = pl011_probe,
};
