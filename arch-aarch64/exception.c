/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults in words: what the syndrome register says, whose address it was, registers, backtrace.
 *
 * Source: Arm ARM DDI 0487, D24.2.41 (ESR_EL1), tables of EC and of DFSC/IFSC.
 */
#include <stdbool.h>
#include <string.h>
#include <arch/frame.h>
#include <arch/image.h>
#include <arch/mmu.h>
#include <pith/compiler.h>
#include <pith/log.h>
#include <pith/page.h>
#include <arch/report.h>

#define ESR_EC(esr)  ((unsigned int)((esr) >> 26 & 0x3f))
#define ESR_FSC(esr) ((unsigned int)((esr)&0x3f))
#define ESR_WNR      (1u << 6)
#define ESR_FNV      (1u << 10) /* FAR is not valid */

/* clang-format off */
/* Of an EC from Pith's only level; EC + 1 is before each name, and 0 before the one for all others. */
static const char classes[] =
	"\x01" "undefined instruction\0"
	"\x0f" "illegal execution state\0"
	"\x16" "SVC: there are no system calls\0"
	"\x23" "misaligned program counter\0"
	"\x27" "misaligned stack pointer\0"
	"\x30" "SError\0"
	"\x3d" "BRK\0"
	"\0" "exception";

/* Of a fault status, less its level in bits 1:0; its bits 5:2 + 1. */
static const char faults[] =
	"\x01" "address size fault\0"
	"\x02" "translation fault\0"
	"\x03" "access flag fault\0"
	"\x04" "permission fault\0"
	"\x05" "external abort\0"
	"\x06" "external abort on a table walk\0"
	"\x09" "alignment fault\0"
	"\x0d" "TLB conflict\0"
	"\0" "fault";
/* clang-format on */

static const char *name_of(const char *names, unsigned int code)
{
	while (*names && (unsigned int)*names != code + 1)
		names += strlen(names) + 1;
	return names + 1;
}

/* What lives at a faulting address, if that explains it; whose it is goes into thread. */
static const char *explain(uint64_t far, bool fetch, char thread[16])
{
	uint64_t page = ALIGN_DOWN(far, PAGE_BYTES), offset = far - (uint64_t)__image_start;

	if (page == 0)
		return ": NULL pointer";
	if (page == (uint64_t)__boot_stack_guard)
		return ": stack overflow in the boot context";
	if (page == (uint64_t)__irq_stack_guard)
		return ": overflow of the interrupt stack";
	if (page == (uint64_t)__panic_stack_guard)
		return ": overflow of the panic stack";
	if (report_stack_guard(far, thread))
		return ": stack overflow in thread ";
	if (offset < (uint64_t)(__text_end - __image_start))
		return ": the image's code";
	if (offset < (uint64_t)(__rodata_end - __image_start))
		return ": the image's constants";
	if (fetch && mmu_readable(far & ~7ul))
		return ": data is not executable";
	return "";
}

static void print_cause(const struct frame *f)
{
	unsigned int ec = ESR_EC(f->esr), kind = f->vector & VECTOR_KIND;
	bool fetch = ec == 0x21, data = ec == 0x25, write = f->esr & ESR_WNR;
	char thread[16] = "";
	const char *why = "";

	if (kind != VECTOR_SYNC && kind != VECTOR_SERROR) {
		klog("PANIC: exception by an unexpected vector");
	} else if (!fetch && !data) {
		klog("PANIC: %s", name_of(classes, ec));
	} else {
		if (!(f->esr & ESR_FNV))
			why = explain(f->far, fetch, thread);
		klog("PANIC: %s 0x%lx, %s%s%s",
		     fetch   ? "instruction abort: execution at"
		     : write ? "data abort: write to"
		             : "data abort: read from",
		     f->far, name_of(faults, ESR_FSC(f->esr) >> 2), why, thread);
	}
}

static void print_registers(const struct frame *f)
{
	klog("ESR 0x%08lx FAR 0x%016lx SPSR 0x%08lx SP 0x%016lx", f->esr, f->far, f->spsr, f->sp);
	for (unsigned int i = 0; i < 28; i += 4)
		klog("x%02u %016lx %016lx %016lx %016lx", i, f->x[i], f->x[i + 1], f->x[i + 2],
		     f->x[i + 3]);
	klog("x28 %016lx %016lx %016lx", f->x[28], f->x[29], f->x[30]);
}

void exception(struct frame *f)
{
	report_begin();
	print_cause(f);
	report_context(f->vector & VECTOR_EL1H);
	print_registers(f);
	report_backtrace(f->elr, f->x[30], f->x[29]);
	report_end();
}
