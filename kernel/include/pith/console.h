/*
 * The console: one UART for output (log, stdout) and input (stdin with a small line discipline).
 */
#ifndef PITH_CONSOLE_H
#define PITH_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <pith/dt.h>

struct console {
	const char *name;
	dt_node node;
	/*
	 * Send all bytes, polling; gives up on a byte when the hardware takes none for 100 ms.
	 * Called with interrupts masked, also from panic.
	 */
	void (*write)(struct console *c, const char *bytes, size_t count);
	/* Interrupts for input on; received bytes go to console_input(). */
	void (*enable_input)(struct console *c);
	struct console *next;
};

/* From a UART's probe. The one stdout-path names wins; else the first registered. */
void console_register(struct console *c);
/* From the UART's interrupt handler. */
void console_input(const char *bytes, size_t count);
/* Raw output, newline becomes CR LF. Any context. */
void console_write(const char *bytes, size_t count);

#endif
