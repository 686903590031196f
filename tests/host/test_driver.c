/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises: each enabled node is probed once, in its driver's stage, by the driver of its most
 * specific string; interrupt parents come before their children, in any order of the tree and even
 * in loops; a failure is logged, an empty slot is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <pith/compiler.h>
#include <pith/driver.h>
#include <pith/log.h>

/* ---- A tree ---- */

#define SLOTS 4

static const struct {
	const char *compatible; /* strings, NUL between them */
	size_t bytes;
	bool disabled;
	dt_node irq_parent;
} tree[] = {
#define STRINGS(s) s, sizeof(s)
    [0] = {STRINGS("board,x"), false, DT_NONE},
    [1] = {NULL, 0, false, DT_NONE},
    [2] = {STRINGS("a,uart-plus\0a,uart"), false, DT_NONE},
    [3] = {STRINGS("a,intc-child"), false, 4},
    [4] = {STRINGS("a,intc-child"), false, 6},
    [5] = {STRINGS("a,uart"), true, DT_NONE},
    [6] = {STRINGS("a,intc-root"), false, 6},
    [7] = {STRINGS("a,intc-child"), false, 8}, /* a loop */
    [8] = {STRINGS("a,intc-child"), false, 7},
    [9] = {"a,uart", 6, false, DT_NONE}, /* no NUL at its end */
    [10] = {STRINGS("a,slot"), false, DT_NONE},
    [11] = {STRINGS("a,slot"), false, DT_NONE},
    [12] = {STRINGS("a,broken"), false, DT_NONE},
    [13] = {STRINGS("a,slot"), false, DT_NONE},
    [14] = {"", 0, false, DT_NONE},
    [15] = {STRINGS("unknown\0a,uart"), false, DT_NONE},
};

dt_node dt_next(dt_node n)
{
	return n + 1u < ARRAY_LEN(tree) ? n + 1 : DT_NONE;
}

const char *dt_compatible_strings(dt_node n, size_t *bytes)
{
	*bytes = tree[n].bytes;
	return tree[n].compatible;
}

bool dt_enabled(dt_node n)
{
	return !tree[n].disabled;
}

const char *dt_name(dt_node n)
{
	(void)n;
	return "name";
}

int dt_irq(dt_node n, unsigned int index, struct dt_irq *irq)
{
	assert_int_equal(index, 0);
	irq->controller = tree[n].irq_parent;
	return irq->controller == DT_NONE ? -ENOENT : 0;
}

int device_probe(const struct driver *driver, dt_node node)
{
	return driver->probe(&(struct device){.node = node});
}

/* ---- Drivers that write down what they probe ---- */

static char probed[200];
static unsigned int logged;

void klog(const char *fmt, ...)
{
	(void)fmt;
	logged++;
}

static int note(const char *who, dt_node n, int result)
{
	char entry[] = {who[0], (char)('A' + n), ' ', 0};

	strcat(probed, entry);
	return result;
}

static int probe_uart(const struct device *dev)
{
	return note("uart", dev->node, 0);
}

static int probe_plus(const struct device *dev)
{
	return note("plus", dev->node, 0);
}

static int probe_intc(const struct device *dev)
{
	return note("intc", dev->node, 0);
}

static int probe_slot(const struct device *dev)
{
	return note("slot", dev->node, dev->node == 11 ? 0 : -ENODEV);
}

static int probe_broken(const struct device *dev)
{
	return note("broken", dev->node, -EIO);
}

/* The linker script's table. */
const struct driver __drivers_start[] = {
    {.name = "uart", .compatible = "b,uart\0a,uart\0", .stage = DRV_CONSOLE, .probe = probe_uart},
    {.name = "plus", .compatible = "a,uart-plus\0", .stage = DRV_CONSOLE, .probe = probe_plus},
    {.name = "intc",
     .compatible = "a,intc-root\0a,intc-child\0",
     .stage = DRV_IRQCHIP,
     .probe = probe_intc},
    {.name = "slot", .compatible = "a,slot\0", .stage = DRV_DEVICE, .probe = probe_slot},
    {.name = "broken", .compatible = "a,broken\0", .stage = DRV_DEVICE, .probe = probe_broken},
};
__asm__(".globl __drivers_end\n.set __drivers_end, __drivers_start + 5 * 32");

static void check(enum driver_stage stage, const char *expected, int up)
{
	probed[0] = '\0';
	assert_int_equal(drivers_probe(stage), up);
	assert_string_equal(probed, expected);
}

static void interrupt_parents_first(void **state)
{
	(void)state;
	check(DRV_IRQCHIP, "iG iE iD iH iI ", 5);
}

static void the_most_specific_driver_once(void **state)
{
	(void)state;
	check(DRV_TIMER, "", 0);
	check(DRV_CONSOLE, "pC uP ", 2);
	check(DRV_CONSOLE, "", 0);
}

static void failures_are_logged_and_boot_goes_on(void **state)
{
	(void)state;
	logged = 0;
	check(DRV_DEVICE, "sK sL bM sN ", 1);
	assert_int_equal(logged, 1);
	check(DRV_DEVICE, "", 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(interrupt_parents_first),
	    cmocka_unit_test(the_most_specific_driver_once),
	    cmocka_unit_test(failures_are_logged_and_boot_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
