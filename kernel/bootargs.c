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

enum word_kind { FOR_KERNEL, FOR_ENVIRONMENT, FOR_MAIN };

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool key_is(const char *word, size_t key_bytes, const char *key)
{
	return strlen(key) == key_bytes && !memcmp(word, key, key_bytes);
}

static enum word_kind kind_of(const char *word)
{
	size_t key_bytes = strcspn(word, "=");

	if (!word[key_bytes])
		return key_is(word, key_bytes, "nokaslr") ? FOR_KERNEL : FOR_MAIN;
	if (memchr(word, '.', key_bytes) || key_is(word, key_bytes, "panic") ||
	    key_is(word, key_bytes, "ip"))
		return FOR_KERNEL;
	return key_bytes > 0 ? FOR_ENVIRONMENT : FOR_MAIN;
}

/* Copy words to `to`, blanks and quotes taken out. Returns the copy's end, *count the words. */
static char *split(const char *line, size_t bytes, char *to, size_t *count)
{
	const char *end = line + bytes;

	for (*count = 0;; (*count)++) {
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
	}
}

/* Put "key=value" into env in place of an earlier value of key. Returns how many there are then. */
static size_t set_environment(char **env, size_t count, char *word)
{
	size_t key_bytes = strcspn(word, "=") + 1;

	for (size_t i = 0; i < count; i++) {
		if (!strncmp(env[i], word, key_bytes)) {
			env[i] = word;
			return count;
		}
	}
	env[count] = word;
	return count + 1;
}

/* Hand words out. argv and env have room for all of them and an end. */
static void sort_words(char *end, char **argv, char **env)
{
	size_t env_count = 0;
	char *w = words;

	for (; w < end && strcmp(w, "--") != 0; w += strlen(w) + 1) {
		enum word_kind kind = kind_of(w);

		if (kind == FOR_ENVIRONMENT)
			env_count = set_environment(env, env_count, w);
		else if (kind == FOR_MAIN)
			argv[bootargs_argc++] = w;
	}
	words_end = w;
	if (w < end)
		w += sizeof("--");
	for (; w < end; w += strlen(w) + 1)
		argv[bootargs_argc++] = w;
	argv[bootargs_argc] = NULL;
	env[env_count] = NULL;
}

void bootargs_init(const char *line)
{
	static char *no_words[] = {(char *)image_name, NULL};
	size_t bytes = strnlen(line, LINE_BYTES);
	char **pointers = NULL;
	size_t count;
	char *end;

	bootargs_argv = no_words;
	bootargs_argc = 1;
	if (bytes == LINE_BYTES)
		klog("bootargs: cut after %u bytes", LINE_BYTES);
	words = words_end = boot_alloc(bytes + 1);
	if (words) {
		end = split(line, bytes, words, &count);
		pointers = boot_alloc((2 * count + 3) * sizeof(*pointers));
	}
	if (!pointers) {
		klog("bootargs: no memory");
		return;
	}
	pointers[0] = (char *)image_name;
	bootargs_argv = pointers;
	environ = pointers + count + 2;
	sort_words(end, bootargs_argv, environ);
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
