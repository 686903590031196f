/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console: one UART for output (log, stdout) and input (stdin with a small line discipline).
 */
#ifndef PITH_CONSOLE_H
#define PITH_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <pith/dt.h>

struct file;

struct console {
	const char *name;
	dt_node node;
	/*
	 * Send all bytes, polling; gives up on a byte when the hardware takes none for 100 ms.
	 * Called with interrupts masked, also from panic.
	 */
	void (*write)(struct console *c, const char *bytes, size_t count);
	struct console *next;
};

/*
 * How the consoles with this write() begin to receive. Apart from struct console, because it is linked only
 * into images that have the console's file (--gc-sections; see __start_SECNAME in ld's manual).
 */
struct console_input {
	void (*write)(struct console *c, const char *bytes, size_t count);
	/* Interrupts for input on; received bytes go to console_input(). */
	void (*enable)(struct console *c);
};
#define CONSOLE_INPUT(write, enable)                          \
	static const struct console_input console_input_entry \
	    __attribute__((used, section("console_inputs"))) = {write, enable}
extern const struct console_input __start_console_inputs[], __stop_console_inputs[];

/* From a UART's probe. The one stdout-path names wins; without a stdout-path the first. */
void console_register(struct console *c);
/*
 * When the console drivers have been probed: if what stdout-path names did not come up, take the first
 * that did (not earlier: it may belong to a modem). Returns false if there is none.
 */
bool console_choose(void);
/* From the UART's interrupt handler: a byte that was received. */
void console_input(char byte);
/*
 * Raw output, newline becomes CR LF. Any context, also amid somebody else's line: for panic and
 * what has nothing better. Everybody else writes to the log or to the console's file.
 */
void console_write(const char *bytes, size_t count);
/*
 * The log is about to write whole lines: begins a fresh line if need be. Interrupts masked.
 * Returns false if there is no console, or a thread is amid a write to its file, which calls
 * klog_flush() when done.
 */
bool console_log_begin(void);
/*
 * A thread's write: what it puts between take, which blocks, and give, never mixes with another's, nor
 * with the log.
 */
void console_take(void);
void console_put(const char *bytes, size_t count);
void console_give(void);
/* The one that was chosen; NULL before. */
extern struct console *console_active;
/*
 * The end (panic, power off) takes the console from whoever was writing: what is left of the log goes
 * out at once.
 */
void console_seize(void);

/*
 * The console as a file, for descriptors 0, 1 and 2 (one file_use is the caller's at the first call).
 * Reads give whole lines; erase (BS, DEL), kill (^U, ^C) and end of file (^D) as on a terminal.
 */
struct file *console_file(void);

#endif
