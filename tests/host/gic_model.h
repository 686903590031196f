/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A GIC for host tests: the lines, the registers that GICv2 and GICv3 have in common, and the tree
 * and clock around the driver. Written from the architecture specifications (IHI 0048, IHI 0069), it
 * complains about what they forbid.
 */
#ifndef TESTS_HOST_GIC_MODEL_H
#define TESTS_HOST_GIC_MODEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <pith/dt.h>
#include <pith/io.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/time.h>

#define MODEL_LINES 288u /* ITLinesNumber 8 */

static struct line {
	bool group1, enabled, pending, active, edge;
	uint8_t priority, targets;
	uint64_t router;
} lines[MODEL_LINES];

static unsigned int logged;
static uint64_t model_ns;
bool thread_switch_pending;

void thread_switch_restore(unsigned long daif)
{
	(void)daif;
}

void klog(const char *fmt, ...)
{
	(void)fmt;
	logged++;
}

uint64_t time_now_ns(void)
{
	return model_ns += NS_PER_US;
}

/* Node n's first interrupt, as the test wants it: node 0 is the controller. */
static struct dt_irq tree_irq[16];

int dt_irq(dt_node n, unsigned int index, struct dt_irq *irq)
{
	assert_int_equal(index, 0);
	if (n >= 16 || !tree_irq[n].cell_count)
		return -ENOENT;
	*irq = tree_irq[n];
	return 0;
}

static void tree_interrupt(dt_node n, uint32_t type, uint32_t number, uint32_t flags)
{
	tree_irq[n] = (struct dt_irq){.cell_count = 3, .cells = {type, number, flags}};
}

/* ---- Registers of lines ---- */

enum { IGROUPR = 0x080, ISENABLER = 0x100, ICENABLER = 0x180, ISPENDR = 0x200, ICPENDR = 0x280 };
enum { ISACTIVER = 0x300, ICACTIVER = 0x380, IPRIORITYR = 0x400, ITARGETSR = 0x800 };
enum { ICFGR = 0xc00, ICFGR_END = 0xd00 };

/* A word of one bit a line. */
static void write_bits(unsigned int reg, unsigned int first, uint32_t value)
{
	for (unsigned int i = 0; i < 32 && first + i < MODEL_LINES; i++) {
		struct line *l = &lines[first + i];

		if (reg == IGROUPR) {
			l->group1 = value >> i & 1;
			continue;
		}
		if (!(value >> i & 1))
			continue;
		if (reg == ISENABLER || reg == ICENABLER)
			l->enabled = reg == ISENABLER;
		else if (reg == ICACTIVER)
			l->active = false;
		else
			fail_msg("unexpected write at 0x%x", reg);
	}
}

static uint32_t read_bits(unsigned int reg, unsigned int first)
{
	uint32_t value = 0;

	assert_int_equal(reg, IGROUPR);
	for (unsigned int i = 0; i < 32 && first + i < MODEL_LINES; i++)
		value |= (uint32_t)lines[first + i].group1 << i;
	return value;
}

/* ICFGR: bit 1 of each field is the trigger, and is only written while the line is disabled. */
static void write_config(unsigned int first, uint32_t value)
{
	for (unsigned int i = 0; i < 16 && first + i < MODEL_LINES; i++) {
		struct line *l = &lines[first + i];
		bool edge = value >> (2 * i + 1) & 1;

		assert_true(edge == l->edge || !l->enabled);
		if (first + i >= 16) /* SGIs are fixed */
			l->edge = edge;
	}
}

static uint32_t read_config(unsigned int first)
{
	uint32_t value = 0;

	for (unsigned int i = 0; i < 16 && first + i < MODEL_LINES; i++)
		value |= (lines[first + i].edge ? 2u : 0) << (2 * i);
	return value;
}

/* Lines first to end-1 are behind these registers. */
static void write_line_register(size_t at, unsigned int bytes, uint64_t value, unsigned int first,
                                unsigned int end)
{
	if (at >= ICFGR && at < ICFGR_END) {
		assert_int_equal(bytes, 4);
		assert_in_range((at - ICFGR) * 4, first, end - 1);
		write_config((at - ICFGR) * 4, value);
	} else if (at >= IPRIORITYR && at < ITARGETSR) {
		assert_int_equal(bytes, 1);
		assert_in_range(at - IPRIORITYR, first, end - 1);
		lines[at - IPRIORITYR].priority = value;
	} else {
		unsigned int reg = at & ~0x7ful;

		assert_int_equal(bytes, 4);
		assert_in_range(at, IGROUPR, IPRIORITYR - 1);
		assert_in_range((at - reg) * 8, first, end - 1);
		write_bits(reg, (at - reg) * 8, value);
	}
}

static uint64_t read_line_register(size_t at, unsigned int bytes)
{
	assert_int_equal(bytes, 4);
	if (at >= ICFGR && at < ICFGR_END)
		return read_config((at - ICFGR) * 4);
	return read_bits(at & ~0x7ful, (at & 0x7f) * 8);
}

/* The most urgent line that may be signalled, or 1023. */
static unsigned int next_pending(bool (*may_signal)(unsigned int line))
{
	unsigned int best = 1023;

	for (unsigned int i = 0; i < MODEL_LINES; i++)
		if (lines[i].pending && lines[i].enabled && !lines[i].active && may_signal(i) &&
		    (best == 1023 || lines[i].priority < lines[best].priority))
			best = i;
	return best;
}

/* ---- Handlers ---- */

static char handled[100]; /* who, in order */

/* A device that lowers its line when handled. arg: "A5", its letter and line. */
static void handler(void *arg)
{
	const char *who = arg;

	assert_true(in_irq());
	lines[atoi(who + 1)].pending = false;
	strncat(handled, who, 1);
}

static const char *interrupt(void)
{
	handled[0] = '\0';
	assert_false(in_irq());
	irq_entry();
	assert_false(in_irq());
	return handled;
}

#endif
