/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises: the log is kept until there is a console, and then printed once, in order, in whole lines,
 * with the time; a UART that stdout-path does not name is left alone while the named one may come,
 * unless the machine ends before; the log never breaks into a thread's write; the ring keeps the last
 * 8 KiB in whole lines; reads give lines, EAGAIN or end of file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>
#include <pith/console.h>
#include <pith/file.h>
#include <pith/log.h>
#include <pith/time.h>

/* ---- What console and log stand on ---- */

static uint64_t now_ns;
static dt_node stdout_node = DT_NONE;
static unsigned int notified;
static void (*while_waiting)(void); /* what happens in file_wait */

bool thread_switch_pending;

uint64_t time_now_ns(void)
{
	return now_ns;
}

dt_node dt_stdout(const char **options)
{
	*options = NULL;
	return stdout_node;
}

void mutex_lock(struct mutex *m)
{
	assert_null(m->owner);
	m->owner = (struct thread *)m;
}

void mutex_unlock(struct mutex *m)
{
	m->owner = NULL;
}

void file_init(struct file *f, const struct file_ops *ops, int flags)
{
	f->ops = ops;
	f->flags = flags;
}

int file_wait(struct file *f, uint64_t deadline_ns)
{
	(void)f;
	(void)deadline_ns;
	assert_non_null(while_waiting);
	while_waiting();
	return 0;
}

void ready_notify(struct ready *r, uint32_t events)
{
	(void)r;
	assert_int_equal(events, EPOLLIN);
	notified++;
}

ssize_t iov_bytes(const struct iovec *iov, int iov_count)
{
	ssize_t total = 0;

	for (int i = 0; i < iov_count; i++)
		total += iov[i].iov_len;
	return total;
}

/* ---- A UART that keeps what it sends ---- */

struct uart {
	struct console console;
	char sent[100000];
	size_t bytes;
	unsigned int longest;
	bool input_enabled;
	void (*while_sending)(void);
};

static void uart_write(struct console *c, const char *bytes, size_t count)
{
	struct uart *u = container_of(c, struct uart, console);

	memcpy(u->sent + u->bytes, bytes, count);
	u->bytes += count;
	u->sent[u->bytes] = '\0';
	u->longest = MAX(u->longest, count);
	if (u->while_sending)
		u->while_sending();
}

static void uart_enable_input(struct console *c)
{
	container_of(c, struct uart, console)->input_enabled = true;
}

CONSOLE_INPUT(uart_write, uart_enable_input);

static struct uart modem = {.console = {"modem", 7, uart_write, NULL}};
static struct uart uart = {.console = {"uart", 8, uart_write, NULL}};

static const char *sent(struct uart *u)
{
	static char copy[sizeof(u->sent)];

	strcpy(copy, u->sent);
	u->bytes = 0;
	u->sent[0] = '\0';
	return copy;
}

static ssize_t put(const char *text)
{
	struct file *f = console_file();
	/* In two buffers, as stdio does. */
	size_t first = strlen(text) / 2;
	struct iovec iov[] = {{(char *)text, first}, {(char *)text + first, strlen(text) - first}};

	return f->ops->write(f, iov, 2);
}

static char line[300];

static ssize_t get(size_t max)
{
	struct file *f = console_file();
	struct iovec iov[] = {{line, MIN(max, 2)}, {line + 2, max > 2 ? max - 2 : 0}};
	ssize_t count;

	memset(line, 0, sizeof(line));
	count = f->ops->read(f, iov, 2);
	return count;
}

static void type(const char *keys)
{
	while (*keys)
		console_input(*keys++);
}

/* ---- The promises, in the order of a boot ---- */

static void before_a_console_lines_are_kept(void **state)
{
	char buf[100];
	size_t count;

	(void)state;
	klog("first");
	now_ns = 1234567;
	klog("second %d", 2);
	count = klog_read(buf, sizeof(buf));
	assert_int_equal(count, strlen(buf));
	assert_string_equal(buf, "[   0.000000] first\n[   0.001234] second 2\n");
	/* No room for both: whole lines only. */
	klog_read(buf, 40);
	assert_string_equal(buf, "[   0.001234] second 2\n");
	assert_int_equal(klog_read(buf, 5), 0);
	assert_int_equal(klog_read(buf, 0), 0);
}

/* In a process of its own, where nothing comes after. */
static void a_panic_before_the_named_one_takes_what_there_is(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		stdout_node = 8;
		console_register(&modem.console);
		klog("panic");
		console_seize();
		_exit(!strstr(sent(&modem), "] panic\r\n"));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void what_stdout_path_does_not_name_is_left_alone(void **state)
{
	(void)state;
	stdout_node = 8;
	console_register(&modem.console);
	klog("third");
	assert_string_equal(sent(&modem), "");
	console_register(&uart.console);
	assert_string_equal(sent(&uart), "[   0.000000] first\r\n[   0.001234] second 2\r\n"
	                                 "[   0.001234] third\r\n");
	assert_true(console_choose());
	klog("fourth");
	assert_string_equal(sent(&uart), "[   0.001234] fourth\r\n");
	assert_string_equal(sent(&modem), "");
	assert_false(uart.input_enabled);
	console_file();
	assert_true(uart.input_enabled);
}

static void times_grow(void **state)
{
	(void)state;
	now_ns = 9999 * NS_PER_S + 999999999;
	klog("x");
	assert_string_equal(sent(&uart), "[9999.999999] x\r\n");
	now_ns = 12345678 * NS_PER_S;
	klog("x");
	assert_string_equal(sent(&uart), "[12345678.000000] x\r\n");
	now_ns = UINT64_MAX;
	klog("x");
	assert_string_equal(sent(&uart), "[18446744073.709551] x\r\n");
	now_ns = 0;
}

static void a_log_line_starts_afresh(void **state)
{
	(void)state;
	assert_int_equal(put("prompt> "), 8);
	klog("x");
	put("text\n");
	klog("y");
	assert_string_equal(sent(&uart),
	                    "prompt> \r\n[   0.000000] x\r\ntext\r\n[   0.000000] y\r\n");
}

static void log_amid_write(void)
{
	static int times;

	if (times++ < 3)
		klog("interrupt %d", times);
}

static void the_log_waits_for_a_write_to_end(void **state)
{
	(void)state;
	uart.longest = 0;
	uart.while_sending = log_amid_write;
	put("a long line, of more than one piece, with the log in between\n");
	uart.while_sending = NULL;
	assert_string_equal(sent(&uart),
	                    "a long line, of more than one piece, with the log in between\r\n"
	                    "[   0.000000] interrupt 1\r\n[   0.000000] interrupt 2\r\n"
	                    "[   0.000000] interrupt 3\r\n");
}

static void seize_amid_write(void)
{
	uart.while_sending = NULL;
	klog("panic");
	assert_null(strstr(uart.sent, "panic"));
	console_seize();
	assert_non_null(strstr(uart.sent, "\r\n[   0.000000] panic\r\n"));
}

static void panic_does_not_wait(void **state)
{
	(void)state;
	uart.while_sending = seize_amid_write;
	put("something that is being written");
	sent(&uart);
	klog("x");
	sent(&uart);
}

static void interrupts_are_masked_for_short_pieces_only(void **state)
{
	char text[1000];

	(void)state;
	memset(text, 'x', sizeof(text) - 2);
	strcpy(text + sizeof(text) - 2, "\n");
	uart.longest = 0;
	put(text);
	assert_in_range(uart.longest, 1, 16);
	assert_int_equal(strlen(sent(&uart)), sizeof(text));
}

static void an_overlong_line_is_cut(void **state)
{
	char text[1000];
	const char *out;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	klog("%s", text);
	klog("next");
	out = sent(&uart);
	assert_non_null(strstr(out, "xx\r\n[   0.000000] next\r\n"));
	assert_in_range(strlen(out), 200, 300);
}

static void the_ring_keeps_the_last_whole_lines(void **state)
{
	static char all[200000], buf[9000];
	size_t end = 0, got;

	(void)state;
	srand(1);
	for (int i = 0; i < 2000; i++) {
		char text[200];

		memset(text, 'a' + i % 26, sizeof(text));
		text[rand() % sizeof(text)] = '\0';
		text[sizeof(text) - 1] = '\0';
		klog("%d %s", i, text);
		end += sprintf(all + end, "[   0.000000] %d %s\n", i, text);
		got = klog_read(buf, sizeof(buf));
		assert_true(got <= 8192);
		if (end > 8192) {
			assert_true(got > 8192 - 256);
			assert_int_equal(buf[0], '[');
			assert_string_equal(buf, all + end - got);
		}
		if (end > sizeof(all) - 300) {
			memmove(all, all + end - 10000, 10001);
			end = 10000;
		}
		sent(&uart);
	}
}

/* More than the ring holds while a thread writes: the oldest lines are lost, whole. */
static void log_flood(void)
{
	uart.while_sending = NULL;
	for (int i = 0; i < 1000; i++)
		klog("flood %d", i);
}

static void a_flood_loses_the_oldest_lines(void **state)
{
	const char *out;

	(void)state;
	uart.while_sending = log_flood;
	put("x\n");
	out = sent(&uart);
	assert_memory_equal(out, "x\r\n[   0.000000] flood ", 23);
	assert_non_null(strstr(out, "flood 999\r\n"));
	assert_null(strstr(out, "flood 0\r\n"));
}

static void reads_give_lines(void **state)
{
	struct file *f = console_file();

	(void)state;
	assert_int_equal(f->ops->poll(f), EPOLLOUT);
	f->flags |= O_NONBLOCK;
	assert_int_equal(get(99), -EAGAIN);
	type("hel");
	assert_int_equal(get(99), -EAGAIN);
	assert_int_equal(notified, 0);
	type("lo\rx\r");
	assert_int_equal(notified, 1);
	assert_string_equal(sent(&uart), "hello\r\nx\r\n");
	assert_int_equal(f->ops->poll(f), EPOLLIN | EPOLLOUT);
	assert_int_equal(get(3), 3);
	assert_string_equal(line, "hel");
	assert_int_equal(get(99), 3);
	assert_string_equal(line, "lo\n");
	assert_int_equal(get(99), 2); /* ends with the first buffer */
	assert_string_equal(line, "x\n");
	assert_int_equal(get(99), -EAGAIN);
	f->flags &= ~O_NONBLOCK;
}

static void type_a_line(void)
{
	type("x");
	while_waiting = NULL;
	type("y\r");
}

static void press_control_d(void)
{
	type("\x04");
}

static void a_read_waits_for_a_line_or_end_of_file(void **state)
{
	struct iovec nothing = {line, 0};
	struct file *f = console_file();

	(void)state;
	while_waiting = type_a_line;
	assert_int_equal(get(99), 3);
	assert_string_equal(line, "xy\n");
	while_waiting = press_control_d;
	assert_int_equal(get(99), 0);
	assert_int_equal(f->ops->read(f, &nothing, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(before_a_console_lines_are_kept),
	    cmocka_unit_test(a_panic_before_the_named_one_takes_what_there_is),
	    cmocka_unit_test(what_stdout_path_does_not_name_is_left_alone),
	    cmocka_unit_test(times_grow),
	    cmocka_unit_test(a_log_line_starts_afresh),
	    cmocka_unit_test(the_log_waits_for_a_write_to_end),
	    cmocka_unit_test(panic_does_not_wait),
	    cmocka_unit_test(interrupts_are_masked_for_short_pieces_only),
	    cmocka_unit_test(an_overlong_line_is_cut),
	    cmocka_unit_test(the_ring_keeps_the_last_whole_lines),
	    cmocka_unit_test(a_flood_loses_the_oldest_lines),
	    cmocka_unit_test(reads_give_lines),
	    cmocka_unit_test(a_read_waits_for_a_line_or_end_of_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
