/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Arm generic timer: the virtual counter as the clock, the virtual timer for deadlines. Those
 * two work the same whether the image was entered at EL2 or EL1 (boot sets CNTVOFF_EL2 to 0 in
 * EL2).
 *
 * Source: Arm Architecture Reference Manual, DDI 0487, chapter D11 "The Generic Timer"; binding:
 * Linux, Documentation/devicetree/bindings/timer/arm,arch_timer.yaml.
 */
#include <errno.h>
#include <pith/compiler.h>
#include <pith/driver.h>
#include <pith/io.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/ticks.h>
#include <pith/time.h>

#define CNTV_CTL_ENABLE (1u << 0) /* IMASK, bit 1, stays 0 */

#define IRQ_VIRTUAL 2 /* order of the binding: secure, non-secure, virtual, hypervisor */

static struct tick_scale scale;

static uint64_t timer_now_ns(void)
{
	/* Without it the counter may be read ahead of earlier instructions (D11.2.2). */
	isb();
	return ticks_to_ns(&scale, sysreg_read(cntvct_el0));
}

static void timer_arm_hardware(uint64_t deadline_ns)
{
	if (deadline_ns == TIME_FOREVER) {
		sysreg_write(cntv_ctl_el0, 0);
	} else {
		sysreg_write(cntv_cval_el0, ns_to_ticks(&scale, deadline_ns));
		sysreg_write(cntv_ctl_el0, CNTV_CTL_ENABLE);
	}
	/* The level-triggered line must have fallen before the interrupt controller hears of the
	 * end. */
	isb();
}

static const struct clockevent timer_clockevent = {
    .name = "arch timer",
    .now_ns = timer_now_ns,
    .arm = timer_arm_hardware,
};

static void timer_irq(void *arg)
{
	(void)arg;
	timer_interrupt();
}

static bool is_usable(uint64_t freq_hz)
{
	return freq_hz >= TICKS_MIN_HZ && freq_hz <= TICKS_MAX_HZ;
}

/* Firmware writes CNTFRQ_EL0; the tree has a frequency only where firmware forgot (binding). 0: none. */
static COLD uint32_t timer_frequency(dt_node node)
{
	uint32_t freq_hz = (uint32_t)sysreg_read(cntfrq_el0);
	int64_t in_tree;

	if (is_usable(freq_hz))
		return freq_hz;
	in_tree = dt_u32(node, "clock-frequency", 0);
	if (in_tree >= 0 && is_usable((uint64_t)in_tree))
		return (uint32_t)in_tree;
	klog("timer: neither CNTFRQ_EL0 (%u Hz) nor clock-frequency is usable", freq_hz);
	return 0;
}

static COLD int timer_probe(const struct device *dev)
{
	int index = dt_string_index(dev->node, "interrupt-names", "virt");
	uint32_t freq_hz = timer_frequency(dev->node);
	int error;

	if (freq_hz == 0)
		return -EINVAL;
	scale = tick_scale(freq_hz);
	timer_arm_hardware(TIME_FOREVER); /* whatever ran before us */
	error = irq_attach(dev->node, index < 0 ? IRQ_VIRTUAL : index, timer_irq, NULL);
	if (error)
		return error;
	clockevent_register(&timer_clockevent);
	return 0;
}

DRIVER(timer) = {
    .name = "timer",
    .compatible = "arm,armv8-timer\0arm,armv7-timer\0",
    .stage = DRV_TIMER,
    .probe = timer_probe,
};
