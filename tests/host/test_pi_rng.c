/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises, against models of the Raspberry Pis' random number generators, with their trees: each word
 * is given out once; who may not wait does not; the first numbers are discarded; a generator that
 * somebody started is left alone; one that is silent ends in an error, one that fails its own tests is
 * reset first; where nobody answers the probe fails.
 */
#include <errno.h>
#include "pi_model.h"
#include "../../drivers/bcm2835_rng.c"
#undef RNG_CTRL
#undef RNG_STATUS
#undef RNG_BYTES
#include "../../drivers/iproc_rng200.c"
#include "../../drivers/word_rng.c"

static struct entropy_source *source;
static uint32_t next_word, words, ctrl, status, threshold;
static unsigned int resets;
static bool refill;

void entropy_source_register(struct entropy_source *s)
{
	source = s;
}

static uint32_t take_word(void)
{
	assert_true(words > 0);
	words--;
	return next_word++;
}

static uint32_t word_count(void)
{
	if (!words && refill)
		words = 4;
	return words;
}

uint64_t model_read(const volatile void *addr, unsigned int bytes)
{
	assert_int_equal(bytes, 4);
	switch (pa(addr)) {
	case PI3_BASE + 0x104000:
	case PI4_BASE + 0x104000:
		return ctrl;
	case PI3_BASE + 0x104004:
		return word_count() << 24 | (status & 0xfffff);
	case PI3_BASE + 0x104008:
	case PI4_BASE + 0x104020:
		return take_word();
	case PI4_BASE + 0x104018:
		return status;
	case PI4_BASE + 0x104024:
		return 0x200 | word_count(); /* the threshold is there, too */
	}
	fail_msg("unexpected read");
	return 0;
}

void model_write(volatile void *addr, unsigned int bytes, uint64_t value)
{
	assert_int_equal(bytes, 4);
	switch (pa(addr)) {
	case PI3_BASE + 0x104000:
		assert_int_equal(status, 0x40000); /* before it starts */
		ctrl = value;
		return;
	case PI4_BASE + 0x104000:
		ctrl = value;
		return;
	case PI3_BASE + 0x104004:
		status = value;
		return;
	case PI4_BASE + 0x104010:
		threshold = value;
		return;
	case PI4_BASE + 0x104018:
		status &= ~value;
		return;
	case PI4_BASE + 0x104004:
	case PI4_BASE + 0x104008:
		assert_int_equal(ctrl, 0);
		resets += value;
		return;
	}
	fail_msg("unexpected write");
}

static int fresh(void **state)
{
	(void)state;
	ctrl = status = threshold = words = resets = 0;
	next_word = 0x03020100;
	refill = model_absent = false;
	source = NULL;
	return 0;
}

static int plug3(void **state)
{
	fresh(state);
	use_tree(PI3);
	assert_int_equal(device_probe(&driver_bcm2835_rng, dt_find("/soc/rng@7e104000")), 0);
	return 0;
}

static int plug4(void **state)
{
	fresh(state);
	use_tree(PI4);
	assert_int_equal(device_probe(&driver_iproc_rng200, dt_find("/soc/rng@7e104000")), 0);
	return 0;
}

static int unplug(void **state)
{
	(void)state;
	free(source); /* the first member of both */
	return 0;
}

static void it_is_started(void **state)
{
	(void)state;
	assert_int_equal(ctrl & 1, 1);
	assert_true(status == 0x40000 || threshold == 0x40000);
}

static void words_are_given_out_once(void **state)
{
	uint8_t buf[12];

	(void)state;
	words = 3;
	assert_int_equal(source->read(source, buf, 10, true), 10);
	assert_memory_equal(buf, "\0\1\2\3\1\1\2\3\2\1", 10);
	assert_int_equal(words, 0);
	words = 1;
	assert_int_equal(source->read(source, buf, sizeof(buf), false), 4); /* what there is */
	assert_memory_equal(buf, "\3\1\2\3", 4);
}

static void who_may_not_wait_does_not(void **state)
{
	uint64_t start_ns = model_ns;
	uint8_t buf[4];

	(void)state;
	assert_int_equal(source->read(source, buf, sizeof(buf), true), -EAGAIN);
	assert_in_range(model_ns - start_ns, 0, NS_PER_MS);
}

static void silence_ends_in_a_timeout(void **state)
{
	uint64_t start_ns = model_ns;
	uint8_t buf[4];

	(void)state;
	assert_int_equal(source->read(source, buf, sizeof(buf), false), -ETIMEDOUT);
	assert_in_range(model_ns - start_ns, 5 * NS_PER_S, 6 * NS_PER_S);
}

static void one_that_fails_its_tests_is_reset(void **state)
{
	uint8_t buf[4];

	(void)state;
	status = 1u << 5;
	words = 1;
	refill = true;
	assert_int_equal(source->read(source, buf, sizeof(buf), true), -EAGAIN);
	assert_int_equal(resets, 2);
	assert_int_equal(ctrl & 1, 1);
	assert_int_equal(source->read(source, buf, sizeof(buf), true), 4);
	status = 1u << 31;
	assert_int_equal(source->read(source, buf, sizeof(buf), false), 4);
	assert_int_equal(resets, 4);
}

static void one_that_runs_is_left_alone(void **state)
{
	fresh(state);
	use_tree(PI3);
	ctrl = 1;
	status = 7;
	assert_int_equal(device_probe(&driver_bcm2835_rng, dt_find("/soc/rng@7e104000")), 0);
	assert_int_equal(status, 7);
	unplug(state);
	use_tree(PI4);
	ctrl = 0x5fff;
	assert_int_equal(device_probe(&driver_iproc_rng200, dt_find("/soc/rng@7e104000")), 0);
	assert_int_equal(ctrl, 0x5fff);
	unplug(state);
}

static void where_nobody_answers_the_probe_fails(void **state)
{
	fresh(state);
	model_absent = true;
	use_tree(PI3);
	assert_int_equal(device_probe(&driver_bcm2835_rng, dt_find("/soc/rng@7e104000")), -ENXIO);
	use_tree(PI4);
	assert_int_equal(device_probe(&driver_iproc_rng200, dt_find("/soc/rng@7e104000")), -ENXIO);
	assert_null(source);
}

int main(void)
{
#define PI_TEST(f, plug)                                 \
	{                                                \
#f " (" #plug ")", f, plug, unplug, NULL \
	}
	const struct CMUnitTest tests[] = {
	    PI_TEST(it_is_started, plug3),
	    PI_TEST(it_is_started, plug4),
	    PI_TEST(words_are_given_out_once, plug3),
	    PI_TEST(words_are_given_out_once, plug4),
	    PI_TEST(who_may_not_wait_does_not, plug3),
	    PI_TEST(who_may_not_wait_does_not, plug4),
	    PI_TEST(silence_ends_in_a_timeout, plug3),
	    PI_TEST(silence_ends_in_a_timeout, plug4),
	    PI_TEST(one_that_fails_its_tests_is_reset, plug4),
	    cmocka_unit_test(one_that_runs_is_left_alone),
	    cmocka_unit_test(where_nobody_answers_the_probe_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
