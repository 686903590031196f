/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises, against a model of GICv2 as a non-secure system sees it: what the boot loader left on is
 * off; a line goes to this CPU with the tree's trigger; all handlers of a shared line run; the end of
 * an interrupt is told with IAR's whole value; nobody's interrupt is switched off; specifiers out of
 * range are refused; groups are never touched.
 */
#include <stdlib.h>
#include "gic_model.h"
#include "../../drivers/gicv2.c"

static uint8_t gicd[GICD_BYTES], gicc[0x2000];
static uint32_t gicd_ctlr, gicc_ctlr, gicc_pmr;
static uint32_t acknowledged[8]; /* a stack: interrupts nest */
static unsigned int depth;
static uint8_t cpu_bit = 4;
static unsigned int sgi_source;

void *io_map(uint64_t pa, size_t bytes)
{
	assert_true(pa == 0x1000 ? bytes <= sizeof(gicd) : bytes <= sizeof(gicc));
	return pa == 0x1000 ? gicd : gicc;
}

int64_t io_probe_read32(const volatile void *reg)
{
	(void)reg;
	fail();
	return -ENXIO;
}

int dt_reg(dt_node n, unsigned int index, uint64_t *pa, uint64_t *bytes)
{
	assert_int_equal(n, 0);
	*pa = index ? 0x2000 : 0x1000;
	*bytes = index ? sizeof(gicc) : sizeof(gicd);
	return 0;
}

static bool may_signal(unsigned int line)
{
	/* With one CPU (no bit) the targets are ignored. */
	return (gicd_ctlr & 1) && (gicc_ctlr & 1) && lines[line].priority < gicc_pmr &&
	       (line < 32 || !cpu_bit || (lines[line].targets & cpu_bit));
}

static uint32_t acknowledge(void)
{
	unsigned int line = next_pending(may_signal);
	uint32_t iar = line | (line < 16 ? sgi_source << 10 : 0);

	if (line >= 1020)
		return line;
	lines[line].active = true;
	if (lines[line].edge || line < 16)
		lines[line].pending = false;
	acknowledged[depth++] = iar;
	return iar;
}

uint64_t model_read(const volatile void *addr, unsigned int bytes)
{
	size_t at = (const uint8_t *)addr - gicd;

	if (at >= sizeof(gicd)) {
		assert_ptr_equal(addr, gicc + GICC_IAR);
		return acknowledge();
	}
	assert_int_equal(bytes, 4);
	if (at == 4)
		return MODEL_LINES / 32 - 1;
	if (at >= ITARGETSR && at < ITARGETSR + 32)
		return at == ITARGETSR + 4 ? cpu_bit << 8 : 0; /* not every line is there */
	return read_line_register(at, bytes);
}

void model_write(volatile void *addr, unsigned int bytes, uint64_t value)
{
	size_t at = (const volatile uint8_t *)addr - gicd;

	if (addr == gicc + GICC_EOIR) {
		assert_true(depth > 0);
		assert_int_equal(value, acknowledged[--depth]);
		lines[value & 0x3ff].active = false;
	} else if (addr == gicc + GICC_CTLR) {
		gicc_ctlr = value;
	} else if (addr == gicc + GICC_PMR) {
		gicc_pmr = value;
	} else if (at == 0) {
		assert_int_equal(value & ~1u, 0); /* a non-secure system has bit 0 only */
		gicd_ctlr = value;
	} else if (at >= ITARGETSR && at < ICFGR) {
		assert_int_equal(bytes, 1);
		assert_in_range(at - ITARGETSR, 32, MODEL_LINES - 1);
		lines[at - ITARGETSR].targets = value;
	} else {
		assert_false(at >= IGROUPR && at < ISENABLER);
		write_line_register(at, bytes, value, 0, MODEL_LINES);
	}
}

uint64_t model_sysreg_read(const char *name)
{
	fail_msg("%s read", name);
	return 0;
}

void model_sysreg_write(const char *name, uint64_t value)
{
	(void)value;
	fail_msg("%s written", name);
}

static int attach(dt_node n, const char *who)
{
	return irq_attach(n, 0, handler, (void *)(uintptr_t)who);
}

static void what_was_on_is_off(void **state)
{
	(void)state;
	lines[40].enabled = lines[40].active = lines[40].pending = true;
	lines[30].enabled = lines[30].active = true;
	assert_int_equal(device_probe(&driver_gicv2, 0), 0);
	for (unsigned int i = 0; i < MODEL_LINES; i++)
		assert_false(lines[i].enabled || lines[i].active);
	assert_string_equal(interrupt(), "");
}

static void lines_arrive(void **state)
{
	(void)state;
	tree_interrupt(1, 0, 1, 4);      /* SPI 1: line 33, level */
	tree_interrupt(2, 0, 255, 1);    /* SPI 255: line 287, the last; edge */
	tree_interrupt(3, 1, 11, 0xf08); /* PPI 11: line 27, level, with a cpu mask */
	assert_int_equal(attach(1, "A33"), 0);
	assert_int_equal(attach(2, "B287"), 0);
	assert_int_equal(attach(3, "C27"), 0);
	assert_true(lines[287].edge && !lines[33].edge && !lines[27].edge);
	assert_int_equal(lines[33].targets, cpu_bit);
	lines[33].pending = lines[287].pending = lines[27].pending = true;
	assert_string_equal(interrupt(), "CAB");
	assert_int_equal(depth, 0);
	assert_string_equal(interrupt(), "");
}

static void shared_lines_reach_all(void **state)
{
	(void)state;
	tree_interrupt(4, 0, 1, 4);
	assert_int_equal(attach(4, "D33"), 0);
	lines[33].pending = true;
	assert_string_equal(interrupt(), "AD");
}

static void what_is_nobodys_is_switched_off(void **state)
{
	(void)state;
	lines[50].enabled = lines[50].pending = true;
	lines[50].targets = cpu_bit;
	logged = 0;
	assert_string_equal(interrupt(), "");
	assert_int_equal(logged, 1);
	assert_false(lines[50].enabled);
	/* An SGI from another CPU: its number must come back with the source. */
	sgi_source = 3;
	lines[2].enabled = lines[2].pending = true;
	assert_string_equal(interrupt(), "");
	assert_int_equal(depth, 0);
}

static void bad_specifiers_are_refused(void **state)
{
	static const uint32_t bad[][3] = {
	    {0, 256, 4}, {0, UINT32_MAX, 4}, {0, UINT32_MAX - 31, 4}, {1, 16, 4},
	    {2, 0, 4},   {3, 0, 4},          {UINT32_MAX, 0, 4},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		tree_interrupt(5, bad[i][0], bad[i][1], bad[i][2]);
		assert_int_equal(attach(5, "E0"), -EINVAL);
	}
	tree_interrupt(5, 0, 1, 4);
	tree_irq[5].cell_count = 2;
	assert_int_equal(attach(5, "E0"), -EINVAL);
	tree_irq[5].controller = 9;
	assert_int_equal(attach(5, "E0"), -ENODEV);
	assert_int_equal(attach(6, "E0"), -ENOENT);
}

static void one_cpu_needs_no_targets(void **state)
{
	(void)state;
	cpu_bit = 0;
	assert_int_equal(this_cpu(gicd), 0);
	lines[33].pending = true;
	assert_string_equal(interrupt(), "AD");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_on_is_off),
	    cmocka_unit_test(lines_arrive),
	    cmocka_unit_test(shared_lines_reach_all),
	    cmocka_unit_test(what_is_nobodys_is_switched_off),
	    cmocka_unit_test(bad_specifiers_are_refused),
	    cmocka_unit_test(one_cpu_needs_no_targets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
