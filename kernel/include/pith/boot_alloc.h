/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is kept for good: what drivers and the kernel make of the machine while it boots. An app
 * that has no use for malloc() has none of it in its image.
 */
#ifndef PITH_BOOT_ALLOC_H
#define PITH_BOOT_ALLOC_H

#include <stddef.h>

/*
 * Zeroed memory, aligned to 16 bytes, which cannot be freed: what a probe that fails had is lost.
 * Drivers' probes and initialisers only: they come one after the other.
 * Returns  NULL: no memory. Blocks: no. Not from irq context.
 */
void *boot_alloc(size_t bytes);

#endif
