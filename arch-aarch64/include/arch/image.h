/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image's own parts, from image.lds. Their addresses are where this copy of the image runs;
 * sizes are differences of two of them.
 */
#ifndef ARCH_IMAGE_H
#define ARCH_IMAGE_H

#include <stdint.h>

extern char __image_start[], __text_end[], __rodata_end[], __data_end[], __image_end[];
extern char __text_used[], __rodata_used[]; /* less padding to pages: none is in the Image file */
extern char __bss_start[], __bss_end[];
extern char __boot_stack_guard[], __boot_stack_top[];
extern char __irq_stack_guard[], __irq_stack_top[];
extern char __panic_stack_guard[], __panic_stack_top[];
extern char __main_stack_guard[], __main_stack_top[];
extern char __tables_start[], __tables_end[];
extern char __handover_start[];

static inline uint64_t image_bytes(void)
{
	return (uint64_t)(__image_end - __image_start);
}

/* Where `constant`, read-only data, is in the Image file, where it comes right behind the text. */
static inline uint32_t image_file_offset(const void *constant)
{
	return (uint32_t)((__text_used - __image_start) + ((const char *)constant - __text_end));
}

#endif
