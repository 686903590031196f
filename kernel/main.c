/* SPDX-License-Identifier: Apache-2.0 */
/* Boot, from the moment the image runs where it will stay: a list, then the app. */
#include <stdlib.h>
#include <arch/boot.h>
#include <arch/image.h>
#include <arch/frame.h>
#include <arch/mmu.h>
#include <pith/bootargs.h>
#include <pith/console.h>
#include <pith/driver.h>
#include <pith/dt.h>
#include <pith/entropy.h>
#include <pith/init.h>
#include <pith/io.h>
#include <pith/log.h>
#include <pith/machine.h>
#include <pith/page.h>
#include "hooks.h"
#include "sched.h"

int main(int argc, char **argv);
extern void (*__init_array_start[])(void), (*__init_array_end[])(void);

/* Asynchronous external aborts are reported, too, wherever they hit. */
static void serror_unmask(void)
{
	__asm__ volatile("msr daifclr, #4" ::: "memory");
}

/* Free RAM, as place.c left it, to the page allocator. */
static void memory_init(void)
{
	mmu_init();
	for (unsigned int i = 0; i < boot_info.free.count; i++) {
		const struct ram_extent *e = &boot_info.free.extent[i];

		page_add(e->start, e->end - e->start);
	}
}

/* What place.c did not use of the tree's seeds feeds the generator; then nobody can read them. */
static void seeds_init(void)
{
	dt_node chosen = dt_chosen();
	struct dt_value seed = dt_prop(chosen, "rng-seed");

	if (seed.bytes > boot_info.seed_used_bytes)
		entropy_boot_seed((const char *)seed.data + boot_info.seed_used_bytes,
		                  seed.bytes - boot_info.seed_used_bytes);
	dt_wipe(chosen, "rng-seed");
	dt_wipe(chosen, "kaslr-seed");
	if (!boot_info.seed_used_bytes)
		klog("no rng-seed in the device tree: stack canaries are best effort");
}

/* What the app cannot run without. */
static void check_boot(int irqchips, int timers)
{
	if (boot_info.entry_el == 3)
		panic("entered at EL3; Pith needs a boot loader that enters it at EL2 or EL1");
	if (boot_info.memory_error)
		panic("%s", boot_info.memory_error);
	if (!irqchips)
		panic("no interrupt controller in the device tree that a driver knows");
	if (!timers)
		panic("no timer in the device tree that a driver knows");
}

static void greet(void)
{
	struct memory_info memory;
	const char *slot = bootarg("pith.slot"); /* from U-Boot, which verified the image */

	page_info(&memory);
	klog("Pith: %s %s, build %.12s", image_name, image_version, image_build_id());
	klog("%s, EL%u, %lu MiB, %s%s", machine_model(), boot_info.entry_el,
	     (memory.total_bytes >> 20) + 1, slot ? "slot " : "unverified", slot ? slot : "");
	if (boot_info.stayed)
		klog("image stays where it was loaded, 0x%lx: %s", boot_info.loaded_at,
		     boot_info.stayed);
}

static void main_thread(void *arg)
{
	(void)arg;
	drivers_probe(DRV_DEVICE);
	for (const init_fn *init = __inits_start; init < __inits_end; init++) {
		int error = (*init)();

		if (error < 0)
			klog("initialiser image+0x%lx: error %d",
			     ((uint64_t)*init - (uint64_t)__image_start), -error);
	}
	for (void (**constructor)(void) = __init_array_start; constructor < __init_array_end;
	     constructor++)
		(*constructor)();
	exit(main(bootargs_argc, bootargs_argv));
}

void __attribute__((weak)) crash_begin(void)
{
}

void kernel_main(void)
{
	int irqchips, timers;

	vectors_install(); /* from here on a fault explains itself */
	serror_unmask();
	threads_init();               /* this context becomes the idle thread */
	memory_init();                /* pages */
	bootargs_init(dt_bootargs()); /* words for us, environment, argv */
	crash_begin();                /* what is said from here on survives a reset */
	drivers_probe(DRV_POWER);     /* from here on a panic resets */
	irqchips = drivers_probe(DRV_IRQCHIP);
	timers = drivers_probe(DRV_TIMER);
	drivers_probe(DRV_SUPPLY);
	drivers_probe(DRV_CONSOLE);
	if (!console_choose())
		boot_stop(STOP_NO_CONSOLE);
	check_boot(irqchips, timers);
	greet();
	seeds_init();
	thread_create_main(main_thread); /* devices, initialisers, main() */
	thread_idle();
}
