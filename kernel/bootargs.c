/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line, split into words in one copy of it: each word ends in a NUL, the next follows.
 * What they mean is in pith/bootargs.h. It is external input: any bytes are fine.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pith/boot_alloc.h>
#include <pith/bootargs.h>
#include <pith/compiler.h>
#include <pith/log.h>
#include <pith/machine.h>

#define LINE_BYTES 4096u /* twice what Linux takes on arm64; the rest is cut off */

int bootargs_argc;
char **bootargs_argv;

static char *words, *words_end; /* before "--" */
static char *overrides, *overrides_end;

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool key_is(const char *word, size_t key_bytes, const char *key)
{
	return strlen(key) == key_bytes && !memcmp(word, key, key_bytes);
}

static bool is_for_kernel(const char *word, size_t key_bytes)
{
	if (!word[key_bytes])
		return key_is(word, key_bytes, "nokaslr");
	return memchr(word, '.', key_bytes) || key_is(word, key_bytes, "panic") ||
	       key_is(word, key_bytes, "ip");
}

/*
 * Where a word that begins with bytes "key=" belongs: the place of an earlier one, or a new one before
 * them all. Those lie before the word, so that the comparison stays among words.
 */
static char **in_environment(const char *word, size_t bytes)
{
	for (char **e = environ; *e; e++)
		if (!memcmp(*e, word, bytes))
			return e;
	return --environ;
}

static void hand_out(char *word)
{
	size_t key_bytes = strcspn(word, "=");
	bool has_value = word[key_bytes];

	if (words_end) /* all that follow are the app's */
		bootargs_argv[bootargs_argc++] = word;
	else if (!has_value && key_is(word, key_bytes, "--"))
		words_end = word;
	else if (is_for_kernel(word, key_bytes))
		return;
	else if (has_value && key_bytes)
		*in_environment(word, key_bytes + 1) = word;
	else
		bootargs_argv[bootargs_argc++] = word;
}

/* Copy words to `to`, blanks and quotes taken out, and hand them out. Returns the copy's end. */
static char *split(const char *line, const char *end, char *to)
{
	for (;;) {
		char *word = to;
		bool quoted = false;

		while (line < end && is_blank(*line))
			line++;
		if (line == end)
			return to;
		for (; line < end && (quoted || !is_blank(*line)); line++) {
			if (*line == '"')
				quoted = !quoted;
			else
				*to++ = *line;
		}
		*to++ = '\0';
		hand_out(word);
	}
}

/* One piece of memory: argv from its start, environ before its end, then the words. */
void bootargs_init(const char *line)
{
	static char *no_words[2];
	size_t bytes = MIN(strlen(line), LINE_BYTES), pointers = bytes / 2 + 4;
	char **argv = boot_alloc(pointers * sizeof(*argv) + bytes + 1), *end;

	bootargs_argv = argv ? argv : no_words;
	bootargs_argv[0] = (char *)image_name;
	bootargs_argc = 1;
	words = words_end = NULL;
	if (bytes == LINE_BYTES)
		klog("bootargs: cut after %u bytes", LINE_BYTES);
	if (!argv) {
		klog("bootargs: no memory");
		return;
	}
	environ = argv + pointers - 1;
	words = (char *)(argv + pointers);
	end = split(line, line + bytes, words);
	if (!words_end)
		words_end = end;
}

/* The last of a list's words with that key: its value, "" if it has none; NULL: no such word. */
static const char *find(const char *list, const char *end, const char *key)
{
	const char *found = NULL;

	for (const char *w = list; w < end; w += strlen(w) + 1) {
		size_t key_bytes = strcspn(w, "=");

		if (key_is(w, key_bytes, key))
			found = w[key_bytes] ? w + key_bytes + 1 : "";
	}
	return found;
}

const char *bootarg(const char *key)
{
	const char *found = find(overrides, overrides_end, key);

	return found ? found : find(words, words_end, key);
}

int bootargs_override(char *list, size_t bytes)
{
	overrides = list;
	overrides_end = list + bytes;
	for (char *w = list; w < overrides_end; w += strlen(w) + 1) {
		char key[64];
		size_t key_bytes = strcspn(w, "=");

		if (!w[key_bytes] || !key_bytes || key_bytes >= sizeof(key)) {
			klog("configuration: \"%.40s\" is no key=value", w);
			continue;
		}
		memcpy(key, w, key_bytes);
		key[key_bytes] = '\0';
		if (setenv(key, w + key_bytes + 1, 1))
			return -ENOMEM;
	}
	return 0;
}
