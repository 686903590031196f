/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises, against a model of the PL011: a UART that works keeps its baud rate, one that nobody
 * enabled gets 115200 8n1; the FIFO is never overrun; a line that is stuck costs one timeout, not one
 * a byte, and recovers; bytes with errors are dropped, the others arrive, those typed before, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <pith/irq.h>
#include <pith/log.h>
#include "../../drivers/pl011.c"

#define RX_FIFO_BYTES 16

static uint8_t regs[0x1000];
static struct {
	uint32_t ibrd, fbrd, lcr_h, cr, imsc, unsettled;
	unsigned int tx, drain; /* bytes in the FIFO; taken from it at each look */
	uint32_t rx[RX_FIFO_BYTES];
	unsigned int rx_count;
	char sent[1000];
	unsigned int sent_bytes;
} uart;
static uint32_t clock_hz;
static bool pins_set;
static struct console *console;
static irq_handler input_irq;
static void *input_arg;
static char received[100];
static uint64_t now_ns;

bool thread_switch_pending;

void thread_switch_restore(unsigned long daif)
{
	(void)daif;
}

void klog(const char *fmt, ...)
{
	fail_msg("%s", fmt);
}

uint64_t time_now_ns(void)
{
	return now_ns += NS_PER_US;
}

void console_register(struct console *c)
{
	console = c;
}

void console_input(char byte)
{
	strncat(received, &byte, 1);
}

int irq_attach(dt_node node, unsigned int index, irq_handler handler, void *arg)
{
	assert_int_equal(node, 3);
	assert_int_equal(index, 0);
	input_irq = handler;
	input_arg = arg;
	return 0;
}

int dt_reg(dt_node n, unsigned int index, uint64_t *pa, uint64_t *bytes)
{
	assert_int_equal(n, 3);
	assert_int_equal(index, 0);
	*pa = 0x9000000;
	*bytes = sizeof(regs);
	return 0;
}

void *io_map(uint64_t pa, size_t bytes)
{
	assert_int_equal(pa, 0x9000000);
	assert_int_equal(bytes, UART_BYTES);
	return regs;
}

int64_t io_probe_read32(const volatile void *reg)
{
	(void)reg;
	fail();
	return -ENXIO;
}

uint32_t clock_rate_hz(dt_node n, unsigned int index)
{
	assert_int_equal(n, 3);
	assert_int_equal(index, 0);
	return clock_hz;
}

int pins_default(dt_node n)
{
	assert_int_equal(n, 3);
	pins_set = true;
	return 0;
}

static unsigned int fifo_bytes(void)
{
	return uart.lcr_h & LCR_H_FEN ? 16 : 1;
}

uint64_t model_read(const volatile void *addr, unsigned int bytes)
{
	uint32_t byte;

	assert_int_equal(bytes, 4);
	switch ((const volatile uint8_t *)addr - regs) {
	case UARTFR:
		uart.tx -= MIN(uart.tx, uart.drain);
		return (uart.tx == fifo_bytes() ? FR_TXFF : 0) | (uart.tx ? FR_BUSY : FR_TXFE) |
		       (uart.rx_count ? 0 : FR_RXFE);
	case UARTDR:
		assert_true(uart.rx_count > 0);
		byte = uart.rx[0];
		memmove(uart.rx, uart.rx + 1, --uart.rx_count * sizeof(uart.rx[0]));
		return byte;
	case UARTIBRD:
		return uart.ibrd;
	case UARTLCR_H:
		return uart.lcr_h;
	case UARTCR:
		return uart.cr;
	}
	fail_msg("unexpected read");
	return 0;
}

void model_write(volatile void *addr, unsigned int bytes, uint64_t value)
{
	assert_int_equal(bytes, 4);
	switch ((volatile uint8_t *)addr - regs) {
	case UARTDR:
		assert_true(uart.cr & CR_UARTEN && uart.cr & CR_TXE && !uart.unsettled);
		assert_true(uart.tx < fifo_bytes());
		uart.tx++;
		uart.sent[uart.sent_bytes++] = value;
		break;
	case UARTIBRD:
	case UARTFBRD:
		assert_false(uart.cr & CR_UARTEN);
		*((volatile uint8_t *)addr - regs == UARTIBRD ? &uart.ibrd : &uart.fbrd) = value;
		uart.unsettled = 1;
		break;
	case UARTLCR_H:
		assert_false(uart.cr & CR_UARTEN);
		uart.lcr_h = value;
		uart.unsettled = 0;
		break;
	case UARTCR:
		uart.cr = value;
		break;
	case UARTIMSC:
		uart.imsc = value;
		break;
	case UARTICR:
	case UARTIFLS:
		break;
	default:
		fail_msg("unexpected write");
	}
}

static int fresh(void **state)
{
	(void)state;
	memset(&uart, 0, sizeof(uart));
	uart.drain = 16;
	clock_hz = 24000000;
	pins_set = false;
	received[0] = '\0';
	return 0;
}

static int unplug(void **state)
{
	(void)state;
	free(container_of(console, struct pl011, uart.console));
	return 0;
}

static void send(const char *text)
{
	console->write(console, text, strlen(text));
	uart.sent[uart.sent_bytes] = '\0';
}

static void nobody_enabled_it(void **state)
{
	(void)state;
	assert_int_equal(device_probe(&driver_pl011, 3), 0);
	/* 24 MHz / (16 * 115200) = 13.0208: 13 and 1/64 (TRM, table 3-9). */
	assert_true(pins_set);
	assert_int_equal(uart.ibrd, 13);
	assert_int_equal(uart.fbrd, 1);
	assert_int_equal(uart.lcr_h, LCR_H_8BITS | LCR_H_FEN);
	assert_int_equal(uart.cr, CR_UARTEN | CR_TXE | CR_RXE);
	send("hello");
	assert_string_equal(uart.sent, "hello");
}

static void a_baud_rate_is_left_alone(void **state)
{
	(void)state;
	uart.ibrd = 26;
	uart.fbrd = 3;
	assert_int_equal(device_probe(&driver_pl011, 3), 0);
	assert_int_equal(uart.ibrd, 26);
	assert_int_equal(uart.fbrd, 3);
	assert_true(uart.cr & CR_UARTEN);
	/* A UART that works: nothing is changed. */
	unplug(state);
	uart.cr = CR_UARTEN | CR_TXE | CR_RXE | 0xc000;
	uart.lcr_h = LCR_H_8BITS;
	assert_int_equal(device_probe(&driver_pl011, 3), 0);
	assert_int_equal(uart.cr, CR_UARTEN | CR_TXE | CR_RXE | 0xc000);
	assert_int_equal(uart.lcr_h, LCR_H_8BITS);
	uart.drain = 1;
	send("without FIFO");
	assert_string_equal(uart.sent, "without FIFO");
}

static void without_a_known_clock_the_divisor_stays(void **state)
{
	(void)state;
	clock_hz = 0;
	assert_int_equal(device_probe(&driver_pl011, 3), 0);
	assert_int_equal(uart.ibrd, 0);
	assert_true(uart.cr & CR_UARTEN);
}

static void a_slow_line_loses_nothing(void **state)
{
	char text[200];

	(void)state;
	assert_int_equal(device_probe(&driver_pl011, 3), 0);
	uart.drain = 1;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	send(text);
	assert_string_equal(uart.sent, text);
}

static void a_stuck_line_costs_one_timeout_and_recovers(void **state)
{
	uint64_t start_ns;

	(void)state;
	assert_int_equal(device_probe(&driver_pl011, 3), 0);
	uart.drain = 0;
	start_ns = now_ns;
	for (int i = 0; i < 50; i++)
		send("sixteen bytes it");
	assert_string_equal(uart.sent, "sixteen bytes it");
	assert_in_range(now_ns - start_ns, 100 * NS_PER_MS, 101 * NS_PER_MS);
	uart.drain = 1;
	uart.sent_bytes = 0;
	send("alive, and longer than a FIFO");
	assert_string_equal(uart.sent, "alive, and longer than a FIFO");
}

static void receive(const char *bytes, uint32_t errors)
{
	for (; *bytes; bytes++)
		uart.rx[uart.rx_count++] = (unsigned char)*bytes | errors;
}

static void input_arrives(void **state)
{
	(void)state;
	assert_int_equal(device_probe(&driver_pl011, 3), 0);
	receive("early ", 0);
	assert_int_equal(uart.imsc, 0);
	__start_console_inputs->enable(console);
	assert_int_equal(uart.imsc, INT_RX | INT_RT);
	assert_string_equal(received, "early ");
	receive("bytes", 0);
	receive("xyz", 0x400); /* break */
	receive("!", 0x800);   /* an overrun: this byte is good */
	input_irq(input_arg);
	assert_string_equal(received, "early bytes!");
	assert_int_equal(uart.rx_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(nobody_enabled_it, fresh, unplug),
	    cmocka_unit_test_setup_teardown(a_baud_rate_is_left_alone, fresh, unplug),
	    cmocka_unit_test_setup_teardown(without_a_known_clock_the_divisor_stays, fresh, unplug),
	    cmocka_unit_test_setup_teardown(a_slow_line_loses_nothing, fresh, unplug),
	    cmocka_unit_test_setup_teardown(a_stuck_line_costs_one_timeout_and_recovers, fresh,
	                                    unplug),
	    cmocka_unit_test_setup_teardown(input_arrives, fresh, unplug),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
