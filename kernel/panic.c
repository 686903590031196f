/* SPDX-License-Identifier: Apache-2.0 */
/* The end, told well: what happened, where, how it came there, in which image; then reset or halt. */
#include <string.h>
#include <arch/boot.h>
#include <arch/image.h>
#include <arch/mmu.h>
#include <arch/report.h>
#include <pith/assert.h>
#include <pith/bootargs.h>
#include <pith/compiler.h>
#include <pith/console.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/machine.h>
#include "hooks.h"
#include "sched.h"

#define BACKTRACE_MAX 24

static unsigned int panics;

void report_begin(void)
{
	irq_save();
	switch (panics++) {
	case 0:
		break;
	case 1: /* the report itself failed: what it printed so far must do */
		console_write("\npanic inside panic\n", 20);
		health_end(MACHINE_PANIC);
		machine_reset();
	default:
		boot_stop(STOP_EXCEPTION);
	}
	console_seize();
}

void report_context(bool in_handler)
{
	struct thread *t = thread_current();

	klog("%sthread %s, %s %s, build %s", in_handler ? "interrupt or boot code on top of " : "",
	     t ? thread_name(t) : "(none)", image_name, image_version, image_build_id());
}

static void print_address(const char *what, uint64_t address)
{
	if (address >= (uint64_t)__image_start && address < (uint64_t)__text_end)
		klog("  %s image+0x%lx", what, address - (uint64_t)__image_start);
	else
		klog("  %s 0x%lx, not in the image", what, address);
}

void report_backtrace(uint64_t pc, uint64_t lr, uint64_t fp)
{
	klog("backtrace, image at 0x%lx:", (uint64_t)__image_start);
	print_address("at", pc);
	/* lr is the caller only in a leaf or a prologue; there the first record does not have it yet. */
	if (lr && !(mmu_readable(fp) && mmu_readable(fp + 8) && ((uint64_t *)fp)[1] == lr))
		print_address("lr", lr);
	for (unsigned int i = 0; i < BACKTRACE_MAX && mmu_readable(fp) && mmu_readable(fp + 8);
	     i++) {
		const uint64_t *record = (const uint64_t *)fp;

		if (!record[1])
			break;
		print_address("by", record[1]);
		if (record[0] <= fp && record[0])
			break; /* stacks grow down: a record that does not lie above is damaged */
		fp = record[0];
	}
}

bool report_stack_guard(uint64_t address, char thread[16])
{
	return thread_guard_owner(address, thread);
}

void report_end(void)
{
	const char *what = bootarg("panic");

	if (!health_end(MACHINE_PANIC) && what && strlen(what) == 4 && !memcmp(what, "halt", 4)) {
		klog("halted");
		for (;;)
			__asm__ volatile("wfi");
	}
	klog("reset");
	machine_reset();
}

void panic(const char *fmt, ...)
{
	const uint64_t *record = __builtin_frame_address(0);
	va_list args;

	report_begin();
	va_start(args, fmt);
	klog_with("PANIC: ", fmt, &args);
	va_end(args);
	report_context(in_irq());
	report_backtrace((uint64_t)__builtin_return_address(0), 0, record[0]);
	report_end();
}

void assertion_failed(const char *file, int line)
{
	panic("%s:%d: assertion failed", file, line);
}

/* Random from place.c, before any function that checks it. Not 0 from the start: a zeroed stack must
 * not pass. */
__attribute__((used)) uintptr_t __stack_chk_guard = 0x6a09e667f3bcc908;

__attribute__((used)) void __stack_chk_fail(void)
{
	panic("stack canary overwritten: a buffer overflow");
}
