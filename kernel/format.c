/* SPDX-License-Identifier: Apache-2.0 */
/*
 * printf for the log, see pith/log.h: a fourth of picolibc's, which an app that prints no numbers is
 * linked without, and all that the report of a broken machine depends on.
 */
#include <limits.h>
#include <stdbool.h>
#include <pith/compiler.h>
#include "format.h"

struct out {
	char *at, *end;
};

/* What stands between % and the letter: at most #, numbers and the length (pith/log.h). */
struct options {
	const char *start, *letter;
	unsigned int width, precision;
};

static void put(struct out *o, const char *text, size_t bytes)
{
	for (; bytes > 0 && o->at < o->end; bytes--)
		*o->at++ = *text++;
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

char *format_number(char *end, uint64_t value, unsigned int base, unsigned int least)
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
	char letter = *o->letter, *at;
	bool negative = false;

	if (letter == 'd') {
		int64_t n = o->letter[-1] == 'l' ? (int64_t)value : (int)value;

		negative = n < 0;
		value = negative ? -(uint64_t)n : (uint64_t)n;
	} else if (letter != 'p' && o->letter[-1] != 'l' && o->letter[-1] != 'z') {
		value = (uint32_t)value;
	}
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
	struct out o = {out, out + bytes};

	for (; *fmt; fmt++) {
		const char *text = fmt;
		size_t count = 1;

		if (*fmt == '%' && *++fmt != '%') {
			struct options options = read_options(fmt);
			/* Integers and pointers take eight bytes each (AAPCS64, 6.8.2, C.9, C.16). */
			uint64_t value = va_arg(*args, uint64_t);

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
			for (; options.width > count; options.width--)
				put(&o, " ", 1);
		}
		put(&o, text, count);
	}
	return (size_t)(o.at - out);
}
