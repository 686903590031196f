/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line discipline: from keys to lines. Pure; the console's interrupt handler feeds it, its file
 * reads from it, both with interrupts masked.
 */
#ifndef KERNEL_LINE_H
#define KERNEL_LINE_H

#include <stdbool.h>
#include <stddef.h>

#define LINE_RING_BYTES 512u /* a power of two; lines typed ahead, too, are in there */

/* Positions count for ever; their low bits are places in the ring. */
struct line_input {
	size_t read;  /* next byte for the reader */
	size_t ready; /* end of the last finished line */
	size_t end;   /* end of the line being typed */
	char echo[2]; /* a key as a string */
	char ring[LINE_RING_BYTES];
};

/*
 * One key. Enter (CR or NL) and ^D finish a line; BS and DEL take back a character (of UTF-8, all
 * its bytes), ^U and ^C the line; other control characters than tab are ignored. What does not fit
 * is dropped with a bell.
 *
 * Returns what to show, at most 3 bytes; until the next call
 */
const char *line_key(struct line_input *l, char key);

static inline bool line_ready(const struct line_input *l)
{
	return l->read != l->ready;
}

/*
 * Take at most max bytes of the first finished line, its newline included.
 * Returns bytes; 0 at ^D on an empty line (end of file), or with no line ready
 */
size_t line_read(struct line_input *l, char *buf, size_t max);

#endif
