/* SPDX-License-Identifier: Apache-2.0 */
/* Versions: MAJOR.MINOR.PATCH in one 32-bit cell of 10, 10 and 12 bits; a greater cell is later. */
#ifndef PITH_VERSION_H
#define PITH_VERSION_H

#include <stdint.h>

#define VERSION_TEXT_BYTES sizeof("1023.1023.4095")

/*
 * The cell of a version's text; a development build's "-5-gabcdef" behind it counts as PATCH + 5 (as
 * tools/disk.py has it). 0, which is no version, if it is not one.
 */
uint32_t version_parse(const char *text);
/* "1.2.3" into text, VERSION_TEXT_BYTES; returns text. */
char *version_format(uint32_t version, char *text);

#endif
