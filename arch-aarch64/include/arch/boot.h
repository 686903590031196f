/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boot: register values, reasons to stop, and what the early stages hand over. For C and assembly.
 */
#ifndef ARCH_BOOT_H
#define ARCH_BOOT_H

/* Values of system registers (Arm ARM DDI 0487, D24.2). */
#define SCR_EL3_NS       0x1
#define SCR_EL3_RES1     0x30
#define SCR_EL3_HCE      0x100
#define SCR_EL3_RW       0x400
#define HCR_EL2_HCD      (1 << 29)
#define HCR_EL2_RW       (1 << 31)
#define HCR_EL2_APK      (1 << 40)
#define HCR_EL2_API      (1 << 41)
#define CPTR_EL2_RES1    0x33ff
#define CPACR_EL1_FPEN   0x300000
#define SPSR_EL1H_MASKED 0x3c5
#define SPSR_EL2H_MASKED 0x3c9

/* Little endian, MMU and caches off; LSMAOE, nTLSMD, SPAN, EIS, TSCXT, EOS: RES1 before the
 * extensions that define them, and the old behaviour after. */
#define SCTLR_EL1_OFF 0x30d00800
/* M, C, SA, SA0, I; WXN: nothing writable is executable, whatever the tables say. */
#define SCTLR_EL1_ON (SCTLR_EL1_OFF | 0x1 | 0x4 | 0x8 | 0x10 | 0x1000 | 0x80000)

/* PAGETABLE_MAIR: index 0 Device-nGnRE, 1 Normal write-back. */
#define MAIR_EL1_VALUE 0xff04
/* T0SZ = 25 (39 bits), walks inner shareable write-back, 4 KiB; T1SZ likewise but EPD1: no TTBR1.
 * IPS is filled in from the CPU. */
#define TCR_EL1_VALUE (25 | (1 << 8) | (1 << 10) | (3 << 12) | (25 << 16) | (1 << 23) | (2 << 30))

/* What early_main may use of the boot stack, with the MMU off. */
#define EARLY_STACK_BYTES 2048

/* enum boot_stop below, for vectors.S */
#define STOP_EXCEPTION_CODE 7

#ifndef __ASSEMBLY__
#include <stdbool.h>
#include <stdint.h>
#include <arch/pagetable.h>
#include <arch/ram.h>

/* Why boot stopped before there was a console: in x0 and boot_stop_reason, at boot_stopped. */
enum boot_stop {
	STOP_NO_TREE = 1,      /* x0 is not an 8-byte aligned address of a device tree */
	STOP_TREE_TOO_BIG = 2, /* totalsize above the 2 MiB of the boot protocol */
	STOP_TREE_BROKEN = 3,  /* the tree's structure is damaged (dt.fault in the debugger) */
	STOP_NO_ROOM = 4,      /* the image does not fit the memory that it was loaded into */
	STOP_NO_CONSOLE = 5,   /* the tree names no console that a driver knows */
	STOP_TABLES = 6,       /* no room for translation tables */
	STOP_EXCEPTION =
	    STOP_EXCEPTION_CODE, /* a fault before there was a console; ESR in x1, ELR in x2, FAR in x3 */
};
void boot_stop(enum boot_stop reason) __attribute__((noreturn));
extern uint32_t boot_stop_reason;

/*
 * What the early stages found out, written before the image's move and read after it: it crosses in
 * section .handover.
 */
struct boot_info {
	uint64_t dtb, dtb_bytes;
	uint32_t entry_el;
	uint64_t loaded_at;       /* where the boot loader put the image */
	const char *stayed;       /* why the image did not move, or NULL if it did */
	uint64_t root;            /* the final translation tables ... */
	uint64_t tables_start;    /* ... are the pages from here */
	uint64_t table_next;      /* to here; unused from here ... */
	uint64_t tables_end;      /* ... to here */
	uint64_t block_limit;     /* RAM below is mapped by 2 MiB blocks at most: stacks go there */
	const char *memory_error; /* why there is no RAM to work with, or NULL */
	uint8_t seed_used_bytes;  /* of rng-seed, from its start */
	struct ram_map mapped;    /* all RAM but no-map regions */
	struct ram_map free;      /* RAM for the page allocator */
};
extern struct boot_info boot_info;

/*
 * With the MMU off: relocate the image, then map it and the tree, no more. Returns the root table.
 *
 * dtb       what x0 was
 * entry_el  1, 2 or 3
 */
uint64_t early_main(uint64_t dtb, uint32_t entry_el);

/* A zeroed page for one more of the early tables (struct pagetable.alloc_table). MMU on or off. */
void *early_table(void *boot_info);
/* pagetable_map of [start, end), or a stop. */
void boot_map(struct pagetable *pt, uint64_t start, uint64_t end, enum pagetable_attrs attrs);

/* mmu_enter (head.S): put tables to work, go on at entry with stack sp. Does not return. */
void mmu_enter(uint64_t root, uint64_t entry, uint64_t sp, uint64_t moved_bytes)
    __attribute__((noreturn));

/*
 * Relocate a copy of the image at base whose addresses are for another place, `distance` below it. The
 * table is this image's own: before bss is zeroed.
 */
void relocate_image(uint64_t base, uint64_t distance);

/* First code with the MMU on (kernel/place.c): move to a random place, final tables. */
void place_image(void) __attribute__((noreturn));

/* From here on the image runs where it will stay (kernel/main.c). */
void kernel_main(void) __attribute__((noreturn));
#endif

#endif
