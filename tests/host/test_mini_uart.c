/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises, against a model of the mini-UART and with a Raspberry Pi's trees: a baud rate that works is
 * left alone, one that nobody set is 115200 of the core's clock; the registers are not touched before
 * the clock is on; other auxiliary devices keep theirs; the FIFO is never overrun; a line that is
 * stuck costs one timeout and recovers, one that looked so while we were stopped costs nothing; input
 * arrives, typed before it was wanted, too; where nobody answers the probe fails.
 */
#include <errno.h>
#include "pi_model.h"
#include "../../drivers/mini_uart.c"

static uint64_t base;
static struct {
	uint32_t enables, ier, lcr, cntl, baud;
	unsigned int tx, drain; /* bytes in the FIFO; taken from it at each look */
	unsigned int held;      /* looks at which nothing is taken */
	char rx[FIFO_BYTES];
	unsigned int rx_count;
	bool overrun;
	char sent[1000];
	unsigned int sent_bytes, pins;
} uart;
static uint32_t core_hz;
static struct console *console;
static irq_handler input_irq;
static void *input_arg;
static char received[100];

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
	assert_int_equal(node, dt_find("serial1"));
	assert_int_equal(index, 0);
	input_irq = handler;
	input_arg = arg;
	return 0;
}

uint32_t clock_rate_hz(dt_node node, unsigned int index)
{
	assert_string_equal(dt_name(node), "aux@7e215000");
	assert_int_equal(index, 0);
	return core_hz;
}

int pins_default(dt_node node)
{
	assert_int_equal(node, dt_find("serial1"));
	uart.pins++;
	return 0;
}

static unsigned int reg(const volatile void *addr)
{
	assert_in_range(pa(addr), base + 0x215040, base + 0x215040 + MU_BYTES - 4);
	assert_true(uart.enables & 1);
	return pa(addr) - base - 0x215040;
}

uint64_t model_read(const volatile void *addr, unsigned int bytes)
{
	char byte;

	assert_int_equal(bytes, 4);
	if (pa(addr) == base + 0x215004)
		return uart.enables;
	switch (reg(addr)) {
	case MU_STAT:
		if (uart.held)
			uart.held--;
		else
			uart.tx -= MIN(uart.tx, uart.drain);
		return uart.tx << 24 | uart.rx_count << 16 | (uart.rx_count ? 1 : 0);
	case MU_IO:
		assert_true(uart.rx_count > 0);
		byte = uart.rx[0];
		memmove(uart.rx, uart.rx + 1, --uart.rx_count);
		return (unsigned char)byte;
	case MU_LSR:
		uart.overrun = false;
		return 0;
	case MU_CNTL:
		return uart.cntl;
	case MU_BAUD:
		return uart.baud;
	}
	fail_msg("unexpected read");
	return 0;
}

void model_write(volatile void *addr, unsigned int bytes, uint64_t value)
{
	assert_int_equal(bytes, 4);
	if (pa(addr) == base + 0x215004) {
		uart.enables = value;
		return;
	}
	switch (reg(addr)) {
	case MU_IO:
		assert_int_equal(uart.cntl, 3);
		assert_true(uart.tx < FIFO_BYTES);
		uart.tx++;
		uart.sent[uart.sent_bytes++] = value;
		break;
	case MU_IER:
		uart.ier = value;
		break;
	case MU_LCR:
		uart.lcr = value;
		break;
	case MU_CNTL:
		uart.cntl = value;
		break;
	case MU_BAUD:
		assert_int_equal(uart.cntl, 0);
		assert_in_range(value, 1, 0xffff);
		uart.baud = value;
		break;
	case MU_IIR:
		uart.tx = uart.rx_count = 0;
		break;
	case MU_MCR:
		break;
	default:
		fail_msg("unexpected write");
	}
}

static int fresh(void **state)
{
	(void)state;
	use_tree(PI4);
	base = PI4_BASE;
	memset(&uart, 0, sizeof(uart));
	uart.drain = FIFO_BYTES;
	core_hz = 500000000;
	received[0] = '\0';
	model_absent = false;
	model_ns_step = NS_PER_US;
	console = NULL;
	return 0;
}

static int unplug(void **state)
{
	(void)state;
	if (console)
		free(container_of(console, struct uart, console));
	return 0;
}

static void send(const char *text)
{
	console->write(console, text, strlen(text));
	uart.sent[uart.sent_bytes] = '\0';
}

static void plug(void)
{
	assert_int_equal(device_probe(&driver_mini_uart, dt_find("serial1")), 0);
	assert_int_equal(console->node, dt_find("serial1"));
	assert_int_equal(uart.pins, 1);
}

static void nobody_enabled_it(void **state)
{
	(void)state;
	uart.enables = 6; /* the two SPIs */
	plug();
	assert_int_equal(uart.enables, 7);
	assert_int_equal(uart.baud, 542); /* 500 MHz / (8 * 543) = 115101 */
	assert_int_equal(uart.lcr, 3);
	assert_int_equal(uart.cntl, 3);
	send("hello");
	assert_string_equal(uart.sent, "hello");
}

static void on_a_pi_3(void **state)
{
	(void)state;
	use_tree(PI3);
	base = PI3_BASE;
	core_hz = 250000000;
	plug();
	assert_int_equal(uart.baud, 270); /* the manual's example */
}

static void a_baud_rate_is_left_alone(void **state)
{
	(void)state;
	uart.enables = 1;
	uart.baud = 1234;
	uart.cntl = 3;
	uart.lcr = 2;
	core_hz = 0; /* not even asked for */
	plug();
	assert_int_equal(uart.baud, 1234);
	assert_int_equal(uart.lcr, 2);
	unplug(state);
	uart.cntl = uart.pins = 0; /* set, but off */
	plug();
	assert_int_equal(uart.baud, 1234);
	assert_int_equal(uart.cntl, 3);
}

static void without_a_known_clock_the_divisor_stays(void **state)
{
	(void)state;
	core_hz = 0;
	plug();
	assert_int_equal(uart.baud, 0);
	assert_int_equal(uart.cntl, 3);
}

static void a_slow_line_loses_nothing(void **state)
{
	char text[200];

	(void)state;
	plug();
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
	plug();
	uart.drain = 0;
	start_ns = model_ns;
	for (int i = 0; i < 50; i++)
		send("8 bytes.");
	assert_string_equal(uart.sent, "8 bytes.");
	assert_in_range(model_ns - start_ns, 100 * NS_PER_MS, 101 * NS_PER_MS);
	uart.drain = 1;
	uart.sent_bytes = 0;
	send("alive, and longer than a FIFO");
	assert_string_equal(uart.sent, "alive, and longer than a FIFO");
}

/* A hypervisor may stop us for longer than the timeout, between two looks. */
static void a_line_is_not_stuck_because_we_are_stopped(void **state)
{
	(void)state;
	plug();
	uart.tx = FIFO_BYTES;
	uart.held = 1;
	model_ns_step = 150 * NS_PER_MS;
	send("whole text");
	assert_string_equal(uart.sent, "whole text");
}

static void receive(const char *bytes)
{
	for (; *bytes; bytes++)
		uart.rx[uart.rx_count++] = *bytes;
}

static void input_arrives(void **state)
{
	(void)state;
	plug();
	receive("early ");
	assert_int_equal(uart.ier, 0);
	__start_console_inputs->enable(console);
	assert_int_equal(uart.ier & 1, 1);
	input_irq(input_arg); /* its line is up while there is something to read */
	receive("bytes!");
	input_irq(input_arg);
	assert_string_equal(received, "early bytes!");
	uart.overrun = true;
	input_irq(input_arg);
	assert_false(uart.overrun);
	assert_int_equal(uart.rx_count, 0);
}

static void where_nobody_answers_the_probe_fails(void **state)
{
	(void)state;
	model_absent = true;
	assert_int_equal(device_probe(&driver_mini_uart, dt_find("serial1")), -ENXIO);
	assert_null(console);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, unplug)
	const struct CMUnitTest tests[] = {
	    TEST(nobody_enabled_it),
	    TEST(on_a_pi_3),
	    TEST(a_baud_rate_is_left_alone),
	    TEST(without_a_known_clock_the_divisor_stays),
	    TEST(a_slow_line_loses_nothing),
	    TEST(a_stuck_line_costs_one_timeout_and_recovers),
	    TEST(a_line_is_not_stuck_because_we_are_stopped),
	    TEST(input_arrives),
	    TEST(where_nobody_answers_the_probe_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
