/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line discipline, see line.h. ^D is kept in the ring as a mark that ends a line and is not
 * handed to the reader.
 */
#include <string.h>
#include "line.h"

#define CTRL(key) ((key)&0x1f)
#define BELL      '\a'
#define BACKSPACE '\b'
#define DELETE    '\x7f'

static char *place(struct line_input *l, size_t position)
{
	return &l->ring[position % LINE_RING_BYTES];
}

static bool add(struct line_input *l, char byte, size_t keep_free)
{
	if (l->end - l->read + keep_free >= LINE_RING_BYTES)
		return false;
	*place(l, l->end++) = byte;
	return true;
}

static size_t show(char echo[3], const char *bytes)
{
	size_t count = strlen(bytes);

	memcpy(echo, bytes, count);
	return count;
}

/* UTF-8: the bytes after a character's first are 10xxxxxx. */
static bool is_continuation(char byte)
{
	return ((unsigned char)byte & 0xc0) == 0x80;
}

static size_t erase(struct line_input *l, char echo[3])
{
	if (l->end == l->ready)
		return 0;
	while (--l->end != l->ready && is_continuation(*place(l, l->end)))
		;
	return show(echo, "\b \b");
}

static size_t finish(struct line_input *l, char mark, char echo[3])
{
	if (!add(l, mark, 0))
		return show(echo, "\a");
	l->ready = l->end;
	return mark == '\n' ? show(echo, "\n") : 0;
}

size_t line_key(struct line_input *l, char key, char echo[3])
{
	switch (key) {
	case '\r':
	case '\n':
		return finish(l, '\n', echo);
	case CTRL('D'):
		return finish(l, CTRL('D'), echo);
	case BACKSPACE:
	case DELETE:
		return erase(l, echo);
	case CTRL('U'):
	case CTRL('C'):
		l->end = l->ready;
		return show(echo, key == CTRL('U') ? "^U\n" : "^C\n");
	}
	if ((unsigned char)key < ' ' && key != '\t')
		return 0;
	/* Always leave room to finish the line. */
	echo[0] = add(l, key, 1) ? key : BELL;
	return 1;
}

size_t line_read(struct line_input *l, char *buf, size_t max)
{
	size_t count = 0;

	while (count < max && l->read != l->ready) {
		char byte = *place(l, l->read++);

		if (byte == CTRL('D'))
			break;
		buf[count++] = byte;
		if (byte == '\n')
			break;
	}
	return count;
}
