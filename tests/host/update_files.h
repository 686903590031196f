/* SPDX-License-Identifier: Apache-2.0 */
/* What the build made with tools/fit, tools/update and tools/keys.py for the tests of updates. */
#ifndef TESTS_HOST_UPDATE_FILES_H
#define TESTS_HOST_UPDATE_FILES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define EXAMPLE_PRODUCT "example"
#define EXAMPLE_VERSION 0x402003u /* 1.2.3 */

/* A whole file; exits if it cannot be read. The caller frees it. */
static inline uint8_t *read_whole(const char *path, size_t *bytes)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	long size;

	if (f && fseek(f, 0, SEEK_END) == 0 && (size = ftell(f)) > 0) {
		rewind(f);
		data = malloc((size_t)size);
		*bytes = fread(data, 1, (size_t)size, f);
	}
	if (!data || *bytes != (size_t)size) {
		perror(path);
		exit(2);
	}
	fclose(f);
	return data;
}

#endif
