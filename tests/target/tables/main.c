/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The live translation tables keep W^X: walked leaf by leaf, from the root that the CPU uses. With a
 * thread running, so that a guard page has split a block.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <string.h>
#include <arch/image.h>
#include <arch/mmu.h>
#include <arch/pagetable.h>
#include <pith/io.h>
#include "check.h"

static struct {
	unsigned int leaves, writable_executable, executable_elsewhere, text_executable;
	unsigned int alias_of_image, writable_read_only_part, device_executable, first_page, guards;
	unsigned int not_identity;
} seen;

static bool overlaps(uint64_t a, uint64_t a_bytes, const char *start, const char *end)
{
	return a < (uint64_t)end && a + a_bytes > (uint64_t)start;
}

static int look(void *ctx, uint64_t va, uint64_t bytes, uint64_t descriptor)
{
	bool writable = pagetable_writable(descriptor),
	     executable = pagetable_executable(descriptor);
	bool text = overlaps(va, bytes, __image_start, __text_end);
	uint64_t pa = pagetable_pa(descriptor);

	(void)ctx;
	seen.leaves++;
	seen.writable_executable += writable && executable;
	seen.executable_elsewhere +=
	    executable && (va < (uint64_t)__image_start || va + bytes > (uint64_t)__text_end);
	seen.text_executable += text && executable;
	seen.not_identity += pa != va;
	seen.alias_of_image += pa != va && overlaps(pa, bytes, __image_start, __rodata_end);
	seen.writable_read_only_part +=
	    writable && overlaps(pa, bytes, __image_start, __rodata_end);
	seen.device_executable += pagetable_device(descriptor) && executable;
	seen.first_page += va == 0;
	seen.guards += overlaps(va, bytes, __main_stack_guard, __main_stack_guard + 4096) ||
	               overlaps(va, bytes, __irq_stack_guard, __irq_stack_guard + 4096) ||
	               overlaps(va, bytes, __panic_stack_guard, __panic_stack_guard + 4096) ||
	               overlaps(va, bytes, __boot_stack_guard, __boot_stack_guard + 4096);
	return 0;
}

/* The page below the stack that this thread runs on. */
static bool stack_has_guard(void)
{
	char here;
	uint64_t a = (uint64_t)&here & ~UINT64_C(4095);

	for (unsigned int pages = 0; pages < 64; pages++, a -= 4096) {
		if (!pagetable_lookup(mmu_root(), a, NULL))
			return true;
	}
	return false;
}

/* What shares the last page of the code can be executed. */
static bool zeros_behind_text(void)
{
	for (const char *p = __text_used; p < __text_end; p++) {
		if (*p)
			return false;
	}
	return true;
}

static void *other_thread(void *arg)
{
	*(bool *)arg = stack_has_guard();
	return NULL;
}

int main(void)
{
	bool guarded = false;
	pthread_t t;

	if (!pthread_create(&t, NULL, other_thread, &guarded))
		pthread_join(t, NULL);
	CHECK("thread stacks have a guard page", guarded);
	CHECK("main's stack has a guard page", stack_has_guard());

	pagetable_walk(mmu_root(), look, NULL);
	CHECK("there is something mapped", seen.leaves > 10);
	CHECK("the tables walked are the CPU's",
	      (sysreg_read(ttbr0_el1) & UINT64_C(0xfffffffff000)) == (uint64_t)mmu_root());
	CHECK("nothing is writable and executable", seen.writable_executable == 0);
	CHECK("text is executable", seen.text_executable > 0);
	CHECK("behind the text are zeros", zeros_behind_text());
	CHECK("nothing outside of text is executable", seen.executable_elsewhere == 0);
	CHECK("text and constants are not writable", seen.writable_read_only_part == 0);
	CHECK("text and constants have no alias", seen.alias_of_image == 0);
	CHECK("everything is mapped 1:1", seen.not_identity == 0);
	CHECK("devices are not executable", seen.device_executable == 0);
	CHECK("page 0 is not mapped", seen.first_page == 0);
	CHECK("guard pages are not mapped", seen.guards == 0);
	CHECK("SCTLR_EL1.WXN is set", sysreg_read(sctlr_el1) >> 19 & 1);
	CHECK("SCTLR_EL1.M, C, I are set", (sysreg_read(sctlr_el1) & 0x1005) == 0x1005);
	CHECK("no upper half: TCR_EL1.EPD1", sysreg_read(tcr_el1) >> 23 & 1);
	return checks_failed != 0;
}
