/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises, for the network driver against a model at register level: frames of every size go out and
 * come in whole, in order and once, with every feature set and ring size, over both versions of the
 * transport; every transmitted frame's cookie comes back in bounded time, without traffic and even
 * from a dead device; every received buffer is either in the ring, on the free list or held; a
 * checksum counts as good only when the device says so and was allowed to; a full ring is backpressure
 * and a device that breaks rules is disabled, once, with a reason, whatever it writes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "read_counter.h"
#include "virtio_model.h"
#include <pith/netdev.h>

#define F_CSUM       (1ull << 0)
#define F_GUEST_CSUM (1ull << 1)
#define F_MTU        (1ull << 3)
#define F_MAC        (1ull << 5)
#define F_GUEST_TSO4 (1ull << 7)
#define F_GUEST_TSO6 (1ull << 8)
#define F_GUEST_ECN  (1ull << 9)
#define F_HOST_TSO4  (1ull << 11)
#define F_HOST_TSO6  (1ull << 12)
#define F_HOST_ECN   (1ull << 13)
#define F_MRG_RXBUF  (1ull << 15)
#define F_STATUS     (1ull << 16)
#define F_PACKED     (1ull << 34)
#define F_OFFLOADS   (F_CSUM | F_GUEST_CSUM | F_HOST_TSO4 | F_HOST_TSO6)
#define F_GUEST_TSO  (F_GUEST_TSO4 | F_GUEST_TSO6)
#define F_ALL                                                                           \
	(F_OFFLOADS | F_MTU | F_MAC | F_MRG_RXBUF | F_STATUS | VIRTIO_F_INDIRECT_DESC | \
	 VIRTIO_F_EVENT_IDX)

static struct netdev *dev;

/* --- The rest of the kernel that the driver needs ---------------------------------------------- */

static size_t ram_bytes;
static struct timer *armed_timer;

void memory_info(struct memory_info *info)
{
	info->total_bytes = ram_bytes;
}

void timer_arm(struct timer *t, uint64_t deadline_ns)
{
	assert_false(t->armed);
	t->armed = true;
	t->deadline_ns = deadline_ns;
	armed_timer = t;
}

static bool random_fails;

int random_bytes(void *buf, size_t count, bool nonblock)
{
	assert_true(nonblock);
	memset(buf, 0xff, count);
	return random_fails ? -EAGAIN : 0;
}

/* Whether the network thread was signalled since it last asked. */
static bool signalled(void)
{
	return netdev_wait(0);
}

static void time_passes(void)
{
	if (!armed_timer || !armed_timer->armed)
		return;
	model_now_ns = MAX(model_now_ns, armed_timer->deadline_ns);
	armed_timer->armed = false;
	armed_timer->expired(armed_timer);
}

/* --- The device -------------------------------------------------------------------------------- */

struct header {
	uint8_t flags, gso_type;
	uint16_t header_bytes, gso_bytes, csum_start, csum_offset, num_buffers;
};

#define RX (&model.queue[0].r)
#define TX (&model.queue[1].r)

static unsigned int header_bytes(void)
{
	return model.version == 2 || (model.accepted & F_MRG_RXBUF) ? 12 : 10;
}

static uint8_t *at(const struct vring_desc *d)
{
	return (uint8_t *)(uintptr_t)d->pa;
}

/* Copy into a chain from its at-th byte on. */
static void put(const struct model_chain *c, size_t offset, const void *from, size_t bytes)
{
	for (unsigned int i = 0; i < c->count && bytes != 0; i++) {
		size_t n = c->piece[i].bytes;

		if (offset < n) {
			n = MIN(n - offset, bytes);
			memcpy(at(&c->piece[i]) + offset, from, n);
			from = (const uint8_t *)from + n;
			bytes -= n;
			offset = 0;
		} else {
			offset -= n;
		}
	}
	assert_int_equal(bytes, 0);
}

static bool takes_any_layout(void)
{
	return model.accepted & (VIRTIO_F_VERSION_1 | VIRTIO_F_ANY_LAYOUT);
}

/* Take a frame that the driver sent, and its header. Returns its bytes, 0: none. */
static size_t device_take(struct model_chain *c, struct header *h, uint8_t *frame)
{
	size_t bytes;

	if (!MODEL_RUNNING || !model_take(TX, c))
		return 0;
	assert_int_equal(c->in_bytes, 0);
	/* Legacy devices want the header by itself: section 5.1.6.6.1. */
	assert_true(c->piece[0].bytes == header_bytes() ||
	            (takes_any_layout() && c->piece[0].bytes > header_bytes()));
	memset(h, 0, sizeof(*h));
	memcpy(h, at(&c->piece[0]), header_bytes());
	bytes = c->piece[0].bytes - header_bytes();
	memcpy(frame, at(&c->piece[0]) + header_bytes(), bytes);
	for (unsigned int i = 1; i < c->count; i++) {
		memcpy(frame + bytes, at(&c->piece[i]), c->piece[i].bytes);
		bytes += c->piece[i].bytes;
	}
	return bytes;
}

/*
 * Put a frame into receive buffers, as a device with mergeable buffers does: piece bytes of it into
 * each (0: as many as fit). Returns whether there was room.
 */
static bool device_receive(const uint8_t *frame, size_t bytes, struct header h, size_t piece)
{
	static struct model_chain c[64];
	unsigned int count = 0;
	uint16_t idx = RX->used->idx;
	size_t done = 0, skip = header_bytes();
	uint32_t used[64];

	while (done < bytes) {
		size_t room;

		if (count == ARRAY_LEN(c) || !model_take(RX, &c[count])) {
			/* Not enough: put them back as if never taken. */
			RX->avail_seen = (uint16_t)(RX->avail_seen - count);
			while (count-- > 0)
				model_use(RX, &c[count], 0, idx);
			return false;
		}
		assert_int_equal(c[count].out_count, 0);
		if (!(model.accepted & (F_MRG_RXBUF | VIRTIO_F_ANY_LAYOUT)) && model.version == 1)
			assert_int_equal(c[count].piece[0].bytes, header_bytes());
		room = c[count].in_bytes - skip;
		if (model.accepted & F_MRG_RXBUF)
			room = MIN(room, piece ? piece : SIZE_MAX);
		room = MIN(room, bytes - done);
		put(&c[count], skip, frame + done, room);
		used[count++] = (uint32_t)(room + skip);
		done += room;
		skip = 0;
	}
	h.num_buffers = (uint16_t)count;
	put(&c[0], 0, &h, header_bytes());
	for (unsigned int i = 0; i < count; i++)
		model_use(RX, &c[i], used[i], (uint16_t)(idx + i));
	if (model_publish(RX, (uint16_t)(idx + count)))
		model_interrupt(1);
	return true;
}

static void device_finish(const struct model_chain *c)
{
	if (model_use_now(TX, c, 0))
		model_interrupt(1);
}

/* --- The stack --------------------------------------------------------------------------------- */

#define COOKIES 4096
static uint8_t cookie_state[COOKIES]; /* 1: with the driver */
static unsigned int cookies_out;

static void transmit_done(struct netdev *d, void *cookie)
{
	size_t i = (uintptr_t)cookie - 1;

	assert_ptr_equal(d, dev);
	assert_true(i < COOKIES && cookie_state[i] == 1);
	cookie_state[i] = 0;
	cookies_out--;
}

static int send_frags(const struct netdev_frag *frags, unsigned int count, struct netdev_tx tx)
{
	size_t i = 0;
	int err;

	while (cookie_state[i])
		assert_true(++i < COOKIES);
	tx.frags = frags;
	tx.frag_count = count;
	tx.cookie = (void *)(i + 1);
	cookie_state[i] = 1;
	cookies_out++;
	err = dev->ops->transmit(dev, &tx);
	if (err < 0) {
		assert_int_equal(cookie_state[i], 1); /* not ours to be given back */
		cookie_state[i] = 0;
		cookies_out--;
	}
	return err;
}

static int send(const uint8_t *frame, size_t bytes)
{
	struct netdev_frag frag = {frame, (uint32_t)bytes};

	return send_frags(&frag, 1, (struct netdev_tx){0});
}

static void free_frame(struct netbuf *nb)
{
	while (nb) {
		struct netbuf *next = nb->next;

		netbuf_free(nb);
		nb = next;
	}
}

static size_t flatten(const struct netbuf *nb, uint8_t *to)
{
	size_t bytes = 0;

	for (; nb; nb = nb->next) {
		assert_ptr_equal(nb->dev, dev);
		memcpy(to + bytes, nb->data, nb->bytes);
		bytes += nb->bytes;
	}
	return bytes;
}

static void net_begin(uint32_t version, uint64_t offered, uint32_t queue_max)
{
	static const uint8_t mac[6] = {0x52, 0x54, 0, 1, 2, 3};

	model_begin(1, version, offered, queue_max);
	memcpy(model.config, mac, sizeof(mac));
	*(uint16_t *)(model.config + 6) = 1;
	*(uint16_t *)(model.config + 10) = 1500;
	ram_bytes = 8u << 20;
	armed_timer = NULL;
	random_fails = false;
	memset(cookie_state, 0, sizeof(cookie_state));
	cookies_out = 0;
}

static void net_probe(void)
{
	assert_int_equal(model_probe(0), 0);
	assert_true(MODEL_RUNNING);
	dev = netdev_first();
	while (dev->next)
		dev = dev->next;
	dev->transmit_done = transmit_done;
	signalled();
	dev->ops->refill(dev);
	log_lines = 0;
}

static void net_up(uint32_t version, uint64_t offered, uint32_t queue_max)
{
	net_begin(version, offered, queue_max);
	net_probe();
}

/* Every buffer is in one place. */
static void check_buffers(void)
{
	unsigned int listed = 0;
	uint16_t in_ring = (uint16_t)(RX->avail->idx - RX->used->idx);

	for (struct netbuf *nb = dev->free_list; nb; nb = nb->next)
		listed++;
	assert_true(listed <= dev->free_count);
	if (!(model.accepted & F_MRG_RXBUF))
		assert_int_equal(in_ring + dev->free_count + dev->held_count, dev->rx_buffers);
}

static void fill(uint8_t *p, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		p[i] = (uint8_t)rand();
}

/* --- Probe ------------------------------------------------------------------------------------- */

static void what_is_offered_is_taken_or_left(void **state)
{
	(void)state;
	net_up(2, F_ALL | F_HOST_ECN | F_PACKED, 256);
	assert_int_equal(model.accepted, F_ALL | VIRTIO_F_VERSION_1);
	assert_int_equal(dev->features,
	                 NETDEV_TX_CSUM | NETDEV_RX_CSUM | NETDEV_TX_TSO4 | NETDEV_TX_TSO6);
	assert_memory_equal(dev->mac, model.config, 6);
	net_up(2, F_ALL & ~F_CSUM, 256); /* segmentation needs checksums: section 5.1.3.1 */
	assert_int_equal(model.accepted & (F_HOST_TSO4 | F_HOST_TSO6), 0);
	assert_int_equal(dev->features, NETDEV_RX_CSUM);
	net_up(1, 0, 256);
	assert_int_equal(model.accepted, 0);
	assert_int_equal(dev->features, 0);
	assert_true(dev->link_up);
}

static uint64_t large_receive(size_t ram, uint64_t offered, uint32_t queue_max)
{
	net_begin(2, offered | F_GUEST_TSO | F_GUEST_ECN, queue_max);
	ram_bytes = ram;
	net_probe();
	return model.accepted & (F_GUEST_TSO | F_GUEST_ECN);
}

/* A frame of 64 KiB takes 33 buffers, and the device waits until they are there. */
static void large_receive_needs_room_and_what_it_rests_on(void **state)
{
	(void)state;
	assert_int_equal(large_receive(16u << 20, F_ALL, 256), F_GUEST_TSO);
	assert_int_equal(dev->rx_buffers, 128);
	assert_int_equal(dev->rx_ring_low, 33);
	assert_int_equal(dev->rx_free_low, 66);
	assert_true(RX->avail->idx >= 33);
	assert_int_equal(large_receive(64u << 20, F_ALL, 128), F_GUEST_TSO);
	assert_int_equal(dev->rx_free_low, 128);
	assert_int_equal(large_receive(8u << 20, F_ALL, 256), 0);
	assert_int_equal(dev->rx_ring_low, 8);
	assert_int_equal(large_receive(64u << 20, F_ALL, 64), 0);
	assert_int_equal(large_receive(64u << 20, F_ALL & ~F_MRG_RXBUF, 256), 0);
	assert_int_equal(large_receive(64u << 20, F_ALL & ~F_GUEST_CSUM, 256), 0);
}

static void no_usable_address_gets_a_local_one(void **state)
{
	static const uint8_t bad[][6] = {
	    {0}, {0x01, 0, 0x5e, 0, 0, 1}, {255, 255, 255, 255, 255, 255}};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LEN(bad) + 2; i++) {
		net_begin(2, i / 2 < ARRAY_LEN(bad) ? F_ALL : F_ALL & ~F_MAC, 256);
		if (i / 2 < ARRAY_LEN(bad))
			memcpy(model.config, bad[i / 2], 6);
		random_fails = i % 2;
		net_probe();
		assert_int_equal(dev->mac[0] & 3, 2);
	}
}

static void mtu(uint64_t offered, uint16_t says, uint16_t expected)
{
	net_begin(2, offered, 256);
	*(uint16_t *)(model.config + 10) = says;
	net_probe();
	assert_int_equal(dev->mtu, expected);
	assert_int_equal((model.accepted & F_MTU) != 0, says == expected && (offered & F_MTU));
}

static void only_a_sane_mtu_is_taken(void **state)
{
	(void)state;
	mtu(F_ALL, 1400, 1400);
	mtu(F_ALL, 9000, 9000);
	mtu(F_ALL, 68, 68);
	mtu(F_ALL, 67, 1500);
	mtu(F_ALL, 0, 1500);
	mtu(F_ALL, 65535, 1500);
	mtu(F_ALL & ~F_MRG_RXBUF, 9000, 1500);
	mtu(F_ALL & ~F_MRG_RXBUF, 2000, 2000);
	mtu(F_ALL & ~F_MTU, 1400, 1500);
}

static void buffers_enter_the_ring_in_lots(void **state)
{
	(void)state;
	net_begin(2, F_ALL, 1024);
	ram_bytes = 64u << 20;
	net_probe();
	assert_int_equal(dev->rx_buffers, 512);
	assert_int_equal(RX->avail->idx, 33);
	assert_int_equal(dev->free_count, 479);
	for (int i = 0; i < 20; i++)
		dev->ops->refill(dev);
	assert_in_range(RX->avail->idx, 512 - 128, 512); /* few are not worth it */
	assert_int_equal(dev->free_count, 512 - RX->avail->idx);
	check_buffers();
}

/* --- Traffic ----------------------------------------------------------------------------------- */

#define FRAME_MAX 70000
struct sent {
	size_t bytes;
	struct header header;
	uint8_t frame[FRAME_MAX];
};

/*
 * Frames out by random fragments, looped back by the device after a while, in order, into buffers cut
 * at random; some are held for long, some dropped for want of buffers. In the end nothing is missing.
 */
static void loop_back(size_t frame_max, int rounds)
{
	enum { WINDOW = 24, HELD = 8 };
	static struct sent on_wire[WINDOW];
	static uint8_t got[FRAME_MAX], out[COOKIES][2048];
	struct netbuf *held[HELD] = {NULL};
	struct model_chain finished[WINDOW];
	unsigned int wire_first = 0, wire_count = 0, unfinished = 0, received = 0;

	for (int round = 0; round < rounds; round++) {
		struct netbuf *nb;

		for (int lot = rand() % 4; lot > 0; lot--) {
			struct netdev_frag frags[NETDEV_MAX_FRAGS];
			unsigned int count = 1 + (unsigned int)rand() % NETDEV_MAX_FRAGS;
			size_t bytes = 60 + (size_t)rand() % (frame_max - 60), left = bytes;
			static unsigned int slot;
			uint8_t *frame = out[slot++ % COOKIES];

			if (bytes > sizeof(out[0]))
				break;
			fill(frame, bytes);
			for (unsigned int i = 0; i < count; i++) {
				size_t n = i + 1 == count
				               ? left
				               : 1 + (size_t)rand() % (left - (count - i));

				frags[i] = (struct netdev_frag){frame + bytes - left, (uint32_t)n};
				left -= n;
			}
			if (send_frags(frags, count, (struct netdev_tx){0}) == -ENOBUFS)
				break;
		}
		dev->ops->flush(dev);
		/* The device: takes, finishes later, loops back later still. */
		while (wire_count < WINDOW && unfinished < WINDOW && rand() % 4) {
			struct sent *s = &on_wire[(wire_first + wire_count) % WINDOW];

			s->bytes = device_take(&finished[unfinished], &s->header, s->frame);
			if (s->bytes == 0)
				break;
			unfinished++;
			wire_count++;
		}
		while (unfinished != 0 && rand() % 3) {
			unsigned int which = (unsigned int)rand() % unfinished;

			device_finish(&finished[which]);
			finished[which] = finished[--unfinished];
		}
		while (wire_count != 0 && rand() % 3) {
			struct sent *s = &on_wire[wire_first];
			struct header h = {0};

			if (!device_receive(s->frame, s->bytes, h, 100 + (size_t)rand() % 1000))
				break;
			nb = dev->ops->receive(dev);
			assert_non_null(nb);
			assert_int_equal(flatten(nb, got), s->bytes);
			assert_memory_equal(got, s->frame, s->bytes);
			assert_int_equal(nb->flags, 0);
			free_frame(held[received % HELD]);
			held[received % HELD] = nb;
			received++;
			wire_first = (wire_first + 1) % WINDOW;
			wire_count--;
		}
		assert_null(dev->ops->receive(dev));
		check_buffers();
		dev->ops->refill(dev);
		if (rand() % 2)
			dev->ops->reap(dev);
	}
	assert_true(received > (unsigned int)rounds / 4);
	for (unsigned int i = 0; i < HELD; i++)
		free_frame(held[i]);
	while (unfinished != 0)
		device_finish(&finished[--unfinished]);
	for (struct sent s; device_take(&finished[0], &s.header, s.frame) != 0;)
		device_finish(&finished[0]);
	dev->ops->reap(dev);
	assert_int_equal(cookies_out, 0);
	assert_int_equal(dev->held_count, 0);
	assert_false(dev->broken);
	assert_int_equal(log_lines, 0);
}

static void frames_pass_whatever_is_negotiated(void **state)
{
	static const uint64_t features[] = {
	    0,     VIRTIO_F_EVENT_IDX,   VIRTIO_F_INDIRECT_DESC, VIRTIO_F_ANY_LAYOUT, F_MRG_RXBUF,
	    F_ALL, F_ALL & ~F_MRG_RXBUF,
	};

	(void)state;
	for (uint32_t version = 1; version <= 2; version++) {
		for (uint32_t size = 2; size <= 1024; size *= 2) {
			for (size_t i = 0; i < ARRAY_LEN(features); i++) {
				net_up(version, features[i], size);
				loop_back(1514, size < 8 ? 300 : 1000);
			}
		}
	}
}

static void the_indices_wrap(void **state)
{
	(void)state;
	net_up(2, F_ALL, 256);
	for (int i = 0; i < 70000; i++) {
		static const uint8_t frame[60] = "wrap";
		struct model_chain c;
		struct header h;
		uint8_t got[60];

		assert_int_equal(send(frame, sizeof(frame)), 0);
		dev->ops->flush(dev);
		assert_int_equal(device_take(&c, &h, got), 60);
		device_finish(&c);
		assert_true(device_receive(frame, 60, (struct header){0}, 0));
		free_frame(dev->ops->receive(dev));
		dev->ops->refill(dev);
		dev->ops->reap(dev);
	}
	assert_int_equal(cookies_out, 0);
	assert_false(dev->broken);
}

/* An eighth of the ring at a time, unless the ring runs low. */
static void buffers_go_back_in_lots(void **state)
{
	static const uint8_t frame[60];

	(void)state;
	net_up(2, F_ALL, 64);
	dev->ops->refill(dev);
	assert_int_equal(RX->avail->idx, 64);
	for (int i = 1; i <= 24; i++) {
		assert_true(device_receive(frame, 60, (struct header){0}, 0));
		free_frame(dev->ops->receive(dev));
		dev->ops->refill(dev);
		assert_int_equal(RX->avail->idx, 64 + i / 8 * 8);
	}
	for (int i = 0; i < 57; i++) { /* these are kept */
		assert_true(device_receive(frame, 60, (struct header){0}, 0));
		assert_non_null(dev->ops->receive(dev));
	}
	assert_int_equal(dev->held_count, 57);
	assert_true(device_receive(frame, 60, (struct header){0}, 0));
	free_frame(dev->ops->receive(dev));
	dev->ops->refill(dev);
	assert_int_equal(RX->avail->idx, 64 + 24 + 1);
}

static void jumbo_frames_arrive_in_pieces(void **state)
{
	static uint8_t frame[9018], got[9018];
	struct netbuf *nb;

	(void)state;
	net_begin(2, F_ALL, 256);
	*(uint16_t *)(model.config + 10) = 9000;
	net_probe();
	fill(frame, sizeof(frame));
	assert_true(device_receive(frame, sizeof(frame), (struct header){0}, 0));
	nb = dev->ops->receive(dev);
	assert_non_null(nb);
	assert_int_equal(dev->held_count, 5);
	assert_int_equal(flatten(nb, got), sizeof(got));
	assert_memory_equal(got, frame, sizeof(got));
	free_frame(nb);
	assert_int_equal(dev->held_count, 0);
}

static struct netbuf *receive_large(const uint8_t *frame, size_t bytes, uint8_t flags,
                                    uint8_t gso_type)
{
	struct header h = {.flags = flags, .gso_type = gso_type, .gso_bytes = 1460};
	struct netbuf *nb;

	assert_true(device_receive(frame, bytes, h, 0));
	nb = dev->ops->receive(dev);
	dev->ops->refill(dev);
	return nb;
}

static void large_frames_arrive_whole(void **state)
{
	static uint8_t frame[14 + 65535 + 5], got[sizeof(frame)];
	static const size_t sizes[] = {60, 1514, 1515, 40000, 65535, 14 + 65535};

	(void)state;
	large_receive(16u << 20, F_ALL, 256);
	fill(frame, sizeof(frame));
	for (size_t i = 0; i < 2 * ARRAY_LEN(sizes); i++) {
		size_t bytes = sizes[i / 2];
		struct netbuf *nb = receive_large(frame, bytes, 1, i % 2 ? 4 : 1);

		assert_non_null(nb);
		assert_int_equal(nb->flags, NETBUF_CSUM_OK | NETBUF_CSUM_UNFINISHED);
		assert_int_equal(flatten(nb, got), bytes);
		assert_memory_equal(got, frame, bytes);
		free_frame(nb);
		dev->ops->refill(dev);
	}
	/* Larger than IP can be, not marked as unfinished, of another protocol (UDP, TCP with ECN). */
	assert_null(receive_large(frame, sizeof(frame), 1, 1));
	assert_null(receive_large(frame, 4000, 0, 1));
	assert_null(receive_large(frame, 4000, 1, 3));
	assert_null(receive_large(frame, 4000, 1, 0x81));
	assert_int_equal(dev->stats.rx_errors, 4);
	assert_int_equal(dev->held_count, 0);
}

static void frames_that_are_none_are_dropped(void **state)
{
	static const size_t sizes[] = {1, 13, 1519, 4000};
	static uint8_t frame[4000];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		net_up(2, F_ALL, 256);
		assert_true(device_receive(frame, sizes[i], (struct header){0}, 0));
		assert_null(dev->ops->receive(dev));
		assert_int_equal(dev->stats.rx_errors, 1);
		assert_int_equal(dev->held_count, 0);
		assert_true(device_receive(frame, 14, (struct header){0}, 0));
		assert_non_null(dev->ops->receive(dev));
		/* Large receive was not negotiated. */
		assert_true(device_receive(frame, 60, (struct header){.gso_type = 1}, 0));
		assert_null(dev->ops->receive(dev));
		assert_int_equal(dev->stats.rx_errors, 2);
	}
}

static uint32_t flags_for(uint8_t header_flags)
{
	static const uint8_t frame[60];
	struct netbuf *nb;
	uint32_t flags;

	assert_true(device_receive(frame, 60, (struct header){.flags = header_flags}, 0));
	nb = dev->ops->receive(dev);
	assert_non_null(nb);
	flags = nb->flags;
	free_frame(nb);
	dev->ops->refill(dev);
	return flags;
}

static void a_checksum_is_good_only_when_said_so(void **state)
{
	(void)state;
	net_up(2, F_ALL, 256);
	for (unsigned int flags = 0; flags < 256; flags++)
		assert_int_equal(flags_for((uint8_t)flags),
		                 flags & 1   ? NETBUF_CSUM_OK | NETBUF_CSUM_UNFINISHED
		                 : flags & 2 ? NETBUF_CSUM_OK
		                             : 0);
	net_up(2, F_ALL & ~F_GUEST_CSUM, 256);
	for (unsigned int flags = 0; flags < 256; flags++)
		assert_int_equal(flags_for((uint8_t)flags), 0);
}

static void offloads_are_described_to_the_device(void **state)
{
	static uint8_t frame[40000], got[40000];
	struct netdev_frag frag = {frame, 60};
	struct model_chain c;
	struct header h;

	(void)state;
	net_up(2, F_ALL, 256);
	send_frags(&frag, 1, (struct netdev_tx){0});
	send_frags(&frag, 1, (struct netdev_tx){.csum_start = 34, .csum_offset = 16});
	frag.bytes = sizeof(frame);
	send_frags(&frag, 1,
	           (struct netdev_tx){
	               .csum_start = 34, .csum_offset = 16, .gso_bytes = 1460, .header_bytes = 54});
	send_frags(&frag, 1,
	           (struct netdev_tx){.csum_start = 54,
	                              .csum_offset = 16,
	                              .gso_bytes = 1440,
	                              .header_bytes = 74,
	                              .gso_ipv6 = true});
	dev->ops->flush(dev);
	assert_int_equal(device_take(&c, &h, got), 60);
	assert_true(h.flags == 0 && h.gso_type == 0 && h.num_buffers == 0);
	assert_int_equal(device_take(&c, &h, got), 60);
	assert_true(h.flags == 1 && h.gso_type == 0 && h.csum_start == 34 && h.csum_offset == 16);
	assert_int_equal(device_take(&c, &h, got), sizeof(frame));
	assert_true(h.flags == 1 && h.gso_type == 1 && h.gso_bytes == 1460 && h.header_bytes == 54);
	assert_int_equal(device_take(&c, &h, got), sizeof(frame));
	assert_true(h.flags == 1 && h.gso_type == 4 && h.gso_bytes == 1440 && h.header_bytes == 74);
}

/* What was received goes out again from where it lies, behind the header that it came with. */
static void a_received_frame_is_sent_from_its_buffer(void **state)
{
	const struct header came = {
	    .flags = 1, .csum_start = 34, .csum_offset = 6, .num_buffers = 1};
	static uint8_t frame[200], got[200];
	struct model_chain c;
	struct header h;

	(void)state;
	fill(frame, sizeof(frame));
	for (uint32_t version = 1; version <= 2; version++) {
		for (int merged = 0; merged < 2; merged++) {
			struct netdev_frag frag = {.bytes = sizeof(frame)};
			struct netbuf *nb;

			net_up(version, merged ? F_ALL | VIRTIO_F_ANY_LAYOUT : F_ALL & ~F_MRG_RXBUF,
			       64);
			assert_true(device_receive(frame, sizeof(frame), came, 0));
			nb = dev->ops->receive(dev);
			assert_true(nb && nb->csum_start == 34 && nb->csum_offset == 6);
			frag.data = nb->data;
			send_frags(&frag, 1,
			           (struct netdev_tx){.headroom_bytes = nb->headroom_bytes,
			                              .csum_start = 34,
			                              .csum_offset = 6});
			dev->ops->flush(dev);
			assert_int_equal(device_take(&c, &h, got), sizeof(frame));
			assert_memory_equal(got, frame, sizeof(frame));
			assert_true(h.flags == 1 && h.gso_type == 0 && h.csum_start == 34 &&
			            h.csum_offset == 6);
			assert_int_equal(c.count, version == 1 && !merged ? 2 : 1);
			device_finish(&c);
			dev->ops->reap(dev);
			free_frame(nb);
			assert_int_equal(cookies_out, 0);
		}
	}
}

/* --- Backpressure, and nothing held for ever --------------------------------------------------- */

static const uint8_t small_frame[60];

static unsigned int fill_tx(void)
{
	unsigned int sent = 0;

	while (send(small_frame, sizeof(small_frame)) == 0)
		assert_true(++sent <= 1024);
	assert_int_equal(dev->stats.tx_ring_full, 1);
	return sent;
}

static void a_full_ring_signals_when_there_is_room(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 8; i++) {
		struct model_chain c;
		struct header h;
		uint8_t got[60];
		unsigned int sent;

		net_up(1 + i % 2, i & 2 ? F_ALL : 0, i & 4 ? 2 : 64);
		sent = fill_tx();
		assert_true(sent >= 1);
		signalled();
		for (unsigned int n = 0; n < sent; n++) { /* sent although nobody flushed */
			assert_int_equal(device_take(&c, &h, got), 60);
			device_finish(&c);
		}
		assert_true(signalled());
		dev->ops->reap(dev);
		assert_int_equal(cookies_out, 0);
		assert_int_equal(send(small_frame, 60), 0);
	}
}

static void room_that_appears_at_the_last_moment_is_used(void **state)
{
	struct model_chain c;
	struct header h;
	uint8_t got[60];

	(void)state;
	net_up(2, F_ALL, 2);
	fill_tx();
	while (device_take(&c, &h, got) != 0)
		device_finish(&c);
	assert_int_equal(send(small_frame, 60), 0); /* reaps by itself */
	assert_int_equal(cookies_out, 1);
}

/* As the network thread does: arm, and sleep unless there is something. */
static bool sleeps(void)
{
	dev->ops->reap(dev);
	return !dev->ops->arm(dev) && !signalled();
}

static void finished_frames_are_not_held_for_long(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		struct model_chain c[3];
		struct header h;
		uint8_t got[60];
		uint64_t interrupts;

		net_up(1 + i % 2, i & 2 ? F_ALL : 0, 64);
		assert_true(sleeps());
		for (int n = 0; n < 3; n++)
			send(small_frame, 60);
		dev->ops->flush(dev);
		for (int n = 0; n < 3; n++)
			assert_int_equal(device_take(&c[n], &h, got), 60);
		assert_true(sleeps());
		interrupts = dev->stats.interrupts;
		device_finish(&c[0]);
		if (i & 2) /* without an event index there is no telling which ring is meant */
			assert_int_equal(dev->stats.interrupts, interrupts);
		signalled();
		/* The device is done with one in time, with the others late. */
		assert_non_null(armed_timer);
		assert_true(armed_timer->deadline_ns - model_now_ns <= 20 * NS_PER_MS);
		time_passes();
		assert_true(signalled());
		assert_true(sleeps());
		assert_int_equal(cookies_out, 2);
		device_finish(&c[1]);
		device_finish(&c[2]);
		assert_true(signalled()); /* by interrupt now: no timer ticks */
		dev->ops->reap(dev);
		assert_int_equal(cookies_out, 0);
		/* Then all is quiet again: no timer, no wake-up. */
		assert_true(sleeps());
		assert_false(armed_timer->armed);
	}
}

static void a_quiet_transmitter_wakes_nobody(void **state)
{
	struct model_chain c;
	struct header h;
	uint8_t got[60];

	(void)state;
	net_up(2, F_ALL, 64);
	send(small_frame, 60);
	dev->ops->flush(dev);
	device_take(&c, &h, got);
	device_finish(&c);
	assert_true(sleeps());
	assert_int_equal(dev->stats.interrupts, 0);
	time_passes(); /* reaped since */
	assert_false(signalled());
}

/* --- Interrupts, link, buffers ----------------------------------------------------------------- */

static void reception_interrupts_once_armed(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		net_up(1 + i % 2, i & 2 ? F_ALL : 0, 64);
		assert_false(dev->ops->arm(dev));
		assert_true(device_receive(small_frame, 60, (struct header){0}, 0));
		assert_true(signalled());
		assert_true(device_receive(small_frame, 60, (struct header){0}, 0));
		assert_false(signalled()); /* polled meanwhile: suppressed */
		assert_int_equal(dev->stats.interrupts, 1);
		free_frame(dev->ops->receive(dev));
		assert_true(dev->ops->arm(dev)); /* one is left: don't sleep */
		free_frame(dev->ops->receive(dev));
		assert_false(dev->ops->arm(dev));
	}
}

static void link_changes_are_seen(void **state)
{
	(void)state;
	net_up(2, F_ALL, 64);
	assert_true(dev->link_up);
	*(uint16_t *)(model.config + 6) = 0;
	model_interrupt(2);
	assert_true(signalled());
	assert_false(dev->link_up);
	*(uint16_t *)(model.config + 6) = 0xff01;
	model_interrupt(3);
	assert_true(signalled());
	assert_true(dev->link_up);
}

static void a_ring_run_dry_comes_back(void **state)
{
	struct netbuf *held[64];
	unsigned int count = 0;

	(void)state;
	net_up(2, F_ALL & ~F_MRG_RXBUF, 64);
	dev->ops->refill(dev);
	while (device_receive(small_frame, 60, (struct header){0}, 0))
		held[count++] = dev->ops->receive(dev);
	assert_int_equal(count, dev->rx_buffers);
	dev->ops->refill(dev);
	assert_false(device_receive(small_frame, 60, (struct header){0}, 0));
	signalled();
	free_frame(held[0]); /* from whatever thread */
	assert_true(signalled());
	dev->ops->refill(dev);
	assert_true(device_receive(small_frame, 60, (struct header){0}, 0));
	assert_non_null(dev->ops->receive(dev));
	check_buffers();
}

/* --- Devices that lie -------------------------------------------------------------------------- */

/* Broken with one line that says why; everything is given back and answered with an error. */
static void expect_broken(const char *why)
{
	assert_null(dev->ops->receive(dev));
	assert_true(dev->broken);
	assert_false(dev->link_up);
	assert_int_equal(log_lines, 1);
	assert_non_null(strstr(log_text, why));
	assert_int_equal(model.status, 0);
	assert_true(signalled());
	dev->ops->reap(dev);
	assert_int_equal(cookies_out, 0);
	assert_int_equal(send(small_frame, 60), -ENETDOWN);
	dev->ops->flush(dev);
	dev->ops->refill(dev);
	assert_null(dev->ops->receive(dev));
	assert_false(dev->ops->arm(dev));
	time_passes();
	assert_false(dev->ops->arm(dev));
	assert_int_equal(log_lines, 1);
}

static void net_up_with_traffic(void)
{
	net_up(2, F_ALL, 64);
	for (int i = 0; i < 10; i++)
		send(small_frame, 60);
	dev->ops->flush(dev);
}

static void say_received(uint32_t id, uint32_t bytes)
{
	RX->used->ring[RX->used->idx % RX->size] = (struct vring_used_elem){id, bytes};
	RX->used->idx++;
}

static uint8_t *buffer_of(uint16_t id)
{
	return at(&RX->desc[id]);
}

static void less_than_a_header(void **state)
{
	(void)state;
	for (uint32_t bytes = 0; bytes < 12; bytes++) {
		net_up_with_traffic();
		say_received(RX->avail->ring[0], bytes);
		expect_broken("less than a header");
	}
}

static void num_buffers(uint16_t says, const char *why)
{
	net_up_with_traffic();
	*(struct header *)buffer_of(RX->avail->ring[0]) = (struct header){.num_buffers = says};
	say_received(RX->avail->ring[0], 100);
	expect_broken(why);
}

static void wrong_numbers_of_buffers(void **state)
{
	(void)state;
	num_buffers(0, "no buffers");
	num_buffers(2, "less than it said");
	num_buffers(0xffff, "less than it said");
}

static void rings_that_lie(void **state)
{
	(void)state;
	net_up_with_traffic();
	say_received(0xffffffff, 100);
	expect_broken("not given");
	net_up_with_traffic();
	say_received(RX->avail->ring[0], 2049);
	expect_broken("more than");
	net_up_with_traffic();
	RX->used->idx = 0x8000;
	expect_broken("more buffers");
	net_up_with_traffic(); /* the other ring */
	TX->used->ring[0] = (struct vring_used_elem){TX->avail->ring[0], 1};
	TX->used->idx = 1;
	dev->ops->reap(dev);
	expect_broken("more than");
	net_up_with_traffic();
	model.status |= 64;
	model_interrupt(2);
	expect_broken("needs a reset");
}

/* The header is the device's memory until it is read, and read once. */
static void a_header_is_read_once(void **state)
{
	struct netbuf *nb;
	uint8_t *page;
	size_t header;

	(void)state;
	net_up(2, F_ALL, 64);
	assert_true(device_receive(small_frame, 60, (struct header){.flags = 1}, 0));
	page = (uint8_t *)((uintptr_t)buffer_of(RX->avail->ring[0]) & ~4095ul);
	header = (size_t)(buffer_of(RX->avail->ring[0]) - page);
	count_reads(page);
	nb = dev->ops->receive(dev);
	count_reads_end();
	assert_non_null(nb);
	for (size_t i = 0; i < 12; i++)
		assert_true(access_count[header + i] <= 1);
}

/* Anything at all in all of the memory that the device can write. */
static void garbage_everywhere_is_survived(void **state)
{
	(void)state;
	for (int round = 0; round < 3000; round++) {
		net_up(1 + (uint32_t)rand() % 2, rand() % 2 ? F_ALL : F_ALL & ~F_MRG_RXBUF, 16);
		for (int step = 0; step < 30 && !dev->broken; step++) {
			struct ring_model *r = rand() % 2 ? RX : TX;
			struct netbuf *nb;

			if (rand() % 2)
				send(small_frame, 60);
			dev->ops->flush(dev);
			for (int n = rand() % 3; n > 0; n--) {
				uint32_t id = (uint32_t)rand() % (r->size + 1);

				r->used->ring[r->used->idx % r->size] = (struct vring_used_elem){
				    id, (uint32_t)rand() % (rand() % 4 ? 1600 : 3)};
				if (r == RX && id < r->size && RX->avail->idx > id)
					fill(buffer_of((uint16_t)id), sizeof(struct header));
				if (r == RX && id < r->size && RX->avail->idx > id && rand() % 8)
					((struct header *)buffer_of((uint16_t)id))->num_buffers = 1;
				r->used->idx++;
			}
			if (rand() % 4 == 0)
				((uint8_t *)r->used)[rand() % 16] = (uint8_t)rand();
			if (rand() % 4 == 0)
				((uint8_t *)r->avail)[rand() % 16] = (uint8_t)rand();
			model_interrupt((uint32_t)rand() % 4);
			while ((nb = dev->ops->receive(dev)))
				free_frame(nb);
			dev->ops->refill(dev);
			dev->ops->reap(dev);
			dev->ops->arm(dev);
			time_passes();
		}
		assert_true(dev->held_count == 0);
		assert_int_equal(log_lines, dev->broken);
		if (dev->broken) {
			dev->ops->reap(dev);
			assert_int_equal(cookies_out, 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_offered_is_taken_or_left),
	    cmocka_unit_test(large_receive_needs_room_and_what_it_rests_on),
	    cmocka_unit_test(no_usable_address_gets_a_local_one),
	    cmocka_unit_test(only_a_sane_mtu_is_taken),
	    cmocka_unit_test(buffers_enter_the_ring_in_lots),
	    cmocka_unit_test(frames_pass_whatever_is_negotiated),
	    cmocka_unit_test(the_indices_wrap),
	    cmocka_unit_test(buffers_go_back_in_lots),
	    cmocka_unit_test(jumbo_frames_arrive_in_pieces),
	    cmocka_unit_test(large_frames_arrive_whole),
	    cmocka_unit_test(frames_that_are_none_are_dropped),
	    cmocka_unit_test(a_checksum_is_good_only_when_said_so),
	    cmocka_unit_test(offloads_are_described_to_the_device),
	    cmocka_unit_test(a_received_frame_is_sent_from_its_buffer),
	    cmocka_unit_test(a_full_ring_signals_when_there_is_room),
	    cmocka_unit_test(room_that_appears_at_the_last_moment_is_used),
	    cmocka_unit_test(finished_frames_are_not_held_for_long),
	    cmocka_unit_test(a_quiet_transmitter_wakes_nobody),
	    cmocka_unit_test(reception_interrupts_once_armed),
	    cmocka_unit_test(link_changes_are_seen),
	    cmocka_unit_test(a_ring_run_dry_comes_back),
	    cmocka_unit_test(less_than_a_header),
	    cmocka_unit_test(wrong_numbers_of_buffers),
	    cmocka_unit_test(rings_that_lie),
	    cmocka_unit_test(a_header_is_read_once),
	    cmocka_unit_test(garbage_everywhere_is_survived),
	};

	srand(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
