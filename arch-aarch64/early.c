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
#include <arch/boot.h>
#include <arch/cache.h>
#include <arch/image.h>
#include <arch/pagetable.h>
#include <pith/compiler.h>
#include <pith/page.h>

#define FDT_MAGIC     0xd00dfeedu
#define FDT_BYTES_MAX 0x200000u          /* booting.rst: "must not exceed 2 megabytes" */
#define LEVEL3_BYTES  UINT64_C(0x200000) /* what a table of level 3 maps */

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

static uint64_t *new_table(void)
{
	uint64_t table = boot_info.table_next, end = table + PAGE_BYTES;

	if (end > (uint64_t)__tables_end)
		boot_stop(STOP_TABLES);
	boot_info.table_next = end;
	dcache_clean_invalidate((void *)table, PAGE_BYTES);
	zero(table, end);
	return (uint64_t *)table;
}

static uint64_t *next_level(uint64_t *entry)
{
	if (!*entry)
		*entry = (uint64_t)new_table() | PTE_TABLE | PTE_VALID;
	return (uint64_t *)(*entry & PTE_ADDRESS);
}

void early_map(uint64_t root, uint64_t start, uint64_t end, uint64_t attributes)
{
	uint64_t a = ALIGN_DOWN(start, PAGE_BYTES);

	while (a < end) {
		uint64_t *level2 = next_level((uint64_t *)root + (a >> 30));
		uint64_t *level3 = next_level(level2 + ((a >> 21) & 511));
		uint64_t table_end = MIN(ALIGN_DOWN(a, LEVEL3_BYTES) + LEVEL3_BYTES, end);
		volatile uint64_t *entry = level3 + ((a >> 12) & 511);

#pragma GCC unroll 4
		for (; a < table_end; a += PAGE_BYTES)
			*entry++ = a | attributes;
	}
}

static uint32_t big_endian32(const volatile uint32_t *p)
{
	return __builtin_bswap32(*p);
}

/* The bytes of the device tree at dtb, or a stop. */
static uint32_t check_tree(uint64_t dtb, uint64_t image, uint64_t image_end)
{
	const volatile uint32_t *header = (const volatile uint32_t *)dtb;
	uint32_t bytes;

	if (!dtb || dtb % 8 || dtb >= PAGETABLE_VA_END || big_endian32(header) != FDT_MAGIC)
		boot_stop(STOP_NO_TREE);
	bytes = big_endian32(header + 1);
	if (bytes > FDT_BYTES_MAX)
		boot_stop(STOP_TREE_TOO_BIG);
	if (dtb < image_end && dtb + bytes > image)
		boot_stop(STOP_NO_ROOM);
	return bytes;
}

uint64_t early_main(uint64_t base, uint64_t dtb, uint64_t entry_el)
{
	uint64_t root;
	uint32_t tree_bytes;

	dcache_clean_invalidate(&boot_info, sizeof(boot_info));
	if (base % PAGE_BYTES || base + image_bytes() > PAGETABLE_VA_END)
		boot_stop(STOP_NO_ROOM);
	tree_bytes = check_tree(dtb, base, base + image_bytes());
	spread_image();
	relocate_image(base, base);

	boot_info.dtb = dtb;
	boot_info.dtb_bytes = tree_bytes;
	boot_info.entry_el = (uint32_t)entry_el;
	boot_info.loaded_at = base;
	boot_info.table_next = (uint64_t)__tables_start;
	root = (uint64_t)new_table();
	early_map(root, base, (uint64_t)__text_end, EARLY_RX);
	early_map(root, (uint64_t)__text_end, (uint64_t)__rodata_end, EARLY_RO);
	early_map(root, (uint64_t)__rodata_end, base + image_bytes(), EARLY_RW);
	early_map(root, dtb, dtb + tree_bytes, EARLY_RO);
	dsb_sy();
	return root;
}

#ifdef EARLYCON
/* A debug build (make EARLYCON=address): name the reason on a PL011 at that address. */
void earlycon_stop(uint32_t reason)
{
	static const char text[] = "\r\npith: boot stopped, reason ";
	volatile uint32_t *data = (volatile uint32_t *)(uint64_t)EARLYCON;

	if (sctlr_mmu_on())
		return; /* the address is not mapped */
	for (unsigned int i = 0; i < sizeof(text) - 1; i++)
		*data = (unsigned char)text[i];
	*data = '0' + reason;
	*data = '\r';
	*data = '\n';
}
#endif
