/* SPDX-License-Identifier: Apache-2.0 */
/* Versions as text and as cells (pith/version.h). */
#include <stdbool.h>
#include <stdio.h>
#include <pith/version.h>

#define MAJOR_MAX  1023u
#define PATCH_MAX  4095u
#define NUMBER_MAX 99999u /* far above both, far below what wraps when one is added to another */

/* A decimal number of at least one digit; *p is moved behind it. */
static bool number(const char **p, uint32_t *value)
{
	const char *start = *p;

	for (*value = 0; **p >= '0' && **p <= '9'; (*p)++) {
		*value = *value * 10 + (uint32_t)(**p - '0');
		if (*value > NUMBER_MAX)
			return false;
	}
	return *p != start;
}

static bool skip(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

/* "-5-gabcdef", as `git describe` says how many commits after a version; or nothing. */
static bool commits(const char **p, uint32_t *count)
{
	const char *digits;

	*count = 0;
	if (**p == '\0')
		return true;
	if (!skip(p, '-') || !number(p, count) || !skip(p, '-') || !skip(p, 'g'))
		return false;
	digits = *p;
	while ((**p >= '0' && **p <= '9') || (**p >= 'a' && **p <= 'f'))
		(*p)++;
	return *p != digits && **p == '\0';
}

uint32_t version_parse(const char *text)
{
	uint32_t major, minor, patch, more;

	if (!number(&text, &major) || !skip(&text, '.') || !number(&text, &minor) ||
	    !skip(&text, '.') || !number(&text, &patch) || !commits(&text, &more))
		return 0;
	if (major > MAJOR_MAX || minor > MAJOR_MAX || patch + more > PATCH_MAX)
		return 0;
	return major << 22 | minor << 12 | (patch + more);
}

char *version_format(uint32_t version, char *text)
{
	snprintf(text, VERSION_TEXT_BYTES, "%u.%u.%u", (unsigned int)(version >> 22),
	         (unsigned int)(version >> 12 & MAJOR_MAX), (unsigned int)(version & PATCH_MAX));
	return text;
}
