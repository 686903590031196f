/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line discipline, see line.h. ^D is kept in the ring as a mark that ends a line and is not
 * handed to the reader.
 */
#include "line.h"

#define CTRL(key) ((key)&0x1f)
#define BELL      "\a"
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

/* UTF-8: the bytes after a character's first are 10xxxxxx. */
static bool is_continuation(char byte)
{
	return ((unsigned char)byte & 0xc0) == 0x80;
}

static const char *erase(struct line_input *l)
{
	if (l->end == l->ready)
		return "";
	while (--l->end != l->ready && is_continuation(*place(l, l->end)))
		;
	return "\b \b";
}

static const char *finish(struct line_input *l, char mark)
{
	if (!add(l, mark, 0))
		return BELL;
	l->ready = l->end;
	return mark == '\n' ? "\n" : "";
}

const char *line_key(struct line_input *l, char key)
{
	switch (key) {
	case '\r':
	case '\n':
		return finish(l, '\n');
	case CTRL('D'):
		return finish(l, CTRL('D'));
	case BACKSPACE:
	case DELETE:
		return erase(l);
	case CTRL('U'):
	case CTRL('C'):
		l->end = l->ready;
		return key == CTRL('U') ? "^U\n" : "^C\n";
	}
	if ((unsigned char)key < ' ' && key != '\t')
		return "";
	/* Always leave room to finish the line. */
	if (!add(l, key, 1))
		return BELL;
	l->echo[0] = key;
	return l->echo;
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
