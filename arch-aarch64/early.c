/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What runs with the MMU off: relocate the image where it was loaded, and map it and the device tree,
 * so that everything after runs cached and protected.
 *
 * All memory is Device-nGnRnE here (Arm ARM DDI 0487, D8.2.12): every access aligned, no libc, no SIMD,
 * no stack protector; the Makefile compiles this file so. Writes bypass the caches, which may hold
 * lines of the same memory from whoever loaded us: clean ones would be read back, stale, once caches
 * are on, dirty ones would be written back over ours. So each range is cleaned and invalidated
 * before its first write (the boot protocol has only the file's bytes cleaned to the point of
 * coherency, not invalidated). With the MMU off no new line can be allocated for them.
 */
#include <stddef.h>
#include <arch/boot.h>
#include <arch/cache.h>
#include <arch/image.h>
#include <arch/pagetable.h>
#include <pith/compiler.h>
#include <pith/page.h>

#define FDT_MAGIC     0xd00dfeedu
#define FDT_BYTES_MAX 0x200000u /* booting.rst: "must not exceed 2 megabytes" */

struct boot_info boot_info __attribute__((section(".handover")));
uint32_t boot_stop_reason __attribute__((section(".data")));

/*
 * The table is RELR (generic ELF specification, "Relative Relocation Table"), behind the data, ended by
 * a zero: an even word is the offset of a word to relocate; an odd one has bits 1 to 63 for the 63
 * words behind the last one spoken of.
 */
void relocate_image(uint64_t base, uint64_t distance)
{
	volatile uint64_t *word = (volatile uint64_t *)base;

	for (const uint64_t *entry = (const uint64_t *)__data_end; *entry; entry++) {
		if (!(*entry & 1)) {
			word = (volatile uint64_t *)(base + *entry);
			*word++ += distance;
			continue;
		}
		for (uint64_t bits = *entry >> 1; bits; bits &= bits - 1)
			word[__builtin_ctzl(bits)] += distance;
		word += 63;
	}
}

/*
 * Copy what ends at from_end, in whole 32 bytes, to where it ends at to_end, above. Backward: they overlap.
 * The compiler uses no SIMD registers here, so they are free.
 */
static void move_up(uint64_t to_end, uint64_t from_end, uint64_t from)
{
	do {
		__asm__ volatile("ldp q0, q1, [%1, #-32]!\n\t"
		                 "stp q0, q1, [%0, #-32]!"
		                 : "+r"(to_end), "+r"(from_end)
		                 :
		                 : "memory");
	} while (from_end > from);
}

/* Both multiples of 32. */
static void zero(uint64_t start, uint64_t end)
{
	__asm__ volatile("movi v0.2d, #0\n\t"
	                 "b 2f\n"
	                 "1:\tstp q0, q0, [%0], #32\n"
	                 "2:\tcmp %0, %1\n\t"
	                 "b.lo 1b"
	                 : "+r"(start)
	                 : "r"(end)
	                 : "memory", "cc");
}

/*
 * The Image file has no padding between text, constants and data (tools/image). The last first, each goes
 * to where it belongs; the relocations follow the data. Behind the text, in pages that can be executed,
 * copies of constants would stay.
 */
static void spread_image(void)
{
	uint64_t rodata = (uint64_t)__text_used;
	uint64_t data = rodata + (uint64_t)(__rodata_used - __text_end);
	uint64_t table = data + (uint64_t)(__data_end - __rodata_end);
	const volatile uint64_t *end = (const volatile uint64_t *)table;
	uint64_t table_bytes;

	while (*end++)
		;
	table_bytes = ALIGN_UP((uint64_t)end - table, 32);
	dcache_clean_invalidate(__text_used, (uint64_t)__data_end + table_bytes - rodata);
	move_up((uint64_t)__data_end + table_bytes, table + table_bytes, data);
	move_up((uint64_t)__rodata_used, data, rodata);
	zero(rodata, (uint64_t)__text_end);
}

void *early_table(void *ctx)
{
	struct boot_info *info = ctx;
	uint64_t table = info->table_next;

	if (table >= (uint64_t)__tables_end)
		return NULL;
	info->table_next = table + PAGE_BYTES;
	dcache_clean_invalidate((void *)table, PAGE_BYTES);
	zero(table, info->table_next);
	return (void *)table;
}

static uint32_t big_endian32(const volatile uint32_t *p)
{
	return __builtin_bswap32(*p);
}

/* The bytes of the device tree at dtb, or a stop. */
static uint64_t check_tree(uint64_t dtb)
{
	const volatile uint32_t *header = (const volatile uint32_t *)dtb;
	uint32_t bytes;

	if (!dtb || dtb % 8 || dtb >= PAGETABLE_VA_END || big_endian32(header) != FDT_MAGIC)
		boot_stop(STOP_NO_TREE);
	bytes = big_endian32(header + 1);
	if (bytes > FDT_BYTES_MAX)
		boot_stop(STOP_TREE_TOO_BIG);
	if (dtb < (uint64_t)__image_end && dtb + bytes > (uint64_t)__image_start)
		boot_stop(STOP_NO_ROOM);
	return bytes;
}

void boot_map(struct pagetable *pt, uint64_t start, uint64_t end, enum pagetable_attrs attrs)
{
	if (pagetable_map(pt, start, end - start, attrs))
		boot_stop(STOP_TABLES);
}

uint64_t early_main(uint64_t dtb, uint32_t entry_el)
{
	struct boot_info *info = &boot_info;
	struct pagetable pt = {.alloc_table = early_table, .ctx = info};
	uint64_t base = (uint64_t)__image_start;

	dcache_clean_invalidate(info, sizeof(*info));
	if (base % PAGE_BYTES || (uint64_t)__image_end > PAGETABLE_VA_END)
		boot_stop(STOP_NO_ROOM);
	info->dtb = dtb;
	info->dtb_bytes = check_tree(dtb);
	info->entry_el = entry_el;
	info->loaded_at = base;
	spread_image();
	relocate_image(base, base);

	info->table_next = (uint64_t)__tables_start;
	pt.root = early_table(info);
	boot_map(&pt, base, (uint64_t)__text_end, PT_NORMAL_RX);
	boot_map(&pt, (uint64_t)__text_end, (uint64_t)__rodata_end, PT_NORMAL_RO);
	boot_map(&pt, (uint64_t)__rodata_end, (uint64_t)__image_end, PT_NORMAL_RW);
	boot_map(&pt, ALIGN_DOWN(dtb, PAGE_BYTES), ALIGN_UP(dtb + info->dtb_bytes, PAGE_BYTES),
	         PT_NORMAL_RO);
	dsb_sy();
	return (uint64_t)pt.root;
}

#ifdef EARLYCON
extern const char earlycon_text[]; /* head.S: the constants may not be in their place yet */

/* A debug build (make EARLYCON=address): name the reason on a PL011 at that address. */
void earlycon_stop(uint32_t reason)
{
	volatile uint32_t *data = (volatile uint32_t *)(uint64_t)EARLYCON;

	if (sctlr_mmu_on())
		return; /* the address is not mapped */
	for (const char *p = earlycon_text; *p; p++)
		*data = (unsigned char)*p;
	*data = '0' + reason;
	*data = '\r';
	*data = '\n';
}
#endif
