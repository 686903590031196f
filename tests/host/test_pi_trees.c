/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promise: with every Raspberry Pi tree of Debian's kernel package, the drivers that boot a Pi probe
 * the devices that it lists, and no others, at the right addresses, with the right interrupts and the
 * right bus addresses; and what SD and network drivers will find there is right, too. Real dt.c,
 * driver.c, irq.c and drivers; the registers are a stub that holds what was written.
 *
 * The expectations are worked out by hand from the trees' sources: bus address 0x7e000000 is at
 * 0x3f000000 (Pi 3) or 0xfe000000 (Pi 4), 0x40000000 stays or is at 0xff800000; SPI n is line 32 + n,
 * PPI n line 16 + n, bank b bit i line 32 * b + i.
 */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>
#include "pi_model.h"
#include <pith/compiler.h>
#include <pith/console.h>
#include <pith/dma.h>
#include <pith/driver.h>
#include <pith/entropy.h>
#include <pith/firmware.h>
#include <pith/gpio.h>
#include <pith/machine.h>
#include <pith/page.h>
#include <pith/supply.h>

/* ---- What happened, in order ---- */

static char events[4000];

static void __attribute__((format(printf, 1, 2))) event(const char *fmt, ...)
{
	size_t at = strlen(events);
	va_list args;

	va_start(args, fmt);
	vsnprintf(events + at, sizeof(events) - at, fmt, args);
	va_end(args);
}

int __real_irq_attach(dt_node node, unsigned int index, irq_handler handler, void *arg);
int __wrap_irq_attach(dt_node node, unsigned int index, irq_handler handler, void *arg)
{
	struct dt_irq irq;
	unsigned int line;

	assert_int_equal(dt_irq(node, index, &irq), 0);
	if (irq.cell_count == 3)
		line = irq.cells[0] ? 16 + irq.cells[1] : 32 + irq.cells[1];
	else
		line = strstr(dt_name(irq.controller), "local") ? irq.cells[0]
		                                                : irq.cells[0] * 32 + irq.cells[1];
	event("%s irq %s %u\n", dt_name(node), dt_name(irq.controller), line);
	return __real_irq_attach(node, index, handler, arg);
}

void *__real_io_map(uint64_t address, size_t bytes);
void *__wrap_io_map(uint64_t address, size_t bytes)
{
	event("%lx\n", address);
	return __real_io_map(address, bytes);
}

void console_register(struct console *c)
{
	event("console %s %s\n", c->name, dt_name(c->node));
	for (const struct console_input *i = __start_console_inputs; i < __stop_console_inputs; i++)
		if (i->write == c->write)
			i->enable(c);
}

void entropy_source_register(struct entropy_source *s)
{
	event("random %s\n", s->name);
}

static void show_windows(dt_node node)
{
	struct dt_dma_window w;

	for (unsigned int i = 0; dt_dma_window(node, i, &w) == 0; i++)
		event("dma %lx at %lx, %lx\n", w.bus, w.pa, w.bytes);
}

static _Alignas(64) uint32_t message[64];
int dma_bus_init(struct dma_bus *bus, dt_node node, uint64_t mask)
{
	(void)bus;
	(void)mask;
	show_windows(node);
	return 0;
}
void *dma_alloc(const struct dma_bus *bus, size_t bytes)
{
	(void)bus;
	assert_in_range(bytes, 1, sizeof(message));
	return message;
}
dma_addr_t dma_map(const struct dma_bus *bus, const void *buf, size_t bytes, enum dma_direction dir)
{
	(void)bus;
	(void)buf;
	(void)bytes;
	(void)dir;
	return 0xc0001000;
}
void dma_unmap(const struct dma_bus *bus, const void *buf, size_t bytes, enum dma_direction dir)
{
	(void)bus;
	(void)buf;
	(void)bytes;
	(void)dir;
}

/* ---- Around them ---- */

void console_input(char byte)
{
	(void)byte; /* a stub's flags say that there is something */
}
void clockevent_register(const struct clockevent *ce)
{
	(void)ce;
}
void timer_interrupt(void)
{
}
void timer_arm(struct timer *t, uint64_t deadline_ns)
{
	(void)t;
	(void)deadline_ns;
	fail_msg("nothing is armed: the watchdog does not run");
}
void machine_power_register(const struct machine_power *p)
{
	event("%s %s\n", p->off ? "power" : "reset", p->name);
}
void machine_set_reset_reason(const char *reason)
{
	(void)reason;
}

uint64_t model_sysreg_read(const char *name)
{
	return strstr(name, "cntfrq") ? 54000000 : 0;
}
void model_sysreg_write(const char *name, uint64_t value)
{
	(void)name;
	(void)value;
}

static struct {
	uint64_t at;
	uint32_t value;
} written[500];
static unsigned int written_count;

uint64_t model_read(const volatile void *addr, unsigned int bytes)
{
	uint64_t at = pa(addr);

	(void)bytes;
	if (at == 0xff841004)
		return 7; /* GICD_TYPER: 256 lines */
	if ((at & 0xffffff) == 0x00b898)
		return message[1] == 1 ? 0 : 1u << 30; /* the mailbox: empty, but after a call */
	if ((at & 0xffffff) == 0x00b880) {
		message[1] = 0x80000000;
		message[4] |= 0x80000000;
		message[6] = 250000000; /* any clock's rate */
		return 0xc0001008;
	}
	for (unsigned int i = 0; i < written_count; i++)
		if (written[i].at == at)
			return written[i].value;
	return 0;
}

void model_write(volatile void *addr, unsigned int bytes, uint64_t value)
{
	unsigned int i = 0;

	(void)bytes;
	if ((pa(addr) & 0xffffff) == 0x00b8a0)
		message[1] = 1; /* read by the firmware */
	while (i < written_count && written[i].at != pa(addr))
		i++;
	assert_true(i < ARRAY_LEN(written));
	written_count = MAX(written_count, i + 1);
	written[i].at = pa(addr);
	written[i].value = value;
}

/* ---- What is expected ---- */

#define PI3_MINI_UART                         \
	"3f215040\n"                          \
	"3f215000\n"                          \
	"console mini-uart serial@7e215040\n" \
	"serial@7e215040 irq interrupt-controller@7e00b200 61\n"
#define PI3_EVENTS(mini_uart)                                                           \
	"3f100000\n"                                                                    \
	"power bcm2835-pm\n"                                                            \
	"40000000\n"                                                                    \
	"3f00b200\n"                                                                    \
	"interrupt-controller@7e00b200 irq local_intc@40000000 8\n"                     \
	"timer irq local_intc@40000000 3\n"                                             \
	"3f00b880\n"                                                                    \
	"dma c0000000 at 0, 3f000000\n"                                                 \
	"3f200000\n"                                                                    \
	"3f201000\n"                                                                    \
	"console pl011 serial@7e201000\n"                                               \
	"serial@7e201000 irq interrupt-controller@7e00b200 89\n" mini_uart "3f104000\n" \
	"random bcm2835-rng\n"
#define PI4_EVENTS(power)                                         \
	"fe100000\n" power " bcm2835-pm\n"                        \
	"ff800000\n"                                              \
	"ff841000\n"                                              \
	"ff842000\n"                                              \
	"timer irq interrupt-controller@40041000 27\n"            \
	"fe00b880\n"                                              \
	"dma c0000000 at 0, 40000000\n"                           \
	"fe200000\n"                                              \
	"fe201000\n"                                              \
	"console pl011 serial@7e201000\n"                         \
	"serial@7e201000 irq interrupt-controller@40041000 153\n" \
	"fe215040\n"                                              \
	"fe215000\n"                                              \
	"console mini-uart serial@7e215040\n"                     \
	"serial@7e215040 irq interrupt-controller@40041000 125\n" \
	"fe104000\n"                                              \
	"random rng200\n"

static const struct {
	const char *tree, *events;
} trees[] = {
    {"bcm2711-rpi-4-b", PI4_EVENTS("power")},
    {"bcm2711-rpi-400", PI4_EVENTS("reset") "power gpio-poweroff\n"},
    {"bcm2711-rpi-cm4-io", PI4_EVENTS("power")},
    {"bcm2837-rpi-3-a-plus", PI3_EVENTS(PI3_MINI_UART)},
    {"bcm2837-rpi-3-b", PI3_EVENTS(PI3_MINI_UART)},
    {"bcm2837-rpi-3-b-plus", PI3_EVENTS(PI3_MINI_UART)},
    {"bcm2837-rpi-cm3-io3", PI3_EVENTS("") /* its mini-UART is disabled */},
    {"bcm2837-rpi-zero-2-w", PI3_EVENTS(PI3_MINI_UART)},
};

static int boot(unsigned int tree)
{
	use_tree(trees[tree].tree);
	for (unsigned int stage = 0; stage < DRV_STAGES; stage++)
		drivers_probe(stage);
	if (!strcmp(events, trees[tree].events) && !logged[0])
		return 0;
	fprintf(stderr, "%s\nexpected:\n%sgot:\n%s", logged, trees[tree].events, events);
	return 1;
}

/* Each in a process of its own: drivers keep what they found. */
static void boots_with(void **state)
{
	unsigned int tree = *(unsigned int *)*state;
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(boot(tree));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* What SD and network drivers will find. A window of 0 bytes: 1:1. */
static const struct {
	const char *compatible;
	uint64_t pa;
	unsigned int line;
	struct dt_dma_window window;
} pi3_devices[] =
    {
        {"brcm,bcm2835-sdhost", 0x3f202000, 88, {0xc0000000, 0, 0x3f000000}},
        {"brcm,bcm2835-sdhci", 0x3f300000, 94, {0xc0000000, 0, 0x3f000000}},
},
  pi4_devices[] = {
      {"brcm,bcm2835-sdhci", 0xfe300000, 158, {0xc0000000, 0, 0x40000000}},
      {"brcm,bcm2711-emmc2", 0xfe340000, 158, {0xc0000000, 0, 0x40000000}},
      {"brcm,bcm2711-genet-v5", 0xfd580000, 189, {0, 0, UINT64_MAX}},
};

static void devices_are_where_they_are(const void *list, size_t count)
{
	const __typeof__(pi3_devices[0]) *d = list;

	for (; count > 0; d++, count--) {
		dt_node n = dt_find_compatible(DT_NONE, d->compatible);
		struct dt_dma_window w;
		uint64_t address, bytes;
		struct dt_irq irq;

		if (n == DT_NONE) /* not on every board */
			continue;
		assert_int_equal(dt_reg(n, 0, &address, &bytes), 0);
		assert_int_equal(address, d->pa);
		assert_int_equal(dt_irq(n, 0, &irq), 0);
		assert_int_equal(irq.cell_count == 3 ? 32 + irq.cells[1]
		                                     : irq.cells[0] * 32 + irq.cells[1],
		                 d->line);
		assert_int_equal(dt_dma_window(n, 0, &w), 0);
		assert_int_equal(w.bus, d->window.bus);
		assert_int_equal(w.pa, d->window.pa);
		assert_int_equal(w.bytes, d->window.bytes);
		assert_false(dt_dma_coherent(n));
	}
}

static void devices_that_are_to_come(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < ARRAY_LEN(trees); i++) {
		use_tree(trees[i].tree);
		if (strstr(trees[i].tree, "bcm2711"))
			devices_are_where_they_are(pi4_devices, ARRAY_LEN(pi4_devices));
		else
			devices_are_where_they_are(pi3_devices, ARRAY_LEN(pi3_devices));
	}
}

int main(void)
{
	static unsigned int index[ARRAY_LEN(trees)];
	struct CMUnitTest tests[ARRAY_LEN(trees) + 1];

	for (unsigned int i = 0; i < ARRAY_LEN(trees); i++) {
		index[i] = i;
		tests[i] = (struct CMUnitTest){trees[i].tree, boots_with, NULL, NULL, &index[i]};
	}
	tests[ARRAY_LEN(trees)] = (struct CMUnitTest)cmocka_unit_test(devices_that_are_to_come);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
