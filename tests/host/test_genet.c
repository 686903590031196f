/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises, for the GENET driver and its PHY against a model at register level, with and without
 * caches between CPU and controller: frames of every size go out and come in whole, in order and
 * once, while rings wrap; every transmitted frame's cookie comes back in bounded time, from a stuck
 * or dead controller too; every receive buffer is in the ring, free or held; a link that goes and
 * comes is followed; whatever the controller says, no buffer is overrun, and it is reset, or given
 * up after too many resets; a probe that fails leaves nothing behind; nothing waits for ever.
 *
 * Built twice: against kernel/dma_map.c and kernel/dma_debug.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pith/compiler.h>
#include <pith/driver.h>
#include <pith/io.h>
#include <pith/log.h>
#include <pith/netdev.h>
#include <pith/page.h>
#include <pith/thread.h>
#include <pith/time.h>
#include "genet_model.h"

#ifndef forget_copies /* test_genet_debug.c */
#define forget_copies() ((void)0)
#endif

static struct netdev *dev;

/* --- The rest of the kernel -------------------------------------------------------------------- */

static unsigned int log_lines;
static char log_text[65536];

void klog(const char *fmt, ...)
{
	size_t used = strlen(log_text);
	va_list args;

	va_start(args, fmt);
	vsnprintf(log_text + used, sizeof(log_text) - used, fmt, args);
	va_end(args);
	strncat(log_text, "\n", sizeof(log_text) - strlen(log_text) - 1);
	log_lines++;
}

static void forget_log(void)
{
	log_lines = 0;
	log_text[0] = '\0';
}

static unsigned int logged(const char *text)
{
	unsigned int count = 0;

	for (const char *p = log_text; (p = strstr(p, text)); p++)
		count++;
	return count;
}

uint64_t time_now_ns(void)
{
	return model_now_ns += NS_PER_US;
}

void delay_us(uint32_t us)
{
	model_now_ns += us * NS_PER_US;
}

static size_t ram_bytes;

void memory_info(struct memory_info *info)
{
	info->total_bytes = ram_bytes;
}

int random_bytes(void *buf, size_t count, bool nonblock)
{
	assert_true(nonblock);
	memset(buf, 0xff, count);
	return 0;
}

int waitq_wait(struct waitq *q, uint64_t deadline_ns)
{
	(void)q;
	(void)deadline_ns;
	return -ETIMEDOUT;
}

int waitq_wake_one(struct waitq *q)
{
	(void)q;
	return 0;
}

/* The RAM that the controller can reach, by pages, from its end. The last is the test's own. */
#define PAGES (MODEL_RAM_BYTES / PAGE_BYTES)
static bool page_used[PAGES];
static unsigned int pages_free;

void *page_alloc(size_t count, size_t align, uint64_t below_pa)
{
	assert_int_equal(align, PAGE_BYTES);
	assert_true(below_pa >= (uintptr_t)model_ram + MODEL_RAM_BYTES);
	for (size_t end = PAGES, run = 0; end-- > 0;) {
		run = page_used[end] ? 0 : run + 1;
		if (run == count && pages_free >= count) {
			memset(&page_used[end], 1, count);
			pages_free -= (unsigned int)count;
			return model_ram + end * PAGE_BYTES;
		}
	}
	return NULL;
}

void page_free(void *pages, size_t count)
{
	size_t at = (size_t)((uint8_t *)pages - model_ram) / PAGE_BYTES;

	for (size_t i = 0; i < count; i++) {
		assert_true(page_used[at + i]);
		page_used[at + i] = false;
	}
	pages_free += (unsigned int)count;
}

void *io_map(uint64_t pa, size_t bytes)
{
	assert_int_equal(pa, 0xfd580000);
	assert_in_range(bytes, 1, sizeof(model_regs));
	return model_regs;
}

/* Interrupts and timers. */
static irq_handler handler;
static void *handler_arg;
static bool irq_fails;

int irq_attach(dt_node node, unsigned int index, irq_handler h, void *arg)
{
	assert_string_equal(dt_name(node), "ethernet@7d580000");
	assert_int_equal(index, 0);
	assert_false(model_line());
	if (irq_fails)
		return -ENODEV;
	handler = h;
	handler_arg = arg;
	return 0;
}

static void deliver(void)
{
	for (int i = 0; handler && model_line(); i++) {
		assert_true(i < 2); /* the handler quiets the line */
		handler(handler_arg);
	}
}

static struct timer *timers[4];

void timer_arm(struct timer *t, uint64_t deadline_ns)
{
	size_t i = 0;

	while (timers[i] && timers[i] != t)
		assert_true(++i < ARRAY_LEN(timers));
	timers[i] = t;
	t->armed = true;
	t->deadline_ns = deadline_ns;
}

/* To the time of the next timer, and no further than until_ns. */
static void to_next_timer(uint64_t until_ns)
{
	struct timer *next = NULL;

	for (size_t i = 0; i < ARRAY_LEN(timers); i++) {
		struct timer *t = timers[i];

		if (t && t->armed && t->deadline_ns <= until_ns &&
		    (!next || t->deadline_ns < next->deadline_ns))
			next = t;
	}
	if (!next) {
		model_now_ns = MAX(model_now_ns, until_ns);
		return;
	}
	model_now_ns = MAX(model_now_ns, next->deadline_ns);
	next->armed = false;
	next->expired(next);
}

/* --- The stack --------------------------------------------------------------------------------- */

#define COOKIES 512
static struct {
	bool out;
	uint8_t *memory; /* of the frame */
} cookies[COOKIES];
static unsigned int cookies_out;
static uint8_t *tx_memory; /* COOKIES times 2 KiB, seen by the controller */

static void transmit_done(struct netdev *d, void *cookie)
{
	size_t i = (uintptr_t)cookie - 1;

	assert_ptr_equal(d, dev);
	assert_true(i < COOKIES && cookies[i].out);
	cookies[i].out = false;
	/* From now on it is somebody else's: what was sent must have been read before. */
	memset(cookies[i].memory, 0xcc, 2048);
	cookies_out--;
}

/* Send bytes in count pieces, cut at random. */
static int send_from(uint8_t *memory, const uint8_t *frame, size_t bytes, unsigned int count)
{
	struct netdev_frag frags[NETDEV_MAX_FRAGS];
	struct netdev_tx tx = {.frags = frags, .frag_count = count};
	size_t i = 0, left = bytes, r = (size_t)rand();
	int err;

	while (cookies[i].out)
		assert_true(++i < COOKIES);
	if (!memory)
		memory = tx_memory + i * 2048;
	memcpy(memory + r % 16, frame, MIN(bytes, 2032));
	for (unsigned int f = 0; f < count; f++) {
		size_t n = f + 1 == count ? left : 1 + (size_t)rand() % (left - (count - f - 1));

		frags[f] = (struct netdev_frag){memory + r % 16 + bytes - left, (uint32_t)n};
		left -= n;
	}
	cookies[i].out = true;
	cookies[i].memory = memory;
	cookies_out++;
	tx.cookie = (void *)(i + 1);
	err = dev->ops->transmit(dev, &tx);
	if (err < 0) {
		assert_true(cookies[i].out);
		cookies[i].out = false;
		cookies_out--;
	}
	return err;
}

static int send(const uint8_t *frame, size_t bytes)
{
	return send_from(NULL, frame, bytes,
	                 1 + (unsigned int)rand() % (unsigned int)MIN(bytes, 5));
}

static bool signalled(void)
{
	return netdev_wait(0);
}

static unsigned int received;
static void (*sink)(struct netbuf *nb); /* takes what arrives; NULL: it is freed */

/* The network thread's turns, as net/ takes them, until there is nothing to do. */
static void serve(void)
{
	for (int turns = 0; turns < 10; turns++) {
		struct netbuf *nb;

		while ((nb = dev->ops->receive(dev))) {
			received++;
			assert_null(nb->next);
			if (sink)
				sink(nb);
			else
				netbuf_free(nb);
		}
		if (dev->free_count)
			dev->ops->refill(dev);
		dev->ops->reap(dev);
		dev->ops->flush(dev);
		signalled();
		if (!dev->ops->arm(dev))
			return;
	}
	assert_true(dev->broken);
}

/* Time passes; the network thread runs when it is signalled. */
static void run(uint64_t ns)
{
	uint64_t until = model_now_ns + ns;

	while (model_now_ns < until) {
		deliver();
		if (signalled())
			serve();
		else
			to_next_timer(until);
	}
}

/* --- The tree and the probe -------------------------------------------------------------------- */

extern const struct driver __drivers_start[];
static const struct driver *driver;
static uint64_t blob[1024];
static const char *more_memory; /* a node of it that no bus reaches, or "" */

static void load_tree(const char *ethernet, const char *mdio)
{
	static char loaded[2048];
	char source[2048], name[] = "/tmp/pith-genet-XXXXXX", command[100];
	uint64_t ram = (uintptr_t)model_ram;
	size_t bytes;
	FILE *f;
	int fd;

	snprintf(
	    source, sizeof(source),
	    "/dts-v1/; / { #address-cells = <2>; #size-cells = <1>;"
	    "memory@0 { device_type = \"memory\"; reg = <%#x %#x %#x>; }; %s"
	    "scb { #address-cells = <2>; #size-cells = <1>;"
	    "	ranges = <0 0x7c000000 0 0xfc000000 0x3800000>; %s"
	    "	dma-ranges = <%#x %#x %#x %#x %#x>;"
	    "	ethernet@7d580000 { compatible = \"brcm,bcm2711-genet-v5\";"
	    "		reg = <0 0x7d580000 0x10000>; #address-cells = <1>; #size-cells = <1>;"
	    "		%s"
	    "		mdio@e14 { compatible = \"brcm,genet-mdio-v5\"; reg = <0xe14 8>; %s"
	    "			#address-cells = <1>; #size-cells = <0>;"
	    "			phy: ethernet-phy@1 { reg = <1>; }; }; }; }; };",
	    (unsigned int)(ram >> 32), (unsigned int)ram, MODEL_RAM_BYTES, more_memory,
	    model.coherent ? "dma-coherent;" : "", (unsigned int)(MODEL_BUS_BASE >> 32),
	    (unsigned int)MODEL_BUS_BASE, (unsigned int)(ram >> 32), (unsigned int)ram,
	    MODEL_RAM_BYTES, ethernet, mdio);
	if (strcmp(source, loaded) != 0) {
		fd = mkstemp(name);
		assert_int_equal(write(fd, source, strlen(source)), strlen(source));
		close(fd);
		snprintf(command, sizeof(command), "dtc -q -I dts -O dtb %s", name);
		f = popen(command, "r");
		bytes = fread(blob, 1, sizeof(blob), f);
		assert_int_equal(pclose(f), 0);
		unlink(name);
		assert_int_equal(dt_init(blob, bytes), 0);
		strcpy(loaded, source);
	}
}

#define MAC  "local-mac-address = [dc a6 32 01 02 03]; "
#define RXID "phy-mode = \"rgmii-rxid\"; "
#define PHY  "phy-handle = <&phy>; "
#define PI4  MAC RXID PHY

static const uint8_t our_mac[6] = {0xdc, 0xa6, 0x32, 1, 2, 3};
static bool coherent;

static void begin(void)
{
	driver = &__drivers_start[0];
	model_begin();
	model.coherent = coherent;
	forget_copies();
	memset(page_used, 0, sizeof(page_used));
	memset(cookies, 0, sizeof(cookies));
	memset(timers, 0, sizeof(timers));
	pages_free = PAGES;
	tx_memory = page_alloc(COOKIES / 2, PAGE_BYTES, UINT64_MAX);
	cookies_out = received = 0;
	sink = NULL;
	handler = NULL;
	irq_fails = false;
	more_memory = "";
	ram_bytes = 64u << 20;
	signalled();
	forget_log();
}

static int probe(const char *ethernet, const char *mdio)
{
	dt_node n;

	load_tree(ethernet, mdio);
	n = dt_find("/scb/ethernet");
	assert_true(dt_compatible(n, driver->compatible));
	return device_probe(driver, n);
}

/* The one that came up last. */
static void take_over(void)
{
	dev = netdev_first();
	while (dev->next)
		dev = dev->next;
	dev->transmit_done = transmit_done;
	serve();
}

static void up(void)
{
	begin();
	assert_int_equal(probe(PI4, ""), 0);
	take_over();
	model_link(true);
	run(NS_PER_S);
	assert_true(dev->link_up);
	forget_log();
}

static struct genet_counts {
	unsigned int in_ring, listed;
} counts(void)
{
	struct genet_counts c = {0};

	for (struct netbuf *nb = dev->free_list; nb; nb = nb->next)
		c.listed++;
	c.in_ring = dev->rx_buffers - dev->free_count - dev->held_count;
	return c;
}

static void check_buffers(void)
{
	uint16_t free_descriptors =
	    (uint16_t)(model_peek(MODEL_RX_CONS) + MIN(256u, dev->rx_buffers) -
	               (model_peek(MODEL_RX_INDEX) & 0xffff));

	assert_true(counts().listed <= dev->free_count);
	if (!dev->broken && !dev->ops->receive(dev))
		assert_int_equal(counts().in_ring, free_descriptors);
}

static void fill(uint8_t *frame, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		frame[i] = (uint8_t)rand();
	if (bytes >= 6)
		memcpy(frame, our_mac, 6);
}

/* --- Probe ------------------------------------------------------------------------------------- */

static void the_controller_is_set_up(void **state)
{
	(void)state;
	begin();
	assert_int_equal(probe(PI4, ""), 0);
	take_over();
	assert_false(dev->link_up);
	assert_memory_equal(dev->mac, our_mac, 6);
	assert_int_equal(model_peek(MODEL_MAC0), 0xdca63201);
	assert_int_equal(model_peek(MODEL_MAC1), 0x0203);
	assert_int_equal(model_peek(MODEL_PORT_CTRL), 3);
	assert_int_equal(model_peek(MODEL_RGMII), 1u << 6); /* the MAC delays what it sends */
	assert_true(model.rx_delay_register & 0x100);
	assert_false(model.tx_delay_register & 0x200);
	assert_int_equal(model.negotiations, 1);
	assert_int_equal(dev->rx_buffers, 512);
	assert_int_equal(counts().in_ring, 256);
	assert_int_equal(dev->mtu, 1500);
	assert_int_equal(dev->features, 0);
	assert_int_equal(logged("PHY 1 is 600d84a2"), 1);
}

static void clock_delays_follow_the_tree(void **state)
{
	static const struct {
		const char *tree;
		uint32_t rgmii, tx_delay;
	} modes[] = {
	    {MAC PHY "phy-mode = \"rgmii\";", 1u << 6 | 1u << 16, 0x200},
	    {MAC PHY "phy-mode = \"rgmii-id\";", 1u << 6 | 1u << 16, 0x200},
	    {MAC PHY "phy-mode = \"rgmii-txid\";", 1u << 6, 0},
	    {MAC PHY "phy-mode = \"rgmii-rxid\";", 1u << 6, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		begin();
		assert_int_equal(probe(modes[i].tree, ""), 0);
		assert_int_equal(model_peek(MODEL_RGMII), modes[i].rgmii);
		assert_int_equal(model.rx_delay_register & 0x100, 0x100);
		assert_int_equal(model.tx_delay_register & 0x200, modes[i].tx_delay);
	}
}

static void the_mdio_clock_follows_the_tree(void **state)
{
	static const struct {
		const char *tree;
		uint32_t config;
	} clocks[] = {
	    {"", 0x1230},
	    {"clock-frequency = <1950000>;", 0x1000 | 63 << 4},
	    {"clock-frequency = <12500000>;", 0x1000 | 9 << 4},
	    {"clock-frequency = <1>;", 0x1000 | 63 << 4},
	    {"clock-frequency = <250000000>;", 0x1000},
	    {"clock-frequency = <0>;", 0x1230},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(clocks); i++) {
		begin();
		model_poke(MODEL_MDIO_CFG, 0x1230);
		assert_int_equal(probe(PI4, clocks[i].tree), 0);
		assert_int_equal(model_peek(MODEL_MDIO_CFG), clocks[i].config);
	}
}

static void any_phy_will_do(void **state)
{
	(void)state;
	begin();
	model.phy_id = MODEL_OTHER_PHY; /* a write to what only some have fails the test */
	model.phy_address = 17;
	assert_int_equal(probe(MAC RXID, ""), 0); /* and the first that answers, if none is named */
	assert_int_equal(logged("PHY 17 is 01410dd1"), 1);
}

static void no_address_gets_a_local_one(void **state)
{
	(void)state;
	begin();
	assert_int_equal(probe(RXID PHY, ""), 0);
	take_over();
	assert_int_equal(dev->mac[0] & 3, 2);
	assert_int_equal(model_peek(MODEL_MAC1), 0xffff);
}

static void little_ram_makes_small_rings(void **state)
{
	(void)state;
	begin();
	ram_bytes = 4u << 20;
	assert_int_equal(probe(PI4, ""), 0);
	take_over();
	assert_int_equal(dev->rx_buffers, 32);
	assert_int_equal(counts().in_ring, 32);
	begin();
	page_alloc(pages_free - 120, PAGE_BYTES, UINT64_MAX);
	assert_int_equal(probe(PI4, ""), 0);
	take_over();
	assert_int_equal(dev->rx_buffers, 128);
}

static void expect_failure(int err, const char *ethernet, const char *message)
{
	struct netdev *last = netdev_first();
	unsigned int free_before = pages_free;
	uint64_t began = model_now_ns;

	while (last && last->next)
		last = last->next;
	assert_int_equal(probe(ethernet, ""), err);
	assert_true(model_now_ns - began < NS_PER_S);
	assert_true(!message || logged(message) == 1);
	assert_int_equal(pages_free, free_before);
	for (struct netdev *d = netdev_first(); d; d = d->next)
		assert_true(d->next || d == last);
	assert_false(model_peek(MODEL_RX_CTRL) & 1 && !model.dma_never_stops);
	assert_false(model_line());
	for (size_t i = 0; i < ARRAY_LEN(timers); i++)
		assert_null(timers[i]);
}

static void a_probe_that_fails_leaves_nothing(void **state)
{
	(void)state;
	begin();
	model.absent = true;
	expect_failure(-ENXIO, PI4, NULL);
	begin();
	model.revision = 0x05000000;
	expect_failure(-ENOTSUP, PI4, "is not GENET v5");
	begin();
	expect_failure(-ENOTSUP, MAC PHY, "phy-mode missing");
	begin();
	expect_failure(-ENOTSUP, MAC PHY "phy-mode = \"mii\";", "phy-mode mii");
	begin();
	expect_failure(-EINVAL, MAC RXID "phy-handle = <0x1234>;", "no PHY");
	begin();
	model.phy_address = 32;
	expect_failure(-EIO, PI4, "no PHY");
	begin();
	model.phy_address = 32;
	expect_failure(-EIO, MAC RXID, "no PHY");
	begin();
	model.mdio_stuck = true;
	expect_failure(-ETIMEDOUT, PI4, "no PHY");
	begin();
	model.mdio_stuck = true;
	expect_failure(-ETIMEDOUT, MAC RXID, "no PHY"); /* not once for each address */
	begin();
	page_alloc(pages_free, PAGE_BYTES, UINT64_MAX);
	expect_failure(-ENOMEM, PI4, NULL);
	begin();
	irq_fails = true;
	expect_failure(-ENODEV, PI4, NULL);
}

/* What a boot loader left running is stopped before it gets into our memory; or it is not touched. */
static void a_running_controller_is_stopped_first(void **state)
{
	(void)state;
	begin();
	model_poke(MODEL_RX_CTRL, 1u << 17 | 1);
	model_poke(MODEL_TX_CTRL, 1u << 17 | 1);
	model_poke(MODEL_RX_STATUS, 0);
	assert_int_equal(probe(PI4, ""), 0);
	begin();
	model.dma_never_stops = true;
	model_poke(MODEL_RX_CTRL, 1u << 17 | 1);
	model_poke(MODEL_RX_STATUS, 0);
	expect_failure(-ETIMEDOUT, PI4, NULL);
}

/* --- Traffic ----------------------------------------------------------------------------------- */

static const uint8_t *expected;
static size_t expected_bytes;

static void compare(struct netbuf *nb)
{
	assert_int_equal(nb->bytes, expected_bytes);
	assert_memory_equal(nb->data, expected, expected_bytes);
	assert_int_equal(nb->flags, 0);
	assert_int_equal((uintptr_t)(nb->data + 14) % 4, 0); /* IP is aligned */
	netbuf_free(nb);
}

static void every_size_goes_out_whole(void **state)
{
	uint8_t frame[2048], out[2048];

	(void)state;
	up();
	for (size_t bytes = 1; bytes <= 1600; bytes++) {
		fill(frame, bytes);
		if (bytes > 1518) {
			assert_int_equal(send(frame, bytes), -EMSGSIZE);
			continue;
		}
		assert_int_equal(send(frame, bytes), 0);
		assert_int_equal(model_transmit(out, sizeof(out)), 0); /* not before flush */
		dev->ops->flush(dev);
		assert_int_equal(model_transmit(out, sizeof(out)), bytes);
		assert_memory_equal(out, frame, bytes);
		dev->ops->reap(dev);
		assert_int_equal(cookies_out, 0);
	}
	assert_int_equal(dev->stats.tx_frames, 1518);
	assert_int_equal(dev->stats.tx_bytes, 1518 * 1519 / 2);
}

static void every_size_comes_in_whole(void **state)
{
	uint8_t frame[4096];
	uint64_t errors = 0, frames = 0;

	(void)state;
	up();
	sink = compare;
	expected = frame;
	for (size_t bytes = 1; bytes <= 2100; bytes++) {
		fill(frame, bytes);
		expected_bytes = bytes;
		assert_true(model_receive(frame, bytes));
		run(NS_PER_US);
		if (bytes < 14 || bytes > 1518)
			errors++;
		else
			frames++;
		assert_int_equal(dev->stats.rx_errors, errors);
		assert_int_equal(dev->stats.rx_frames, frames);
	}
	check_buffers();
	assert_int_equal(received, 1518 - 13);
	assert_int_equal(dev->stats.resets, 0);
}

static void only_what_is_for_us_comes_in(void **state)
{
	uint8_t frame[60];

	(void)state;
	up();
	fill(frame, sizeof(frame));
	frame[5]++;
	model_receive(frame, sizeof(frame));
	run(NS_PER_MS);
	assert_int_equal(received, 0);
	memset(frame, 0xff, 6);
	model_receive(frame, sizeof(frame));
	memcpy(frame, "\x33\x33\0\0\0\x01", 6);
	model_receive(frame, sizeof(frame));
	run(NS_PER_MS);
	assert_int_equal(received, 2);
	assert_int_equal(dev->stats.rx_errors, 0);
	check_buffers();
}

static struct netbuf *held[600];
static unsigned int held_count;

static void hold(struct netbuf *nb)
{
	held[held_count++] = nb;
}

/* Held ones are freed in any order. */
static void free_held(unsigned int leave)
{
	while (held_count > leave) {
		unsigned int which = (unsigned int)rand() % held_count;

		netbuf_free(held[which]);
		held[which] = held[--held_count];
	}
}

/*
 * Frames out in random pieces, looped back by the wire in order, some held for long: nothing is
 * lost but what finds no buffer, and nothing is changed.
 */
static void loop_back(unsigned int frames)
{
	static uint8_t wire[64][2048], frame[2048];
	static size_t wire_bytes[64];
	unsigned int sent = 0, looped = 0, on_wire = 0, arrived = 0;

	sink = hold;
	while (arrived < frames) {
		for (int lot = rand() % 8; lot > 0; lot--) {
			size_t bytes = 14 + (size_t)rand() % 1505;

			fill(frame, bytes);
			if (send(frame, bytes) < 0)
				break;
			sent++;
		}
		dev->ops->flush(dev);
		while (on_wire < ARRAY_LEN(wire) && rand() % 8) {
			unsigned int at = (looped + on_wire) % ARRAY_LEN(wire);

			wire_bytes[at] = model_transmit(wire[at], sizeof(wire[at]));
			if (wire_bytes[at] == 0)
				break;
			on_wire++;
		}
		for (int lot = rand() % 8; lot > 0 && on_wire != 0; lot--) {
			unsigned int before = held_count, at = looped % ARRAY_LEN(wire);

			assert_true(model_receive(wire[at], wire_bytes[at]));
			looped++;
			on_wire--;
			if (rand() % 3)
				continue;
			run(rand() % 20 * NS_PER_US);
			/* The last of what came is the last that was sent. */
			if (held_count > before) {
				struct netbuf *nb = held[held_count - 1];

				assert_int_equal(nb->bytes, wire_bytes[at]);
				assert_memory_equal(nb->data, wire[at], nb->bytes);
			}
		}
		if (rand() % 4 == 0)
			run(NS_PER_US);
		arrived = received;
		if (held_count > 100)
			free_held((unsigned int)rand() % 100);
	}
	sink = NULL;
	while (on_wire-- > 0)
		looped++;
	while (model_transmit(frame, sizeof(frame)) != 0)
		;
	run(NS_PER_S);
	free_held(0);
	serve();
	assert_int_equal(cookies_out, 0);
	assert_int_equal(dev->held_count, 0);
	assert_int_equal(counts().in_ring, MIN(256u, dev->rx_buffers));
	check_buffers();
	assert_int_equal(dev->stats.resets + dev->stats.rx_errors + dev->stats.tx_errors, 0);
	assert_int_equal(model.rx_discarded, 0);
	assert_int_equal(log_lines, 0);
	(void)sent;
}

static void rings_wrap(void **state)
{
	(void)state;
	up();
	loop_back(3000);
}

/* Indices wrap at 2^16, wherever they began. */
static void indices_wrap(void **state)
{
	static const uint16_t starts[] = {0xfff0, 0x1234, 0xff00, 255};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
		begin();
		model_poke(MODEL_RX_INDEX, starts[i]);
		model_poke(MODEL_TX_INDEX, (uint16_t)~starts[i]);
		assert_int_equal(probe(PI4, ""), 0);
		take_over();
		model_link(true);
		run(NS_PER_S);
		forget_log();
		loop_back(600);
	}
}

static void a_small_ring_is_enough(void **state)
{
	uint8_t frame[1518];

	(void)state;
	begin();
	ram_bytes = 4u << 20;
	assert_int_equal(probe(PI4, ""), 0);
	take_over();
	model_link(true);
	run(NS_PER_S);
	sink = compare;
	expected = frame;
	expected_bytes = sizeof(frame);
	for (int i = 0; i < 1000; i++) {
		fill(frame, sizeof(frame));
		assert_true(model_receive(frame, sizeof(frame)));
		run(NS_PER_US);
	}
	assert_int_equal(received, 1000);
}

/* --- Interrupts and timers --------------------------------------------------------------------- */

static void no_frame_waits_for_the_next(void **state)
{
	uint8_t frame[60];

	(void)state;
	up();
	fill(frame, sizeof(frame));
	/* Before arm: it says so. */
	model_receive(frame, sizeof(frame));
	assert_true(dev->ops->arm(dev));
	serve();
	assert_int_equal(received, 1);
	/* After: an interrupt says so. */
	model_receive(frame, sizeof(frame));
	assert_true(model_line());
	deliver();
	assert_true(signalled());
	/* And then no more until the next arm. */
	model_receive(frame, sizeof(frame));
	assert_false(model_line());
	serve();
	assert_int_equal(received, 3);
	assert_false(model_line());
}

static void sent_frames_are_collected_in_time(void **state)
{
	uint8_t frame[100];

	(void)state;
	up();
	fill(frame, sizeof(frame));
	assert_int_equal(send(frame, sizeof(frame)), 0);
	dev->ops->flush(dev);
	assert_int_equal(model_transmit(frame, sizeof(frame)), sizeof(frame));
	assert_false(model_line()); /* no interrupt for it */
	run(11 * NS_PER_MS);
	assert_int_equal(cookies_out, 0);
	/* One that is slow to leave. */
	assert_int_equal(send(frame, sizeof(frame)), 0);
	dev->ops->flush(dev);
	run(100 * NS_PER_MS);
	assert_int_equal(cookies_out, 1);
	assert_int_equal(model_transmit(frame, sizeof(frame)), sizeof(frame));
	run(NS_PER_MS);
	assert_int_equal(cookies_out, 0);
}

static void a_full_ring_is_backpressure(void **state)
{
	uint8_t frame[1000];
	int sent = 0, err;

	(void)state;
	up();
	fill(frame, sizeof(frame));
	while ((err = send_from(NULL, frame, sizeof(frame), 2)) == 0)
		sent++;
	assert_int_equal(err, -ENOBUFS);
	assert_int_equal(sent, 127);
	assert_int_equal(dev->stats.tx_ring_full, 1);
	/* It was told of them, though nobody flushed; and tells when there is room. */
	assert_int_equal(model_transmit(frame, sizeof(frame)), sizeof(frame));
	assert_true(model_line());
	deliver();
	assert_true(signalled());
	dev->ops->reap(dev);
	assert_int_equal(send_from(NULL, frame, sizeof(frame), 2), 0);
	assert_int_equal(send_from(NULL, frame, sizeof(frame), 2), -ENOBUFS);
	while (model_transmit(frame, sizeof(frame)) != 0)
		;
	run(NS_PER_S);
	assert_int_equal(cookies_out, 0);
	assert_int_equal(dev->stats.resets, 0);
}

static void spurious_interrupts_do_nothing(void **state)
{
	(void)state;
	up();
	handler(handler_arg);
	assert_false(signalled());
	assert_int_equal(dev->stats.resets, 0);
}

/* --- Memory out of reach ----------------------------------------------------------------------- */

static void what_cannot_be_reached_is_copied(void **state)
{
	static uint8_t far[2048];
	uint8_t frame[1518], out[2048];

	(void)state;
	up();
	/* RAM as the tree has it is all within reach: not expected, so dropped, and said. */
	fill(frame, sizeof(frame));
	assert_int_equal(send_from(far, frame, sizeof(frame), 3), -EIO);
	assert_int_equal(dev->stats.tx_dropped, 1);
	assert_int_equal(cookies_out, 0);
	/* With more RAM than that there is memory to copy to. */
	begin();
	more_memory = "memory@7fff00000000 { device_type = \"memory\"; reg = <0x7fff 0 0x1000>; };";
	assert_int_equal(probe(PI4, ""), 0);
	take_over();
	model_link(true);
	run(NS_PER_S);
	for (int i = 0; i < 600; i++) {
		size_t bytes = 1 + (size_t)rand() % 1518;

		fill(frame, bytes);
		assert_int_equal(
		    send_from(i % 3 ? far : NULL, frame, bytes, (unsigned int)MIN(bytes, 3)), 0);
		dev->ops->flush(dev);
		assert_int_equal(model_transmit(out, sizeof(out)), bytes);
		assert_memory_equal(out, frame, bytes);
		dev->ops->reap(dev);
	}
	assert_int_equal(cookies_out, 0);
}

/* --- Link -------------------------------------------------------------------------------------- */

static void expect_mode(uint32_t speed, bool half, bool pause)
{
	uint32_t command = model_peek(MODEL_UMAC_CMD);

	assert_int_equal(command >> 2 & 3, speed);
	assert_int_equal(command >> 10 & 1, half);
	assert_int_equal(command >> 8 & 1, !pause);
	assert_int_equal(command >> 28 & 1, !pause);
	assert_int_equal(command & 3, 3);
	assert_true(model_peek(MODEL_RGMII) & 1u << 4);
}

static void change_link(void)
{
	model_link(false);
	run(2 * NS_PER_S);
	assert_false(dev->link_up);
	assert_false(model_peek(MODEL_RGMII) & 1u << 4);
	model_link(true);
	run(2 * NS_PER_S);
}

static void the_link_is_followed(void **state)
{
	uint8_t frame[60];

	(void)state;
	up();
	expect_mode(2, false, true);
	fill(frame, sizeof(frame));
	model_link(false);
	run(2 * NS_PER_S);
	assert_int_equal(send(frame, sizeof(frame)), -ENETDOWN);
	assert_false(model_receive(frame, sizeof(frame)));
	model.phy_mode = 5; /* what the PHY says counts, not the best that both offer */
	model.partner = 0x41e1;
	model_link(true);
	run(2 * NS_PER_S);
	assert_true(dev->link_up);
	expect_mode(1, false, false);
	model.phy_mode = 1;
	change_link();
	expect_mode(0, true, false);
	assert_int_equal(logged("10 Mbit/s, half duplex\n"), 1);
	model.phy_mode = 0; /* none */
	change_link();
	assert_false(dev->link_up);
	assert_int_equal(dev->stats.resets, 0);
}

static void the_best_common_mode_is_taken(void **state)
{
	static const struct {
		uint16_t partner, partner_1000;
		bool extended;
		uint32_t speed;
		bool half, pause, none;
	} modes[] = {
	    {0x45e1, 0x3c00, true, 2, false, true, false},
	    {0x45e1, 0xbc00, true, 1, false, true, false}, /* no master agreed upon */
	    {0x45e1, 0x0400, true, 1, false, true, false}, /* half duplex only */
	    {0x45e1, 0x3c00, false, 1, false, true, false},
	    {0x41e1, 0, true, 1, false, false, false},
	    {0x00e1, 0, true, 1, true, false, false},
	    {0x0461, 0, true, 0, false, true, false},
	    {0x0421, 0, true, 0, true, false, false}, /* half duplex does not pause */
	    {0x0001, 0, true, 0, false, false, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		begin();
		model.phy_id = MODEL_OTHER_PHY;
		model.phy_extended = modes[i].extended;
		model.partner = modes[i].partner;
		model.partner_1000 = modes[i].partner_1000;
		assert_int_equal(probe(PI4, ""), 0);
		take_over();
		model_link(true);
		run(NS_PER_S);
		assert_int_equal(dev->link_up, !modes[i].none);
		if (dev->link_up)
			expect_mode(modes[i].speed, modes[i].half, modes[i].pause);
	}
}

static void a_short_loss_is_noticed(void **state)
{
	(void)state;
	up();
	model_link(false);
	model_link(true);
	run(100 * NS_PER_US);
	assert_false(dev->link_up);
	run(NS_PER_S);
	assert_true(dev->link_up);
}

/* A link that is up already, as the firmware left it, is not torn down. */
static void a_good_link_is_kept(void **state)
{
	(void)state;
	up();
	assert_int_equal(model.negotiations, 1);
	/* The same PHY, the next image. */
	device_probe(driver, dt_find("/scb/ethernet"));
	take_over();
	assert_true(dev->link_up);
	assert_int_equal(model.negotiations, 1);
}

static void a_silent_phy_is_a_link_down(void **state)
{
	(void)state;
	up();
	model.mdio_stuck = true;
	run(20 * NS_PER_S);
	assert_false(dev->link_up);
	assert_int_equal(logged("does not answer"), 1);
	model.mdio_stuck = false;
	model.phy_address = 32;
	run(20 * NS_PER_S);
	assert_false(dev->link_up);
	model.phy_address = 1;
	run(2 * NS_PER_S);
	assert_true(dev->link_up);
	assert_int_equal(logged("does not answer"), 1);
	model.phy_address = 32;
	run(2 * NS_PER_S);
	assert_int_equal(logged("does not answer"), 2);
}

static void frames_wait_for_a_link_that_went(void **state)
{
	uint8_t frame[60], out[60];

	(void)state;
	up();
	fill(frame, sizeof(frame));
	assert_int_equal(send(frame, sizeof(frame)), 0);
	dev->ops->flush(dev);
	model_link(false);
	run(10 * NS_PER_S);
	assert_int_equal(dev->stats.resets, 0); /* that is not stuck */
	model_link(true);
	run(NS_PER_S);
	assert_int_equal(model_transmit(out, sizeof(out)), sizeof(out));
	run(NS_PER_S);
	assert_int_equal(cookies_out, 0);
	assert_int_equal(dev->stats.resets, 0);
}

/* --- Overrun, stuck, lies ---------------------------------------------------------------------- */

static void overrun_is_counted_and_over_when_buffers_come_back(void **state)
{
	uint8_t frame[60];

	(void)state;
	up();
	fill(frame, sizeof(frame));
	sink = hold;
	for (int i = 0; i < 600; i++) {
		model_receive(frame, sizeof(frame));
		run(NS_PER_US);
	}
	assert_int_equal(received, 512);
	assert_int_equal(model.rx_discarded, 88);
	assert_int_equal(dev->held_count, 512);
	run(NS_PER_S);
	assert_int_equal(dev->stats.rx_dropped, 88);
	check_buffers();
	free_held(0);
	run(NS_PER_S); /* the first that came back to the dry ring rang the bell */
	assert_int_equal(counts().in_ring, 256);
	assert_true(model_receive(frame, sizeof(frame)));
	run(NS_PER_S);
	assert_int_equal(received, 513);
	free_held(0);
	assert_int_equal(dev->stats.resets + dev->stats.rx_errors, 0);
}

static void nothing_received_in_error_goes_up(void **state)
{
	uint8_t frame[100];
	unsigned int errors = 0;

	(void)state;
	up();
	fill(frame, sizeof(frame));
	for (uint32_t bits = 1; bits < 32; bits++, errors++)
		assert_true(model_receive_status(frame, sizeof(frame), MODEL_RX_WHOLE | bits));
	for (uint32_t whole = 0; whole < 3; whole++, errors++)
		assert_true(model_receive_status(frame, sizeof(frame), whole << 13));
	run(NS_PER_MS);
	assert_int_equal(received, 0);
	assert_int_equal(dev->stats.rx_errors, errors);
	assert_true(model_receive_status(frame, sizeof(frame), MODEL_RX_WHOLE | 0x8060));
	run(NS_PER_MS);
	assert_int_equal(received, 1);
	check_buffers();
}

static void works(void)
{
	uint8_t frame[800], out[800];
	unsigned int before = received;

	fill(frame, sizeof(frame));
	assert_int_equal(send(frame, sizeof(frame)), 0);
	dev->ops->flush(dev);
	assert_int_equal(model_transmit(out, sizeof(out)), sizeof(out));
	assert_memory_equal(out, frame, sizeof(out));
	assert_true(model_receive(frame, sizeof(frame)));
	run(20 * NS_PER_MS);
	assert_int_equal(received, before + 1);
	assert_int_equal(cookies_out, 0);
}

static void stuck_transmission_is_reset(void **state)
{
	uint8_t frame[1000];

	(void)state;
	up();
	fill(frame, sizeof(frame));
	sink = hold;
	for (int i = 0; i < 100; i++) { /* while the stack keeps buffers, more than are spare */
		model_receive(frame, sizeof(frame));
		run(NS_PER_US);
	}
	model.tx_stuck = true;
	for (int i = 0; i < 50; i++)
		assert_int_equal(send(frame, sizeof(frame)), 0);
	dev->ops->flush(dev);
	run(4 * NS_PER_S);
	assert_int_equal(dev->stats.resets, 1);
	assert_int_equal(dev->stats.tx_errors, 50);
	assert_int_equal(logged("transmission is stuck: reset"), 1);
	assert_int_equal(cookies_out, 0);
	assert_true(dev->link_up);
	check_buffers();
	model.tx_stuck = false;
	sink = NULL;
	works();
	free_held(0);
	serve();
	forget_log();
	dev->stats = (struct netdev_stats){0};
	loop_back(500);
}

static void loop_back_after_reset(void)
{
	sink = NULL;
	serve();
	works();
	check_buffers();
}

/* More buffers held than there are spare: the ring goes on with the rest. */
static void a_reset_does_without_buffers_that_are_held(void **state)
{
	uint8_t frame[60];

	(void)state;
	up();
	fill(frame, sizeof(frame));
	sink = hold;
	for (int i = 0; i < 500; i++) {
		assert_true(model_receive(frame, sizeof(frame)));
		run(NS_PER_US);
	}
	model.tx_stuck = true;
	send(frame, sizeof(frame));
	dev->ops->flush(dev);
	run(4 * NS_PER_S);
	model.tx_stuck = false;
	assert_int_equal(dev->stats.resets, 1);
	assert_int_equal(counts().in_ring, 12);
	check_buffers();
	loop_back_after_reset();
	free_held(0);
	run(NS_PER_S);
	assert_int_equal(counts().in_ring, 256);
	works();
}

static void expect_broken(void)
{
	uint8_t frame[60];

	fill(frame, sizeof(frame));
	assert_true(dev->broken);
	assert_false(dev->link_up);
	serve();
	assert_int_equal(cookies_out, 0);
	assert_int_equal(send(frame, sizeof(frame)), -ENETDOWN);
	assert_null(dev->ops->receive(dev));
	dev->ops->refill(dev);
	dev->ops->flush(dev);
	dev->ops->reap(dev);
	assert_false(dev->ops->arm(dev));
	forget_log();
	run(60 * NS_PER_S);
	assert_int_equal(log_lines, 0);
	assert_false(model_line());
}

static void dma_that_does_not_stop_is_the_end(void **state)
{
	uint8_t frame[60];

	(void)state;
	up();
	fill(frame, sizeof(frame));
	model.tx_stuck = model.dma_never_stops = true;
	model_poke(MODEL_TX_STATUS, 0);
	model_poke(MODEL_RX_STATUS, 0);
	send(frame, sizeof(frame));
	dev->ops->flush(dev);
	send(frame, sizeof(frame)); /* one that it does not know of */
	run(4 * NS_PER_S);
	assert_int_equal(logged("does not stop: given up"), 1);
	expect_broken();
}

static void stuck_for_good_is_given_up(void **state)
{
	uint8_t frame[60];

	(void)state;
	up();
	fill(frame, sizeof(frame));
	for (int i = 0; i < 20 && !dev->broken; i++) {
		model_poke(MODEL_RX_INDEX, model_peek(MODEL_RX_INDEX) ^ 0x8000);
		serve();
		send(frame, sizeof(frame));
		run(20 * NS_PER_MS);
	}
	assert_int_equal(dev->stats.resets, 9);
	assert_int_equal(logged("given up"), 1);
	expect_broken();
}

static void impossible_indices_are_a_reset(void **state)
{
	(void)state;
	up();
	model_poke(MODEL_RX_INDEX, (model_peek(MODEL_RX_INDEX) & 0xffff) + 257);
	model_poke(MODEL_RX_PTR, (model_peek(MODEL_RX_INDEX) & 0xff) * 3);
	serve();
	assert_int_equal(dev->stats.resets, 1);
	assert_int_equal(logged("filled more buffers than it was given: reset"), 1);
	works();
	model_poke(MODEL_RX_INDEX, (uint16_t)(model_peek(MODEL_RX_INDEX) - 1));
	model_poke(MODEL_RX_PTR, (model_peek(MODEL_RX_INDEX) & 0xff) * 3);
	serve();
	assert_int_equal(dev->stats.resets, 2);
	works();
	send(our_mac, 6);
	dev->ops->flush(dev);
	model_poke(MODEL_TX_INDEX, (uint16_t)(model_peek(MODEL_TX_INDEX) + 200));
	model_poke(MODEL_TX_PTR, (model_peek(MODEL_TX_INDEX) & 0xff) * 3);
	serve();
	assert_int_equal(dev->stats.resets, 3);
	assert_int_equal(logged("sent more than it was given: reset"), 1);
	assert_int_equal(cookies_out, 0);
	works();
	/* Old resets are forgotten. */
	for (int i = 0; i < 30; i++) {
		run(11 * NS_PER_S);
		model_poke(MODEL_RX_INDEX, model_peek(MODEL_RX_INDEX) ^ 0x4000);
		serve();
		assert_false(dev->broken);
		works();
	}
}

/* Descriptors of any content, indices within what is possible and beyond. */
static void whatever_it_says_no_buffer_is_overrun(void **state)
{
	static uint8_t out[2048];

	(void)state;
	for (int i = 0; i < 30; i++) {
		up();
		sink = hold;
		for (int round = 0; round < 60 && !dev->broken; round++) {
			for (unsigned int slot = 0; slot < 256; slot++)
				model_poke(0x2000 + slot * 12,
				           ((uint32_t)rand() << 8 ^ (uint32_t)rand()) |
				               (rand() % 2 ? MODEL_RX_WHOLE : 0));
			model_poke(MODEL_RX_INDEX,
			           (uint32_t)rand() << 16 |
			               ((model_peek(MODEL_RX_INDEX) +
			                 (unsigned int)rand() % (rand() % 16 ? 40 : 65536)) &
			                0xffff));
			model_poke(MODEL_RX_PTR, (model_peek(MODEL_RX_INDEX) & 0xff) * 3);
			fill(out, 100);
			send(out, 100);
			dev->ops->flush(dev);
			if (rand() % 2)
				model_transmit(out, sizeof(out));
			serve();
			for (unsigned int h = 0; h < held_count; h++) {
				assert_in_range(held[h]->bytes, 14, 1518);
				memset(held[h]->data, 1, held[h]->bytes);
			}
			free_held((unsigned int)rand() % 200);
			if (rand() % 4 == 0)
				run((uint64_t)rand() % 100 * NS_PER_MS);
		}
		free_held(0);
		run(11 * NS_PER_S);
		if (dev->broken) {
			expect_broken();
		} else {
			sink = NULL;
			while (model_transmit(out, sizeof(out)) != 0)
				;
			run(NS_PER_S);
			works();
		}
		assert_int_equal(dev->held_count, 0);
	}
}

static int on_a_coherent_bus(void **state)
{
	(void)state;
	coherent = true;
	return 0;
}

static int on_one_that_is_not(void **state)
{
	(void)state;
	coherent = false;
	return 0;
}

#define TEST(f)                                                    \
	cmocka_unit_test_setup(f, on_one_that_is_not),             \
	{                                                          \
#f " (coherent)", f, on_a_coherent_bus, NULL, NULL \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(the_controller_is_set_up),
	    TEST(clock_delays_follow_the_tree),
	    TEST(the_mdio_clock_follows_the_tree),
	    TEST(any_phy_will_do),
	    TEST(no_address_gets_a_local_one),
	    TEST(little_ram_makes_small_rings),
	    TEST(a_probe_that_fails_leaves_nothing),
	    TEST(a_running_controller_is_stopped_first),
	    TEST(every_size_goes_out_whole),
	    TEST(every_size_comes_in_whole),
	    TEST(only_what_is_for_us_comes_in),
	    TEST(rings_wrap),
	    TEST(indices_wrap),
	    TEST(a_small_ring_is_enough),
	    TEST(no_frame_waits_for_the_next),
	    TEST(sent_frames_are_collected_in_time),
	    TEST(a_full_ring_is_backpressure),
	    TEST(spurious_interrupts_do_nothing),
	    TEST(what_cannot_be_reached_is_copied),
	    TEST(the_link_is_followed),
	    TEST(the_best_common_mode_is_taken),
	    TEST(a_short_loss_is_noticed),
	    TEST(a_good_link_is_kept),
	    TEST(a_silent_phy_is_a_link_down),
	    TEST(frames_wait_for_a_link_that_went),
	    TEST(overrun_is_counted_and_over_when_buffers_come_back),
	    TEST(nothing_received_in_error_goes_up),
	    TEST(stuck_transmission_is_reset),
	    TEST(a_reset_does_without_buffers_that_are_held),
	    TEST(dma_that_does_not_stop_is_the_end),
	    TEST(stuck_for_good_is_given_up),
	    TEST(impossible_indices_are_a_reset),
	    TEST(whatever_it_says_no_buffer_is_overrun),
	};

	srand(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
