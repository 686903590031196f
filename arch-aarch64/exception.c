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

#define ESR_EC(esr)   ((unsigned int)((esr) >> 26 & 0x3f))
#define ESR_FSC(esr)  ((unsigned int)((esr)&0x3f))
#define ESR_WNR       (1u << 6)
#define ESR_FNV       (1u << 10) /* FAR is not valid */
#define EC_INST_ABORT 0x21
#define EC_DATA_ABORT 0x25
#define EC_BRK        0x3c

static const char *class_name(unsigned int ec)
{
	switch (ec) {
	case 0x00:
		return "undefined instruction";
	case 0x07:
		return "FP or SIMD trapped";
	case 0x0e:
		return "illegal execution state";
	case 0x15:
		return "SVC: there are no system calls";
	case 0x16:
		return "HVC that nobody answers";
	case 0x18:
		return "system register trapped";
	case 0x20:
	case EC_INST_ABORT:
		return "instruction abort";
	case 0x22:
		return "misaligned program counter";
	case 0x24:
	case EC_DATA_ABORT:
		return "data abort";
	case 0x26:
		return "misaligned stack pointer";
	case 0x2c:
		return "floating-point exception";
	case 0x2f:
		return "SError";
	case 0x30:
	case 0x31:
		return "breakpoint";
	case 0x34:
	case 0x35:
		return "watchpoint";
	case EC_BRK:
		return "BRK";
	default:
		return "exception";
	}
}

static const char *fault_name(unsigned int fsc)
{
	switch (fsc) {
	case 0x10:
		return "external abort";
	case 0x14:
	case 0x15:
	case 0x16:
	case 0x17:
		return "external abort on a table walk";
	case 0x21:
		return "alignment fault";
	case 0x30:
		return "TLB conflict";
	}
	switch (fsc >> 2) {
	case 0:
		return "address size fault";
	case 1:
		return "translation fault";
	case 2:
		return "access flag fault";
	case 3:
		return "permission fault";
	default:
		return "fault";
	}
}

static bool within(uint64_t address, const char *start, const char *end)
{
	return address >= (uint64_t)start && address < (uint64_t)end;
}

/* What lives at a faulting address, if that explains it. buf is for text that must be put together. */
static const char *explain(uint64_t far, bool fetch, char buf[REPORT_GUARD_BYTES])
{
	if (far < PAGE_BYTES)
		return "NULL pointer";
	if (within(far, __boot_stack_guard, __boot_stack_guard + PAGE_BYTES))
		return "stack overflow in the boot context";
	if (within(far, __irq_stack_guard, __irq_stack_guard + PAGE_BYTES))
		return "overflow of the interrupt stack";
	if (within(far, __panic_stack_guard, __panic_stack_guard + PAGE_BYTES))
		return "overflow of the panic stack";
	if (report_stack_guard(far, buf))
		return buf;
	if (within(far, __image_start, __text_end))
		return "the image's code";
	if (within(far, __text_end, __rodata_end))
		return "the image's constants";
	if (fetch && mmu_readable(far & ~7ul))
		return "data is not executable";
	return "";
}

static void print_cause(const struct frame *f)
{
	unsigned int ec = ESR_EC(f->esr), kind = f->vector & VECTOR_KIND;
	bool fetch = (ec & ~1u) == 0x20, data = (ec & ~1u) == 0x24;
	char buf[REPORT_GUARD_BYTES];
	const char *why;

	if (kind != VECTOR_SYNC && kind != VECTOR_SERROR) {
		klog("PANIC: exception by an unexpected vector, ESR 0x%lx", f->esr);
	} else if (!fetch && !data) {
		klog("PANIC: %s (ESR 0x%lx)", class_name(ec), f->esr);
	} else {
		why = f->esr & ESR_FNV ? "" : explain(f->far, fetch, buf);
		klog("PANIC: %s: %s 0x%lx, %s%s%s", class_name(ec),
		     fetch              ? "execution at"
		     : f->esr & ESR_WNR ? "write to"
		                        : "read from",
		     f->far, fault_name(ESR_FSC(f->esr)), *why ? ": " : "", why);
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
