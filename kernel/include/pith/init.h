/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Initialisers of features, registered by linker section so that only what is linked is run.
 *
 *	static int net_init(void) { ... }
 *	INIT(net_init);
 */
#ifndef PITH_INIT_H
#define PITH_INIT_H

/*
 * Run fn once in thread "main", after every device was probed and before main(). Order between
 * initialisers: as linked, so none may rely on another. It may block and allocate.
 * Returns  0; a negative errno is logged and boot goes on
 */
#define INIT(fn) \
	static int (*const init_entry_##fn)(void) __attribute__((used, section(".inits"))) = fn

/* The same, before those of INIT: for what they read. */
#define INIT_FIRST(fn)                                                                             \
	static int (*const init_entry_##fn)(void) __attribute__((used, section(".inits.first"))) = \
	    fn

/*
 * The same, before all of those, but only in images where the code of something that NEEDS(fn) is
 * linked. NEEDS() costs no instruction: it is a relocation that changes nothing, but has the linker
 * keep fn's entry, which nothing else refers to, when it drops what is not used (--gc-sections).
 */
#define INIT_IF_NEEDED(fn) \
	int (*const init_entry_##fn)(void) __attribute__((used, section(".inits_if_needed"))) = fn
#define NEEDS(fn) __asm__ volatile(".reloc ., BFD_RELOC_NONE, init_entry_" #fn)

/* The linker script's bounds of section .inits. */
typedef int (*init_fn)(void);
extern const init_fn __inits_start[], __inits_end[];

#endif
