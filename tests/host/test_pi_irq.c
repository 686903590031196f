/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises, against models of a Raspberry Pi 3's two interrupt controllers and with its tree: what the
 * boot loader left on is off; the timer's and the peripherals' lines arrive, those with a bit of their
 * own in the basic register as well as the others; an interrupt that nobody handles is switched off;
 * specifiers out of range are refused; the Pi 4's, which has no interrupts, is left alone.
 */
#include <errno.h>
#include "pi_model.h"
#include "../../drivers/bcm2835_armctrl.c"
#include "../../drivers/bcm2836_l1.c"

#define LOCAL   0x40000000ull
#define ARMCTRL (PI3_BASE + 0xb200)

static uint32_t timer_control[4], mailbox_control[4], gpu_routing, pmu_cleared;
static uint32_t raised[BANKS], enabled[BANKS]; /* bank 0 first */
static uint32_t timers_raised;
static unsigned int cpu;

uint64_t model_sysreg_read(const char *name)
{
	assert_string_equal(name, "mpidr_el1");
	return 0x80000000 | cpu;
}

void model_sysreg_write(const char *name, uint64_t value)
{
	fail_msg("%s = %lu", name, value);
}

/* Section 7.5: these have bits of their own, in this order from bit 10. */
static const uint8_t own_bits[] = {32 + 7,  32 + 9,  32 + 10, 32 + 18, 32 + 19, 64 + 21,
                                   64 + 22, 64 + 23, 64 + 24, 64 + 25, 64 + 30};

static uint32_t pending(unsigned int bank)
{
	return raised[bank] & enabled[bank];
}

static uint32_t basic_pending(void)
{
	uint32_t value = pending(0), shown[BANKS] = {0};

	for (unsigned int i = 0; i < ARRAY_LEN(own_bits); i++) {
		unsigned int bank = own_bits[i] / 32, bit = own_bits[i] % 32;

		shown[bank] |= 1u << bit;
		value |= (pending(bank) >> bit & 1) << (10 + i);
	}
	return value | (pending(1) & ~shown[1] ? 1u << 8 : 0) |
	       (pending(2) & ~shown[2] ? 1u << 9 : 0);
}

uint64_t model_read(const volatile void *addr, unsigned int bytes)
{
	uint64_t at = pa(addr);

	assert_int_equal(bytes, 4);
	if (at >= LOCAL + TIMER_CONTROL && at < LOCAL + TIMER_CONTROL + 16)
		return timer_control[(at - LOCAL - TIMER_CONTROL) / 4];
	if (at == LOCAL + IRQ_SOURCE + 4 * cpu)
		return (timers_raised & timer_control[cpu]) |
		       (gpu_routing == cpu && basic_pending() ? 1u << 8 : 0);
	if (at == ARMCTRL)
		return basic_pending();
	if (at == ARMCTRL + 4 || at == ARMCTRL + 8)
		return pending((at - ARMCTRL) / 4);
	fail_msg("unexpected read at 0x%lx", at);
	return 0;
}

void model_write(volatile void *addr, unsigned int bytes, uint64_t value)
{
	static const uint8_t banks[] = {1, 2, 0};
	uint64_t at = pa(addr);

	assert_int_equal(bytes, 4);
	if (at >= LOCAL + TIMER_CONTROL && at < LOCAL + TIMER_CONTROL + 16)
		timer_control[(at - LOCAL - TIMER_CONTROL) / 4] = value;
	else if (at >= LOCAL + MAILBOX_CONTROL && at < LOCAL + MAILBOX_CONTROL + 16)
		mailbox_control[(at - LOCAL - MAILBOX_CONTROL) / 4] = value;
	else if (at == LOCAL + GPU_ROUTING)
		gpu_routing = value;
	else if (at == LOCAL + PMU_ROUTE_CLR)
		pmu_cleared = value;
	else if (at >= ARMCTRL + ENABLE_1 && at < ARMCTRL + ENABLE_1 + 12)
		enabled[banks[(at - ARMCTRL - ENABLE_1) / 4]] |= value;
	else if (at >= ARMCTRL + DISABLE_1 && at < ARMCTRL + DISABLE_1 + 12)
		enabled[banks[(at - ARMCTRL - DISABLE_1) / 4]] &= ~value;
	else
		fail_msg("unexpected write at 0x%lx", at);
}

static char handled[100];

/* A device that lowers its line when handled; arg: its letter, bank and bit: "A1 29", "T-3": a timer */
static void handler(void *arg)
{
	const char *who = arg;

	strncat(handled, who, 1);
	if (who[1] == '-')
		timers_raised &= ~(1u << (who[2] - '0'));
	else
		raised[who[1] - '0'] &= ~(1u << atoi(who + 2));
}

static const char *interrupt(void)
{
	handled[0] = '\0';
	irq_entry();
	return handled;
}

static int attach(const char *path, unsigned int index, const char *who)
{
	return irq_attach(dt_find(path), index, handler, (void *)(uintptr_t)who);
}

/* The line to us cannot be masked: it goes to a CPU that stands still with interrupts masked. */
static void without_its_controller_the_peripherals_line_is_sent_away(void)
{
	raised[1] = enabled[1] = 1;
	gpu_routing = cpu;
	assert_string_equal(interrupt(), "");
	assert_string_equal(logged, "bcm2836-l1: interrupt 8 is nobody's");
	assert_in_range(gpu_routing, 0, 3);
	assert_int_not_equal(gpu_routing, cpu);
	raised[1] = 0;
}

static void what_was_on_is_off(void **state)
{
	(void)state;
	use_tree(PI3);
	cpu = 2; /* not the first, to see that it is asked for */
	gpu_routing = 3;
	for (int i = 0; i < 4; i++)
		timer_control[i] = mailbox_control[i] = 0xff;
	memset(enabled, 0xff, sizeof(enabled));
	assert_int_equal(device_probe(&driver_bcm2836_l1, dt_find("/soc/local_intc@40000000")), 0);
	without_its_controller_the_peripherals_line_is_sent_away();
	memset(enabled, 0xff, sizeof(enabled));
	assert_int_equal(
	    device_probe(&driver_armctrl, dt_find("/soc/interrupt-controller@7e00b200")), 0);
	assert_int_equal(timer_control[2], 0);
	assert_int_equal(timer_control[1], 0xff); /* another CPU's */
	assert_int_equal(mailbox_control[2], 0);
	assert_int_equal(pmu_cleared, 0x44);
	assert_int_equal(gpu_routing, 2);
	assert_int_equal(enabled[0] | enabled[1] | enabled[2], 0);
	assert_string_equal(interrupt(), "");
}

static void lines_arrive(void **state)
{
	(void)state;
	assert_int_equal(attach("/timer", 2, "T-3"), 0);                 /* virtual: line 3 */
	assert_int_equal(attach("/soc/mailbox@7e00b880", 0, "M0 1"), 0); /* bank 0 */
	assert_int_equal(attach("/soc/serial@7e215040", 0, "A1 29"), 0); /* bank 1 */
	assert_int_equal(attach("/soc/usb@7e980000", 0, "U1 9"), 0);     /* bank 1, own bit */
	assert_int_equal(attach("/soc/serial@7e201000", 0, "P2 25"), 0); /* bank 2, own bit */
	assert_int_equal(attach("/soc/rng@7e104000", 0, "R2 29"), 0);    /* bank 2 */
	assert_int_equal(timer_control[2], 8);
	timers_raised = 0xf;
	raised[0] = 1u << 1;
	raised[1] = 1u << 29;
	assert_string_equal(interrupt(), "TMA");
	assert_int_equal(timers_raised, 7); /* not enabled, not ours */
	raised[1] = 1u << 9;
	assert_string_equal(interrupt(), "U");
	raised[2] = 1u << 25;
	assert_string_equal(interrupt(), "P");
	raised[2] = 1u << 29;
	assert_string_equal(interrupt(), "R");
	raised[1] = 1u << 9 | 1u << 29 | 1u << 30;
	raised[2] = 1u << 25 | 1u << 29;
	assert_string_equal(interrupt(), "UAPR");
}

static void what_is_nobodys_is_switched_off(void **state)
{
	(void)state;
	enabled[1] |= 1u << 5;
	raised[1] = 1u << 5;
	assert_string_equal(interrupt(), "");
	assert_string_equal(logged, "armctrl: interrupt 37 is nobody's");
	assert_int_equal(enabled[1] >> 5 & 1, 0);
	timer_control[2] |= 1;
	timers_raised = 1;
	assert_string_equal(interrupt(), "");
	assert_string_equal(logged, "bcm2836-l1: interrupt 0 is nobody's");
	assert_int_equal(timer_control[2], 8);
	enabled[0] = 1u << 7;
	raised[0] = 1u << 7;
	assert_string_equal(interrupt(), "");
	assert_int_equal(enabled[0], 0);
}

static void bad_specifiers_are_refused(void **state)
{
	static const uint32_t bad[][2] = {{0, 8}, {1, 32},         {2, 32},
	                                  {3, 0}, {UINT32_MAX, 0}, {1, UINT32_MAX}};
	static const uint32_t bad_local[][2] = {{4, 4}, {9, 4}, {10, 4}, {UINT32_MAX, 4}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(armctrl_translate(NULL, bad[i], 2), -EINVAL);
	for (size_t i = 0; i < ARRAY_LEN(bad_local); i++)
		assert_int_equal(l1_translate(NULL, bad_local[i], 2), -EINVAL);
	assert_int_equal(armctrl_translate(NULL, bad[0], 1), -EINVAL);
	assert_int_equal(l1_translate(NULL, bad[0], 3), -EINVAL);
	/* The performance monitors' line is not routed to us. */
	assert_int_equal(attach("/arm-pmu", 0, "X-9"), -EINVAL);
}

static void the_pi_4s_has_no_interrupts(void **state)
{
	(void)state;
	use_tree(PI4);
	assert_int_equal(device_probe(&driver_bcm2836_l1, dt_find("/soc/local_intc@40000000")),
	                 -ENODEV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_on_is_off),
	    cmocka_unit_test(lines_arrive),
	    cmocka_unit_test(what_is_nobodys_is_switched_off),
	    cmocka_unit_test(bad_specifiers_are_refused),
	    cmocka_unit_test(the_pi_4s_has_no_interrupts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
