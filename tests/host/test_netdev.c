/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises: receive buffers scale from RAM within bounds; a freed buffer is on the free list and
 * nowhere else counted; whoever gives a buffer back to a dry ring wakes the network thread; a ring of
 * the bell is never lost, and wakes once; a device without a usable address gets a local one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <pith/entropy.h>
#include <pith/netdev.h>
#include <pith/page.h>
#include <pith/thread.h>
#include <pith/time.h>

static size_t total_bytes;
static unsigned int wakes;
static int (*while_waiting)(void); /* what happens in the meantime; returns waitq_wait's result */

void memory_info(struct memory_info *info)
{
	info->total_bytes = total_bytes;
}

static bool random_fails;

int random_bytes(void *buf, size_t count, bool nonblock)
{
	assert_true(nonblock);
	memset(buf, 0xff, count);
	return random_fails ? -EAGAIN : 0;
}

uint64_t time_now_ns(void)
{
	return 0x123456789abcull;
}

int waitq_wake_one(struct waitq *q)
{
	assert_false(list_empty(&q->waiters));
	wakes++;
	return 1;
}

int waitq_wait(struct waitq *q, uint64_t deadline_ns)
{
	struct list waiter;
	int result;

	assert_int_equal(deadline_ns, 77);
	assert_non_null(while_waiting);
	list_add_tail(&q->waiters, &waiter);
	result = while_waiting();
	list_remove(&waiter);
	return result;
}

static struct netdev dev = {.rx_buffers = 64, .rx_ring_low = 8};
static struct netbuf buffers[64];

static void no_usable_address_gets_a_local_one(void **state)
{
	static const uint8_t good[6] = {0x52, 0x54, 0, 1, 2, 3};
	static const uint8_t bad[][6] = {
	    {0}, {0x01, 0, 0x5e, 0, 0, 1}, {255, 255, 255, 255, 255, 255}};
	struct netdev d;

	(void)state;
	memcpy(d.mac, good, 6);
	netdev_ensure_mac(&d);
	assert_memory_equal(d.mac, good, 6);
	for (size_t i = 0; i < 6; i++) {
		memcpy(d.mac, bad[i / 2], 6);
		random_fails = i % 2;
		netdev_ensure_mac(&d);
		assert_int_equal(d.mac[0] & 3, 2);
	}
}

static unsigned int wanted(size_t bytes)
{
	total_bytes = bytes;
	return netdev_rx_buffers_wanted();
}

static void buffers_scale_from_ram(void **state)
{
	(void)state;
	assert_int_equal(wanted(0), 32);
	assert_int_equal(wanted(4u << 20), 32);
	assert_int_equal(wanted(8u << 20), 64);
	assert_int_equal(wanted(32u << 20), 256);
	assert_int_equal(wanted(64u << 20), 512);
	assert_int_equal(wanted((size_t)1 << 40), 512);
}

static void devices_stay_in_order(void **state)
{
	static struct netdev a, b;

	(void)state;
	assert_null(netdev_first());
	netdev_register(&a);
	netdev_register(&b);
	assert_ptr_equal(netdev_first(), &a);
	assert_ptr_equal(a.next, &b);
	assert_null(b.next);
}

static int nothing_happens(void)
{
	return -ETIMEDOUT;
}

static int somebody_kicks(void)
{
	netdev_kick();
	netdev_kick();
	return 0;
}

static int woken_for_nothing_then_kicked(void)
{
	while_waiting = somebody_kicks;
	return 0;
}

static void a_ring_of_the_bell_is_never_lost(void **state)
{
	(void)state;
	while_waiting = nothing_happens;
	assert_false(netdev_wait(77));
	netdev_signal(&dev); /* nobody waits: remembered */
	assert_int_equal(wakes, 0);
	while_waiting = NULL;
	assert_true(netdev_wait(77));
	while_waiting = nothing_happens;
	assert_false(netdev_wait(77)); /* once */
	while_waiting = somebody_kicks;
	assert_true(netdev_wait(77));
	assert_true(wakes >= 1);
	while_waiting = woken_for_nothing_then_kicked;
	assert_true(netdev_wait(77));
}

static bool rung(void)
{
	while_waiting = nothing_happens;
	return netdev_wait(77);
}

/* The stack holds `held`, `free_count` are on the list: the others are in the ring. */
static void hold(unsigned int held, unsigned int free_count)
{
	dev.free_list = NULL;
	dev.held_count = held;
	dev.free_count = free_count;
	for (unsigned int i = 0; i < 64; i++)
		buffers[i] = (struct netbuf){.dev = &dev};
}

static void freed_buffers_are_on_the_list(void **state)
{
	(void)state;
	hold(10, 0);
	netbuf_free(&buffers[3]);
	netbuf_free(&buffers[5]);
	assert_int_equal(dev.held_count, 8);
	assert_int_equal(dev.free_count, 2);
	assert_ptr_equal(dev.free_list, &buffers[5]);
	assert_ptr_equal(dev.free_list->next, &buffers[3]);
	assert_null(dev.free_list->next->next);
	assert_false(rung()); /* 54 in the ring: the next frame will do */
}

static void a_dry_ring_is_refilled_at_once(void **state)
{
	(void)state;
	hold(64, 0);
	netbuf_free(&buffers[0]);
	assert_true(rung());
	netbuf_free(&buffers[1]); /* not refilled yet */
	assert_true(rung());
	hold(40, 20); /* too few in the ring for a jumbo frame */
	netbuf_free(&buffers[0]);
	assert_true(rung());
	hold(40, 16);
	netbuf_free(&buffers[0]);
	assert_false(rung());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(buffers_scale_from_ram),
	    cmocka_unit_test(no_usable_address_gets_a_local_one),
	    cmocka_unit_test(devices_stay_in_order),
	    cmocka_unit_test(a_ring_of_the_bell_is_never_lost),
	    cmocka_unit_test(freed_buffers_are_on_the_list),
	    cmocka_unit_test(a_dry_ring_is_refilled_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
