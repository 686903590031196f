/* SPDX-License-Identifier: Apache-2.0 */
/*
 * printf for the log, see pith/log.h: a fourth of picolibc's, which an app that prints no numbers is
 * linked without, and all that the report of a broken machine depends on.
 */
#include <limits.h>
#include <stdbool.h>
#include <pith/compiler.h>
#include "format.h"

/* What stands between % and the letter: at most #, numbers and the length (pith/log.h). */
struct options {
	const char *start, *letter;
	unsigned int width, precision;
};

/* Write the count characters of text, with blanks before them up to width. Returns where it ended. */
static char *put(char *at, const char *end, const char *text, size_t count, size_t width)
{
	for (size_t left = MAX(width, count); left > 0 && at < end; left--)
		*at++ = left > count ? ' ' : *text++;
	return at;
}

static inline struct options read_options(const char *start)
{
	unsigned int width = 0, number = 0;
	bool dot = false;
	const char *at;

	for (at = start;; at++) {
		if (*at >= '0' && *at <= '9') {
			number = number * 10 + (unsigned int)(*at - '0');
		} else if (*at == '.') {
			dot = true;
			width = number;
			number = 0;
		} else if (*at != '#' && *at != 'l' && *at != 'z') {
			break;
		}
	}
	return (struct options){start, at, dot ? width : number, dot ? number : UINT_MAX};
}

NOINLINE char *format_number(char *end, uint64_t value, unsigned int base, unsigned int least)
{
	char *at = end;

	do {
		*--at = "0123456789abcdef"[value % base];
		value /= base;
	} while (value || end - at < (int)least);
	return at;
}

/* Returns where it starts. */
static inline char *number(char *end, uint64_t value, const struct options *o)
{
	char letter = *o->letter, length = o->letter[-1], *at;
	bool negative;

	if (letter != 'p' && length != 'l' && length != 'z')
		value = letter == 'd' ? (uint64_t)(int)value : (uint32_t)value;
	negative = letter == 'd' && (int64_t)value < 0;
	if (negative)
		value = -value;
	at = format_number(end, value, letter == 'x' || letter == 'p' ? 16 : 10,
	                   *o->start == '0' ? MIN(o->width, FORMAT_NUMBER_BYTES) - negative : 1);
	if (letter == 'p' || *o->start == '#') {
		*--at = 'x';
		*--at = '0';
	}
	if (negative)
		*--at = '-';
	return at;
}

size_t format_text(char *out, size_t bytes, const char *fmt, va_list *args)
{
	char digits[FORMAT_NUMBER_BYTES + 3], *end = digits + sizeof(digits);
	char *at = out;

	for (; *fmt; fmt++) {
		struct options options = {.width = 0};
		const char *text = fmt;
		size_t count = 1;

		if (*fmt == '%' && *++fmt != '%') {
			/* Integers and pointers take eight bytes each (AAPCS64, 6.8.2, C.9, C.16). */
			uint64_t value = va_arg(*args, uint64_t);

			options = read_options(fmt);
			fmt = options.letter;
			if (*fmt == 's') {
				text = value ? (const char *)value : "(null)";
				for (count = 0; count < options.precision && text[count];)
					count++;
			} else if (*fmt == 'c') {
				text = end - 1;
				end[-1] = (char)value;
			} else {
				text = number(end, value, &options);
				count = (size_t)(end - text);
			}
		}
		at = put(at, out + bytes, text, count, options.width);
	}
	return (size_t)(at - out);
}
