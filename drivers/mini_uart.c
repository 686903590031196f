/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mini-UART of the BCM2835's auxiliary peripherals. Its baud rate is a divisor of the core's
 * clock.
 *
 * Source: BCM2835 ARM Peripherals, section 2, with its errata (elinux.org/BCM2835_datasheet_errata);
 * binding: Linux, serial/brcm,bcm2835-aux-uart.yaml.
 */
#include <errno.h>
#include <pith/compiler.h>
#include <pith/io.h>
#include <pith/supply.h>
#include "uart.h"

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

struct mini_uart {
	struct uart uart;
	dt_node aux_node; /* the auxiliary peripherals', */
	uint8_t *aux;     /* and their registers */
	bool was_on;      /* the clock, before us */
};

static size_t mini_uart_room(struct uart *u)
{
	uint32_t level = STAT_TX_LEVEL(read32(u->regs + MU_STAT));

	return level < FIFO_BYTES ? FIFO_BYTES - level : 0;
}

static int mini_uart_receive(struct uart *u)
{
	if (read32(u->regs + MU_STAT) & STAT_RECEIVED)
		return (int)(read32(u->regs + MU_IO) & 0xff);
	/* One of the interrupt's bits that must be set may stand for an overrun. */
	read32(u->regs + MU_LSR);
	return -EAGAIN;
}

static void mini_uart_listen(struct uart *u)
{
	write32(u->regs + MU_IER, IER_RECEIVE);
}

/* What the mini-UART's clock names: the auxiliary peripherals. Switch it on there. */
static int clock_on(struct mini_uart *m)
{
	dt_node node = m->uart.console.node;
	int64_t phandle = dt_u32(node, "clocks", 0), bit = dt_u32(node, "clocks", 1), enables;
	int error;

	if (phandle < 0 || bit < 0 || bit > 2)
		return -EINVAL;
	m->aux_node = dt_by_phandle((uint32_t)phandle);
	error = device_map(m->aux_node, 0, AUX_ENABLES + 4, &m->aux);
	if (error)
		return error;
	enables = io_probe_read32(m->aux + AUX_ENABLES);
	if (enables < 0)
		return (int)enables;
	m->was_on = enables >> bit & 1;
	if (!m->was_on)
		write32(m->aux + AUX_ENABLES, (uint32_t)enables | 1u << bit);
	return 0;
}

/*
 * A divisor that somebody has set is left alone; else it is computed from the core's clock, which is
 * the auxiliary peripherals'.
 */
static int mini_uart_start(struct uart *u)
{
	struct mini_uart *m = container_of(u, struct mini_uart, uart);
	uint8_t *regs = u->regs;
	uint32_t clock_hz = 0;
	bool has_rate;
	int error = clock_on(m);

	if (error)
		return error;
	has_rate = m->was_on && read32(regs + MU_BAUD);
	if (!has_rate)
		clock_hz = clock_rate_hz(m->aux_node, 0);
	write32(regs + MU_IER, 0);
	if (has_rate && (read32(regs + MU_CNTL) & CNTL_RX_TX) == CNTL_RX_TX)
		return 0;
	write32(regs + MU_CNTL, 0);
	write32(regs + MU_LCR, LCR_8BITS);
	write32(regs + MU_MCR, 0);
	write32(regs + MU_IIR, IIR_CLEAR);
	if (clock_hz >= 8 * UART_BAUD)
		write32(regs + MU_BAUD, (clock_hz + 4 * UART_BAUD) / (8 * UART_BAUD) - 1);
	write32(regs + MU_CNTL, CNTL_RX_TX);
	return 0;
}

static const struct uart_type mini_uart = {
    .name = "mini-uart",
    .start = mini_uart_start,
    .room = mini_uart_room,
};

UART_INPUT(&mini_uart, mini_uart_receive, mini_uart_listen);

static int mini_uart_probe(const struct device *dev)
{
	return uart_probe(dev, &mini_uart);
}

DRIVER(mini_uart) = {
    .name = "mini-uart",
    .compatible = "brcm,bcm2835-aux-uart\0",
    .stage = DRV_CONSOLE,
    .state_bytes = sizeof(struct mini_uart),
    .reg_bytes = MU_BYTES,
    .probe = mini_uart_probe,
};
