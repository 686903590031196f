/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises: rings of every size carry every chain there and back, over the wrap of all indices, with
 * and without event index and indirect tables; no notification that the device wants and no interrupt
 * that we want gets lost; and a device may write what it likes into its memory, whenever it likes:
 * the driver touches no memory but its own, hands out no cookie twice, ends, and says why once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <pith/compiler.h>
#include <pith/io.h>
#include <pith/page.h>
#include "read_counter.h"
#include "ring_model.h"

/* --- What virtqueue.c needs -------------------------------------------------------------------- */

static unsigned int breaks, notifications;
static const char *reason;
static int notify_register;

void *page_alloc(size_t count, size_t align, uint64_t below_pa)
{
	(void)below_pa;
	return aligned_alloc(align, count * PAGE_BYTES);
}

void page_free(void *pages, size_t count)
{
	(void)count;
	free(pages);
}

void virtio_break(struct virtio_device *dev, const char *why)
{
	if (dev->broken)
		return;
	dev->broken = true;
	breaks++;
	reason = why;
}

uint64_t model_read(const volatile void *addr, unsigned int bytes)
{
	(void)addr, (void)bytes;
	fail();
	return 0;
}

void model_write(volatile void *addr, unsigned int bytes, uint64_t value)
{
	assert_ptr_equal(addr, &notify_register);
	assert_int_equal(bytes, 4);
	assert_int_equal(value, 3);
	notifications++;
}

/* --- A queue and its device -------------------------------------------------------------------- */

static struct virtio_device dev;
static struct virtqueue q;
static struct ring_model r;

static void open_queue(unsigned int size, bool event_idx, unsigned int table_entries)
{
	dev = (struct virtio_device){0};
	q = (struct virtqueue){
	    .dev = &dev, .notify = &notify_register, .index = 3, .event_idx = event_idx};
	assert_int_equal(vq_init(&q, size, 4, table_entries), 0);
	memset(&r, 0, sizeof(r));
	r.desc = q.desc;
	r.avail = q.avail;
	r.used = q.used;
	r.size = size;
	r.event_idx = event_idx;
	r.indirect = table_entries != 0;
	breaks = notifications = 0;
	reason = "";
}

static int close_queue(void **state)
{
	(void)state;
	vq_free(&q);
	return 0;
}

static char memory[64];

/* A chain of out + in pieces; cookies are numbers from 1 on. */
static int add(unsigned int out, unsigned int in, uintptr_t cookie)
{
	struct vq_piece pieces[MODEL_PIECES];

	if (out == 0 && in == 1)
		return vq_add_one(&q, memory, 1, true, (void *)cookie);
	for (unsigned int i = 0; i < out + in; i++)
		pieces[i] = (struct vq_piece){memory, i + 1};
	return vq_add(&q, pieces, out, in, (void *)cookie);
}

static uintptr_t pop(uint32_t *bytes)
{
	void *cookie = vq_pop(&q);

	*bytes = q.popped_bytes;
	return (uintptr_t)cookie;
}

/* --- Honest devices ---------------------------------------------------------------------------- */

static void event_index_is_the_same_as_counting(void **state)
{
	(void)state;
	for (int n = 0; n < 200000; n++) {
		uint16_t before = (uint16_t)rand(), event = (uint16_t)(before + rand() % 9 - 4);
		uint16_t after = (uint16_t)(before + rand() % 8), at;
		bool crossed = false;

		for (at = before; at != after; at++)
			crossed |= at == event;
		assert_int_equal(vq_event_crossed(event, after, before), crossed);
	}
	assert_true(vq_event_crossed(0xffff, 0, 0xffff));
	assert_false(vq_event_crossed(0xfffe, 0, 0xffff));
}

static void every_size_fills_and_empties(void **state)
{
	static struct model_chain chain[QUEUE_SIZE_MAX];
	uint32_t bytes;

	for (unsigned int size = 1; size <= QUEUE_SIZE_MAX; size *= 2) {
		open_queue(size, size & 0x5555, 0);
		for (int lap = 0; lap < 3; lap++) {
			for (unsigned int i = 0; i < size; i++)
				assert_int_equal(add(0, 1, i + 1), 0);
			assert_false(vq_has_room(&q, 1));
			assert_int_equal(add(0, 1, size + 1), -ENOBUFS);
			assert_false(model_take(&r, &chain[0])); /* not told yet */
			vq_kick(&q);
			for (unsigned int i = 0; i < size; i++)
				assert_true(model_take(&r, &chain[i]));
			assert_false(model_take(&r, &chain[0]) && size > 1);
			for (unsigned int i = 0; i < size; i++)
				model_use_now(&r, &chain[size - 1 - i], 1);
			for (unsigned int i = 0; i < size; i++) {
				assert_int_equal(pop(&bytes), size - i);
				assert_int_equal(bytes, 1);
			}
			assert_int_equal(pop(&bytes), 0);
		}
		assert_int_equal(breaks, 0);
		close_queue(state);
	}
	open_queue(1, false, 0); /* for the teardown */
}

/* What is with the device, as the test knows it. */
struct pending {
	struct model_chain chain;
	uintptr_t cookie;
	uint32_t in_bytes;
};

/*
 * Random adds, kicks, uses in any order and pops, in lots of random size, until the 16-bit indices
 * have wrapped more than once. The device sleeps until it is notified, and we until interrupted: if
 * either was lost, the test would not end with everything returned.
 */
static void random_traffic(unsigned int size, bool event_idx, unsigned int table_entries)
{
	static uint32_t expected_in[200001], used_bytes[200001];
	static struct model_chain held[256];
	uintptr_t next_cookie = 1, returned = 0, last = 200000;
	unsigned int held_count = 0, in_ring = 0;
	bool device_awake = true, driver_awake = true;

	open_queue(size, event_idx, table_entries);
	memset(used_bytes, 0, sizeof(used_bytes));
	while (returned < last) {
		unsigned int seen_notifications = notifications;
		bool interrupt = false;

		if (driver_awake) {
			uint32_t bytes;
			uintptr_t cookie;

			while ((cookie = pop(&bytes))) {
				assert_true(cookie < next_cookie && used_bytes[cookie] != 0);
				assert_int_equal(bytes, used_bytes[cookie] - 1);
				used_bytes[cookie] = 0; /* not twice */
				returned++;
				in_ring--;
			}
			for (int lot = rand() % 6; lot > 0 && next_cookie <= last; lot--) {
				unsigned int out = (unsigned int)rand() % 4;
				unsigned int in = (unsigned int)rand() % 3 + (out == 0);

				if (!vq_has_room(&q, out + in)) {
					assert_int_equal(add(out, in, next_cookie), -ENOBUFS);
					break;
				}
				assert_int_equal(add(out, in, next_cookie), 0);
				expected_in[next_cookie] = 0;
				for (unsigned int i = out; i < out + in; i++)
					expected_in[next_cookie] += i + 1;
				next_cookie++;
				in_ring++;
			}
			vq_kick(&q);
			if (rand() % 2 && in_ring != 0)
				driver_awake = vq_arm(&q, (unsigned int)rand() % in_ring);
			else
				vq_hush(&q);
		}
		device_awake |= notifications != seen_notifications;
		if (device_awake) {
			unsigned int uses;
			uint16_t at = r.used->idx;

			while (held_count < ARRAY_LEN(held) && rand() % 8 &&
			       model_take(&r, &held[held_count]))
				held_count++;
			for (uses = held_count ? (unsigned int)rand() % (held_count + 1) : 0;
			     uses > 0; uses--) {
				unsigned int which = (unsigned int)rand() % held_count;
				struct model_chain *c = &held[which];
				uintptr_t cookie = (uintptr_t)q.slots[c->id].cookie;

				assert_int_equal(c->in_bytes, expected_in[cookie]);
				used_bytes[cookie] = 1 + (uint32_t)rand() % (c->in_bytes + 1);
				model_use(&r, c, used_bytes[cookie] - 1, at++);
				*c = held[--held_count];
			}
			interrupt = model_publish(&r, at);
			if (held_count == 0) {
				model_want_notify(&r, true);
				device_awake = r.avail->idx != r.avail_seen;
			} else {
				model_want_notify(&r, false);
			}
		}
		driver_awake |= interrupt;
		/* Both asleep with work under way: something was lost. */
		assert_true(device_awake || driver_awake || in_ring == 0);
		if (!device_awake && !driver_awake)
			driver_awake = true; /* a new request of our own */
		assert_int_equal(breaks, 0);
	}
	assert_int_equal(q.free_count, size);
	vq_free(&q);
}

static void random_traffic_arrives(void **state)
{
	for (unsigned int size = 8; size <= 256; size *= 2) {
		random_traffic(size, false, 0);
		random_traffic(size, true, 0);
		random_traffic(size, true, 8);
	}
	random_traffic(64, false, 3); /* some chains are too long for a table */
	open_queue(1, false, 0);
	(void)state;
}

static void a_device_that_wants_no_notification_gets_none(void **state)
{
	struct model_chain c;

	(void)state;
	for (int event_idx = 0; event_idx < 2; event_idx++) {
		if (event_idx)
			vq_free(&q);
		open_queue(8, event_idx, 0);
		add(1, 0, 1);
		vq_kick(&q);
		assert_int_equal(notifications, 1);
		model_take(&r, &c);
		model_want_notify(&r, false);
		add(1, 0, 2);
		vq_kick(&q);
		vq_kick(&q); /* nothing new */
		assert_int_equal(notifications, 1);
	}
}

static void interrupts_come_only_when_armed(void **state)
{
	struct model_chain c;
	uint32_t bytes;

	(void)state;
	for (int event_idx = 0; event_idx < 2; event_idx++) {
		if (event_idx)
			vq_free(&q);
		open_queue(8, event_idx, 0);
		for (uintptr_t i = 1; i <= 6; i++)
			add(1, 0, i);
		vq_kick(&q);
		assert_true(model_take(&r, &c));
		assert_false(model_use_now(&r, &c, 0)); /* a new queue is hushed */
		assert_true(vq_arm(&q, 0));             /* too late for an interrupt */
		assert_int_equal(pop(&bytes), 1);
		assert_false(vq_arm(&q, 1)); /* for the second one from here */
		assert_true(model_take(&r, &c));
		assert_int_equal(model_use_now(&r, &c, 0), !event_idx);
		assert_true(model_take(&r, &c));
		assert_true(model_use_now(&r, &c, 0));
		vq_hush(&q);
		assert_true(model_take(&r, &c));
		assert_false(model_use_now(&r, &c, 0));
	}
}

/* --- Devices that lie -------------------------------------------------------------------------- */

/* Three chains given: of 1, 3 and 1 descriptors; the first used and popped. */
static void give_three(bool event_idx)
{
	struct model_chain c;
	uint32_t bytes;

	open_queue(8, event_idx, 0);
	add(0, 1, 1);
	add(1, 2, 2);
	add(0, 1, 3);
	vq_kick(&q);
	assert_true(model_take(&r, &c));
	model_use_now(&r, &c, 1);
	assert_int_equal(pop(&bytes), 1);
}

static void expect_broken(const char *why)
{
	uint32_t bytes;
	uintptr_t left = 0;
	void *cookie;

	assert_int_equal(pop(&bytes), 0);
	assert_int_equal(breaks, 1);
	assert_non_null(strstr(reason, why));
	/* From here on nothing goes in or out, and what was outstanding comes back, once. */
	notifications = 0;
	vq_kick(&q);
	assert_int_equal(notifications, 0);
	assert_int_equal(pop(&bytes), 0);
	assert_int_equal(vq_pending(&q), 0);
	assert_false(vq_arm(&q, 0));
	while ((cookie = vq_drain(&q))) {
		assert_int_equal(left & 1u << (uintptr_t)cookie, 0);
		left |= 1u << (uintptr_t)cookie;
	}
	assert_int_equal(left, 1 << 2 | 1 << 3);
	assert_int_equal(breaks, 1);
}

static void say_used(uint32_t id, uint32_t bytes)
{
	r.used->ring[r.used->idx % r.size] = (struct vring_used_elem){id, bytes};
	r.used->idx++;
}

static void id_out_of_range(void **state)
{
	(void)state;
	give_three(false);
	say_used(8, 0);
	expect_broken("not given");
}

static void id_far_out_of_range(void **state)
{
	(void)state;
	give_three(true);
	say_used(UINT32_MAX, 0);
	expect_broken("not given");
}

static void id_with_a_valid_low_half(void **state)
{
	(void)state;
	give_three(false);
	say_used(0x10000u + r.avail->ring[1], 0);
	expect_broken("not given");
}

static void id_that_was_never_used(void **state)
{
	(void)state;
	give_three(false);
	say_used(7, 0);
	expect_broken("not given");
}

static void id_that_came_back_before(void **state)
{
	(void)state;
	give_three(true);
	say_used(r.avail->ring[0], 0);
	expect_broken("not given");
}

static void id_in_the_middle_of_a_chain(void **state)
{
	(void)state;
	give_three(false);
	say_used(r.desc[r.avail->ring[1]].next, 0);
	expect_broken("not given");
}

static void more_bytes_than_writable(void **state)
{
	uint32_t bytes;

	(void)state;
	give_three(false);
	say_used(r.avail->ring[2], 2); /* holds 1 */
	expect_broken("more than");
	vq_free(&q);

	give_three(false);
	say_used(r.avail->ring[1], 2 + 3); /* all that is writable of it; not the readable byte */
	assert_int_equal(pop(&bytes), 2);
	vq_free(&q);

	give_three(false);
	say_used(r.avail->ring[1], 2 + 3 + 1);
	expect_broken("more than");
}

static void index_jumps_ahead(void **state)
{
	(void)state;
	give_three(false);
	r.used->idx += 3; /* of 2 in flight */
	expect_broken("more buffers");
}

static void index_goes_back(void **state)
{
	(void)state;
	give_three(true);
	r.used->idx--;
	expect_broken("more buffers");
}

/* The ring's own words may say anything once they were written: ours are kept elsewhere. */
static void descriptors_made_a_loop_change_nothing(void **state)
{
	uint32_t bytes;
	uint16_t head;

	(void)state;
	give_three(false);
	head = r.avail->ring[1];
	for (unsigned int i = 0; i < 8; i++)
		r.desc[i] = (struct vring_desc){UINT64_MAX, UINT32_MAX, 0xffff, (uint16_t)i};
	say_used(head, 0);
	memset(r.avail, 0xff, 4 + 2 * 8);
	assert_int_equal(pop(&bytes), 2);
	assert_int_equal(q.free_count, 7);
	assert_int_equal(q.in_flight, 1);
	for (uintptr_t i = 4; i < 11; i++)
		assert_int_equal(add(1, 0, i), 0);
	assert_int_equal(add(1, 0, 11), -ENOBUFS);
	assert_int_equal(breaks, 0);
}

/* Whatever all of its memory holds: each cookie at most once, and an end. */
static void garbage_everywhere_is_survived(void **state)
{
	(void)state;
	for (int round = 0; round < 20000; round++) {
		bool given[64] = {false};
		uintptr_t next = 1, cookie;
		uint32_t bytes;

		if (round != 0)
			vq_free(&q);
		open_queue(8, rand() % 2, rand() % 2 ? 4 : 0);
		for (int step = 0; step < 20 && !dev.broken; step++) {
			uint8_t *from = (uint8_t *)q.desc,
			        *to = (uint8_t *)(model_avail_event(&r) + 1);

			if (next < ARRAY_LEN(given) && add((unsigned int)rand() % 3, 1, next) == 0)
				given[next++] = true;
			vq_kick(&q);
			for (int n = rand() % 4; n > 0; n--)
				from[rand() % (to - from)] = (uint8_t)rand();
			if (rand() % 2)
				say_used((uint32_t)rand() % 9, (uint32_t)rand() % 3);
			vq_arm(&q, (unsigned int)rand() % 8);
			for (int pops = 0; (cookie = pop(&bytes)); pops++) {
				assert_true(pops < 64 && cookie < next && given[cookie]);
				given[cookie] = false;
			}
		}
		virtio_break(&dev, "end");
		while ((cookie = (uintptr_t)vq_drain(&q))) {
			assert_true(given[cookie]);
			given[cookie] = false;
		}
		for (unsigned int i = 0; i < ARRAY_LEN(given); i++)
			assert_false(given[i]);
		assert_int_equal(breaks, 1);
	}
}

/* The device may change its mind between two looks, so there is only one at each of its words. */
static void a_word_is_read_once(void **state)
{
	struct model_chain c;
	uint32_t bytes;
	uintptr_t cookie;
	uint8_t *page;

	(void)state;
	open_queue(64, true, 0);
	page = (uint8_t *)((uintptr_t)q.used & ~(uintptr_t)(COUNTED_BYTES - 1));
	assert_in_range((uintptr_t)&q.used->ring[1], (uintptr_t)page, (uintptr_t)page + 4095);
	add(0, 1, 1);
	add(0, 1, 2);
	vq_kick(&q);
	while (model_take(&r, &c))
		model_use_now(&r, &c, 1);
	count_reads(page);
	cookie = pop(&bytes);
	count_reads_end();
	assert_int_equal(cookie, 1);
	assert_int_equal(access_count[(uint8_t *)&q.used->idx - page], 1);
	assert_int_equal(access_count[(uint8_t *)&q.used->ring[0].id - page], 1);
	assert_int_equal(access_count[(uint8_t *)&q.used->ring[0].bytes - page], 1);
	for (unsigned int i = 0; i < 64; i++) /* nor is anything read back of what we wrote */
		assert_int_equal(access_count[(uint8_t *)&q.desc[i] - page], 0);
}

#define T(f) cmocka_unit_test_teardown(f, close_queue)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(event_index_is_the_same_as_counting),
	    T(every_size_fills_and_empties),
	    T(random_traffic_arrives),
	    T(a_device_that_wants_no_notification_gets_none),
	    T(interrupts_come_only_when_armed),
	    T(id_out_of_range),
	    T(id_far_out_of_range),
	    T(id_with_a_valid_low_half),
	    T(id_that_was_never_used),
	    T(id_that_came_back_before),
	    T(id_in_the_middle_of_a_chain),
	    T(more_bytes_than_writable),
	    T(index_jumps_ahead),
	    T(index_goes_back),
	    T(descriptors_made_a_loop_change_nothing),
	    T(garbage_everywhere_is_survived),
	    T(a_word_is_read_once),
	};

	srand(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
