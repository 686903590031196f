/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio device behind MMIO registers, version 1 or 2, for host tests: it fails the test when the
 * driver breaks the protocol (virtio 1.2, sections 3.1 and 4.2). What the device does with its rings
 * is the test's. Also here: what the drivers need of the kernel, with a clock that only moves when
 * somebody looks at it or waits.
 */
#ifndef VIRTIO_MODEL_H
#define VIRTIO_MODEL_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <pith/compiler.h>
#include <pith/driver.h>
#include <pith/entropy.h>
#include <pith/io.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/page.h>
#include <pith/thread.h>
#include <pith/time.h>
#include "ring_model.h"

struct model_queue {
	struct ring_model r;
	uint32_t max, num;
	uint32_t address[6]; /* desc, driver, device: low, high */
	bool ready;
	unsigned int notified;
};

static struct model {
	/* How it is. */
	uint32_t id, version;
	uint64_t offered;
	uint8_t config[64];
	bool refuses_features, never_resets, restless;
	/* What happened to it. */
	uint64_t accepted;
	uint32_t status, device_sel, driver_sel, queue_sel, page_bytes, align, irq, generation;
	struct model_queue queue[2];
	unsigned int resets;
	bool failed; /* STATUS had FAILED */
} model;

static uint8_t model_regs[0x200];
static irq_handler model_handler;
static void *model_handler_arg;
static uint64_t model_now_ns;
static unsigned int log_lines;
static char log_text[4096];
/* Somebody waits: let the device do something. */
static void (*model_while_waiting)(void);

#define MODEL_OK      (1u | 2u | 4u)
#define MODEL_RUNNING ((model.status & MODEL_OK) == MODEL_OK)

/* --- Registers --------------------------------------------------------------------------------- */

static void model_reset(void)
{
	model.resets++;
	if (model.never_resets && model.status != 0)
		return;
	model.status = model.irq = 0;
	model.accepted = 0;
	model.device_sel = model.driver_sel = model.queue_sel = 0;
	for (size_t i = 0; i < ARRAY_LEN(model.queue); i++) {
		uint32_t max = model.queue[i].max;

		model.queue[i] = (struct model_queue){.max = max};
	}
}

static void model_set_status(uint32_t status)
{
	if (status == 0) {
		model_reset();
		return;
	}
	model.failed |= status & 128;
	assert_int_equal(status & model.status, model.status); /* bits are only added */
	if (status & 2)
		assert_true(model.status & 1);
	if (status & 8)
		assert_int_equal(model.version, 2);
	if ((status & 4) && model.version == 2)
		assert_true(model.status & 8);
	if ((status & 8) && !(model.status & 8) && model.refuses_features)
		status &= ~8u;
	model.status = status;
}

static void model_queue_ready(struct model_queue *q, uint64_t desc, uint64_t driver,
                              uint64_t device)
{
	assert_false(MODEL_RUNNING);
	assert_true(q->num != 0 && q->num <= q->max && (q->num & (q->num - 1)) == 0);
	assert_int_equal(desc % 16, 0);
	assert_int_equal(driver % 2, 0);
	assert_int_equal(device % 4, 0);
	q->ready = true;
	q->r = (struct ring_model){
	    .desc = (struct vring_desc *)desc,
	    .avail = (struct vring_avail *)driver,
	    .used = (struct vring_used *)device,
	    .size = q->num,
	    .event_idx = model.accepted & VIRTIO_F_EVENT_IDX,
	    .indirect = model.accepted & VIRTIO_F_INDIRECT_DESC,
	};
	assert_int_equal(q->r.avail->idx, 0);
	assert_int_equal(q->r.used->idx, 0);
}

/* Section 2.7.2: descriptors, then available, then used at the next multiple of align. */
static void model_queue_pfn(struct model_queue *q, uint32_t pfn)
{
	uint64_t desc = (uint64_t)pfn * model.page_bytes, driver = desc + q->num * 16ull;

	assert_int_equal(model.version, 1);
	assert_true(model.page_bytes >= 4096 && model.align >= 4096);
	model_queue_ready(q, desc, driver, ALIGN_UP(driver + 4 + 2 * (q->num + 1ull), model.align));
}

static uint32_t model_read_register(size_t offset)
{
	struct model_queue *q = &model.queue[MIN(model.queue_sel, 1)];

	switch (offset) {
	case 0x000:
		return 0x74726976;
	case 0x004:
		return model.version;
	case 0x008:
		return model.id;
	case 0x010:
		assert_true(model.device_sel <= (model.version == 1 ? 0 : 1));
		return (uint32_t)(model.offered >> 32 * model.device_sel);
	case 0x034:
		return model.queue_sel <= 1 ? q->max : 0;
	case 0x060:
		return model.irq;
	case 0x070:
		return model.status;
	case 0x0fc:
		assert_int_equal(model.version, 2);
		return model.restless ? model.generation++ : model.generation;
	default:
		fail_msg("read of register 0x%zx", offset);
		return 0;
	}
}

uint64_t model_read(const volatile void *addr, unsigned int bytes)
{
	size_t offset = (size_t)((const volatile uint8_t *)addr - model_regs);
	uint64_t value = 0;

	assert_true(offset + bytes <= sizeof(model_regs));
	if (offset < 0x100) {
		assert_int_equal(bytes, 4);
		return model_read_register(offset);
	}
	offset -= 0x100;
	assert_true(model.status & 2 && offset + bytes <= sizeof(model.config));
	assert_int_equal(offset % bytes, 0);
	memcpy(&value, model.config + offset, bytes);
	return value;
}

void model_write(volatile void *addr, unsigned int bytes, uint64_t value)
{
	size_t offset = (size_t)((volatile uint8_t *)addr - model_regs);
	struct model_queue *q = &model.queue[MIN(model.queue_sel, 1)];
	uint32_t v = (uint32_t)value;

	assert_int_equal(bytes, 4);
	switch (offset) {
	case 0x014:
		model.device_sel = v;
		return;
	case 0x024:
		model.driver_sel = v;
		return;
	case 0x020:
		assert_false(model.status & (4 | 8));
		model.accepted |= (uint64_t)v << 32 * model.driver_sel;
		assert_int_equal(model.accepted & ~model.offered, 0);
		return;
	case 0x028:
		model.page_bytes = v;
		return;
	case 0x030:
		model.queue_sel = v;
		return;
	case 0x038:
		/* Features are settled before rings are built on them. */
		assert_true(model.version == 1 || (model.status & 8));
		q->num = v;
		return;
	case 0x03c:
		model.align = v;
		return;
	case 0x040:
		model_queue_pfn(q, v);
		return;
	case 0x044:
		assert_int_equal(model.version, 2);
		assert_int_equal(v, 1);
		model_queue_ready(q, q->address[0] | (uint64_t)q->address[1] << 32,
		                  q->address[2] | (uint64_t)q->address[3] << 32,
		                  q->address[4] | (uint64_t)q->address[5] << 32);
		return;
	case 0x050:
		assert_true(MODEL_RUNNING && v <= 1 && model.queue[v].ready);
		model.queue[v].notified++;
		return;
	case 0x064:
		assert_int_equal(v & ~model.irq, 0);
		model.irq &= ~v;
		return;
	case 0x070:
		model_set_status(v);
		return;
	case 0x080:
	case 0x084:
	case 0x090:
	case 0x094:
	case 0x0a0:
	case 0x0a4:
		assert_int_equal(model.version, 2);
		q->address[(offset - 0x80) / 16 * 2 + offset / 4 % 2] = v;
		return;
	default:
		fail_msg("write of register 0x%zx", offset);
	}
}

/* Level: the handler runs until it has acknowledged everything. */
static void model_interrupt(uint32_t cause)
{
	if (!MODEL_RUNNING)
		return;
	model.irq |= cause;
	for (int i = 0; model.irq != 0; i++) {
		assert_true(i < 10);
		model_handler(model_handler_arg);
	}
}

/* --- The kernel, as far as the drivers need it ------------------------------------------------- */

static size_t model_reg_bytes = sizeof(model_regs);
static int model_irq_error;

int dt_reg(dt_node n, unsigned int index, uint64_t *pa, uint64_t *bytes)
{
	(void)n;
	assert_int_equal(index, 0);
	*pa = (uintptr_t)model_regs;
	*bytes = model_reg_bytes;
	return 0;
}

const char *dt_name(dt_node n)
{
	(void)n;
	return "virtio_mmio@a000000";
}

void *io_map(uint64_t pa, size_t bytes)
{
	(void)bytes;
	return (void *)(uintptr_t)pa;
}

int64_t io_probe_read32(const volatile void *reg)
{
	(void)reg;
	fail();
	return -ENXIO;
}

int irq_attach(dt_node node, unsigned int index, irq_handler handler, void *arg)
{
	(void)node, (void)index;
	model_handler = handler;
	model_handler_arg = arg;
	return model_irq_error;
}

/* Below 2 GiB, where a legacy device's page numbers reach, between guard pages. */
void *page_alloc(size_t count, size_t align, uint64_t below_pa)
{
	uint8_t *p = mmap(NULL, (count + 2) * PAGE_BYTES, PROT_NONE,
	                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	(void)below_pa;
	assert_int_equal(align, PAGE_BYTES);
	assert_true(p != MAP_FAILED);
	mprotect(p + PAGE_BYTES, count * PAGE_BYTES, PROT_READ | PROT_WRITE);
	memset(p + PAGE_BYTES, 0xa5, count * PAGE_BYTES); /* contents are undefined */
	return p + PAGE_BYTES;
}

void page_free(void *pages, size_t count)
{
	munmap((uint8_t *)pages - PAGE_BYTES, (count + 2) * PAGE_BYTES);
}

void klog(const char *fmt, ...)
{
	va_list args;

	log_lines++;
	va_start(args, fmt);
	vsnprintf(log_text, sizeof(log_text), fmt, args);
	va_end(args);
}

uint64_t time_now_ns(void)
{
	return model_now_ns += NS_PER_US;
}

void waitq_init(struct waitq *q)
{
	list_init(&q->waiters);
}

int waitq_wake_one(struct waitq *q)
{
	(void)q;
	return 0;
}

static bool model_woken;

int waitq_wake_all(struct waitq *q)
{
	(void)q;
	model_woken = true;
	return 0;
}

int waitq_wait(struct waitq *q, uint64_t deadline_ns)
{
	(void)q;
	model_woken = false;
	if (model_while_waiting)
		model_while_waiting();
	if (model_woken)
		return 0;
	model_now_ns = MAX(model_now_ns, deadline_ns);
	return -ETIMEDOUT;
}

void mutex_init(struct mutex *m)
{
	m->owner = NULL;
}

void mutex_lock(struct mutex *m)
{
	assert_null(m->owner);
	m->owner = (struct thread *)m;
}

int mutex_trylock(struct mutex *m)
{
	if (m->owner)
		return -EBUSY;
	mutex_lock(m);
	return 0;
}

void mutex_unlock(struct mutex *m)
{
	assert_non_null(m->owner);
	m->owner = NULL;
}

/* --- Beginning --------------------------------------------------------------------------------- */

extern const struct driver __drivers_start[];

/* virtio_mmio.c's. */
static int model_probe(dt_node node)
{
	return device_probe(&__drivers_start[0], node);
}

static void model_begin(uint32_t id, uint32_t version, uint64_t offered, uint32_t queue_max)
{
	model = (struct model){.id = id,
	                       .version = version,
	                       .offered = offered | (version == 2 ? VIRTIO_F_VERSION_1 : 0),
	                       .queue = {{.max = queue_max}, {.max = queue_max}}};
	model_handler = NULL;
	model_while_waiting = NULL;
	model_reg_bytes = sizeof(model_regs);
	model_irq_error = 0;
	log_lines = 0;
	log_text[0] = 0;
}

#endif
