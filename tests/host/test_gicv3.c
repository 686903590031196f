/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises, against a model of GICv3: this CPU's redistributor is found by its affinity, in any region
 * and at any stride; lines are in Group 1 and routed to this CPU; hardware that does not answer is an
 * error in time, never a hang; extended ranges are refused.
 */
#include <stdlib.h>
#include "gic_model.h"
#include "../../drivers/gicv3.c"

#define GICD_PA    0x10000
#define REGION0_PA 0x100000
#define REGION1_PA 0x800000
#define MPIDR      0x8580010302ull /* Aff3 0x85, bit 31 RES1, Aff2.1.0 = 1.3.2 */
#define AFFINITY   0x85010302u

static struct {
	uint64_t region1_bytes, stride;
	unsigned int regions;
	bool no_one_has_our_affinity, gicv4, never_wakes, rwp_sticks, sre_sticks_off;
} machine;

static uint8_t gicd[GICD_BYTES], regions[2][0x200000];
static uint32_t gicd_ctlr, waker, sre, grpen, running[8];
static uint64_t pmr, icc_ctlr;
static unsigned int depth, rwp_reads, ours;

static size_t step(void)
{
	return machine.stride ? machine.stride : machine.gicv4 ? GICR_BYTES_V4 : GICR_BYTES;
}

void *io_map(uint64_t pa, size_t bytes)
{
	if (pa == GICD_PA)
		return gicd;
	/* A frame at a time: the region may hold hundreds of CPUs. */
	assert_int_equal(bytes, GICR_BYTES);
	if (pa >= REGION1_PA)
		return regions[1] + (pa - REGION1_PA);
	return regions[0] + (pa - REGION0_PA);
}

int64_t io_probe_read32(const volatile void *reg)
{
	(void)reg;
	fail();
	return -ENXIO;
}

int dt_reg(dt_node n, unsigned int index, uint64_t *pa, uint64_t *bytes)
{
	static const uint64_t pas[] = {GICD_PA, REGION0_PA, REGION1_PA};
	const uint64_t sizes[] = {GICD_BYTES, 2 * step(), machine.region1_bytes};

	assert_int_equal(n, 0);
	if (index > machine.regions)
		return -ENOENT;
	*pa = pas[index];
	*bytes = sizes[index];
	return 0;
}

int64_t dt_u32(dt_node n, const char *name, unsigned int index)
{
	(void)n;
	assert_int_equal(index, 0);
	assert_string_equal(name, "#redistributor-regions");
	if (machine.regions == 1)
		return -ENOENT;
	return machine.regions;
}

int dt_u64(dt_node n, const char *name, uint64_t *value)
{
	(void)n;
	assert_string_equal(name, "redistributor-stride");
	if (!machine.stride)
		return -ENOENT;
	*value = machine.stride;
	return 0;
}

/* Two redistributors in region 0, then those of region 1; ours is the `ours`-th. */
static unsigned int redistributor(const volatile void *addr, size_t *at)
{
	size_t offset = (const volatile uint8_t *)addr - regions[0];
	unsigned int region = offset >= sizeof(regions[0]);

	offset -= region * sizeof(regions[0]);
	*at = offset % step();
	return 2 * region + offset / step();
}

static uint64_t typer(unsigned int i)
{
	bool mine = i == ours && !machine.no_one_has_our_affinity;
	bool last = i == 1 || (i >= 2 && i - 1 == machine.region1_bytes / step());

	return (uint64_t)(mine ? AFFINITY : i) << 32 | (machine.gicv4 ? GICR_TYPER_VLPIS : 0) |
	       (last ? GICR_TYPER_LAST : 0);
}

/* A write's effect takes a while. */
static uint32_t rwp(uint32_t bit)
{
	if (rwp_reads)
		rwp_reads -= !machine.rwp_sticks;
	return rwp_reads ? bit : 0;
}

uint64_t model_read(const volatile void *addr, unsigned int bytes)
{
	size_t at = (const volatile uint8_t *)addr - gicd;

	if (at < sizeof(gicd)) {
		if (at == 0)
			return gicd_ctlr | rwp(GICD_CTLR_RWP);
		return at == 4 ? MODEL_LINES / 32 - 1 : read_line_register(at, bytes);
	}
	if (redistributor(addr, &at) != ours || at == GICR_TYPER) {
		assert_int_equal(at, GICR_TYPER); /* nothing else of others' */
		assert_int_equal(bytes, 8);
		return typer(redistributor(addr, &at));
	}
	if (at == GICR_CTLR)
		return rwp(GICR_CTLR_RWP);
	if (at == GICR_WAKER)
		return waker;
	return read_line_register(at - GICR_SGI_FRAME, bytes);
}

static void write_distributor(size_t at, unsigned int bytes, uint64_t value)
{
	if (at == 0) {
		/* ARE is set while everything is off, and never cleared (12.9.4). */
		assert_true(value & GICD_CTLR_ARE ? gicd_ctlr & GICD_CTLR_ARE || !(gicd_ctlr & 3)
		                                  : !(gicd_ctlr & GICD_CTLR_ARE));
		gicd_ctlr = value;
		rwp_reads = 3;
	} else if (at >= GICD_IROUTER) {
		assert_int_equal(bytes, 8);
		lines[(at - GICD_IROUTER) / 8].router = value;
	} else {
		write_line_register(at, bytes, value, 32, MODEL_LINES);
		rwp_reads = 3;
	}
}

void model_write(volatile void *addr, unsigned int bytes, uint64_t value)
{
	size_t at = (const volatile uint8_t *)addr - gicd;

	if (at < sizeof(gicd)) {
		write_distributor(at, bytes, value);
		return;
	}
	assert_int_equal(redistributor(addr, &at), ours);
	if (at == GICR_WAKER) {
		waker = value & GICR_WAKER_SLEEP || machine.never_wakes ? 6 : 0;
		return;
	}
	assert_int_equal(waker, 0);
	write_line_register(at - GICR_SGI_FRAME, bytes, value, 0, 32);
	rwp_reads = 3;
}

static bool may_signal(unsigned int line)
{
	return (gicd_ctlr & GICD_CTLR_GRP1A) && (gicd_ctlr & GICD_CTLR_ARE) && (grpen & 1) &&
	       lines[line].group1 && lines[line].priority < pmr &&
	       (line < 32 || lines[line].router == (MPIDR & 0xff00ffffff));
}

static unsigned int acknowledge(void)
{
	unsigned int line = next_pending(may_signal);

	if (line >= 1020)
		return line;
	lines[line].active = true;
	if (lines[line].edge)
		lines[line].pending = false;
	return running[depth++] = line;
}

uint64_t model_sysreg_read(const char *name)
{
	if (!strcmp(name, "mpidr_el1"))
		return MPIDR;
	if (!strcmp(name, "icc_sre_el1"))
		return sre;
	assert_true(sre & 1);
	if (!strcmp(name, "icc_ctlr_el1"))
		return icc_ctlr;
	assert_string_equal(name, "icc_iar1_el1");
	return acknowledge();
}

void model_sysreg_write(const char *name, uint64_t value)
{
	if (!strcmp(name, "icc_sre_el1")) {
		sre = machine.sre_sticks_off ? 0 : value;
		return;
	}
	assert_true(sre & 1);
	if (!strcmp(name, "icc_pmr_el1")) {
		pmr = value;
	} else if (!strcmp(name, "icc_ctlr_el1")) {
		icc_ctlr = value;
	} else if (!strcmp(name, "icc_igrpen1_el1")) {
		grpen = value;
	} else {
		assert_string_equal(name, "icc_eoir1_el1");
		assert_int_equal(value, running[--depth]);
		assert_false(icc_ctlr & ICC_CTLR_EOIMODE);
		lines[value].active = false;
	}
}

static int fresh(void **state)
{
	(void)state;
	memset(&machine, 0, sizeof(machine));
	machine.regions = 1;
	machine.region1_bytes = 0;
	gicd_ctlr = GICD_CTLR_GRP1; /* as some boot loader left it */
	icc_ctlr = ICC_CTLR_EOIMODE;
	waker = 6;
	sre = 0;
	ours = 0;
	return 0;
}

static void redistributors_are_found(void **state)
{
	(void)state;
	for (ours = 0; ours < 2; ours++)
		assert_int_equal(device_probe(&driver_gicv3, 0), 0);
	machine.gicv4 = true;
	ours = 1;
	assert_int_equal(device_probe(&driver_gicv3, 0), 0);
	machine.stride = 0x80000;
	assert_int_equal(device_probe(&driver_gicv3, 0), 0);
	machine.regions = 2;
	machine.region1_bytes = 3 * step();
	for (ours = 2; ours < 5; ours++)
		assert_int_equal(device_probe(&driver_gicv3, 0), 0);
}

static void hardware_that_does_not_answer_is_an_error(void **state)
{
	(void)state;
	machine.no_one_has_our_affinity = true;
	assert_int_equal(device_probe(&driver_gicv3, 0), -ENXIO);
	fresh(state);
	machine.never_wakes = true;
	assert_int_equal(device_probe(&driver_gicv3, 0), -ETIMEDOUT);
	fresh(state);
	machine.rwp_sticks = true;
	assert_int_equal(device_probe(&driver_gicv3, 0), -ETIMEDOUT);
	fresh(state);
	machine.sre_sticks_off = true;
	assert_int_equal(device_probe(&driver_gicv3, 0), -EIO);
	fresh(state);
	rwp_reads = 0;
}

static int attach(dt_node n, const char *who)
{
	return irq_attach(n, 0, handler, (void *)(uintptr_t)who);
}

static void lines_arrive(void **state)
{
	(void)state;
	lines[40].enabled = lines[40].active = true;
	lines[30].enabled = lines[30].active = true;
	assert_int_equal(device_probe(&driver_gicv3, 0), 0);
	for (unsigned int i = 0; i < MODEL_LINES; i++)
		assert_false(lines[i].enabled || lines[i].active);
	tree_interrupt(1, 0, 1, 4);
	tree_interrupt(2, 0, 255, 1);
	tree_interrupt(3, 1, 11, 8);
	assert_int_equal(attach(1, "A33"), 0);
	assert_int_equal(attach(2, "B287"), 0);
	assert_int_equal(attach(3, "C27"), 0);
	assert_true(lines[287].edge && !lines[33].edge && !lines[27].edge);
	lines[33].pending = lines[287].pending = lines[27].pending = true;
	assert_string_equal(interrupt(), "CAB");
	assert_int_equal(depth, 0);
	assert_string_equal(interrupt(), "");
}

static void what_is_nobodys_is_switched_off(void **state)
{
	static const unsigned int unknown[] = {20, 50};

	(void)state;
	assert_int_equal(device_probe(&driver_gicv3, 0), 0);
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
		struct line *l = &lines[unknown[i]];

		l->enabled = l->pending = l->group1 = true;
		l->router = MPIDR & 0xff00ffffff;
		logged = 0;
		assert_string_equal(interrupt(), "");
		assert_int_equal(logged, 1);
		assert_false(l->enabled);
	}
}

static void bad_specifiers_are_refused(void **state)
{
	static const uint32_t bad[][2] = {{0, 256}, {0, UINT32_MAX}, {1, 16},
	                                  {2, 0},   {3, 0},          {4, 0}};

	(void)state;
	assert_int_equal(device_probe(&driver_gicv3, 0), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		tree_interrupt(5, bad[i][0], bad[i][1], 4);
		assert_int_equal(attach(5, "E0"), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(lines_arrive, fresh),
	    cmocka_unit_test_setup(what_is_nobodys_is_switched_off, fresh),
	    cmocka_unit_test_setup(bad_specifiers_are_refused, fresh),
	    cmocka_unit_test_setup(redistributors_are_found, fresh),
	    cmocka_unit_test_setup(hardware_that_does_not_answer_is_an_error, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
