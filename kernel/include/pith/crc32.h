/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32 as zlib, Ethernet and U-Boot's `env export -c` compute it (ISO 3309). */
#ifndef PITH_CRC32_H
#define PITH_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* The CRC of bytes that follow others whose CRC is crc; 0 to begin. */
uint32_t crc32(uint32_t crc, const void *bytes, size_t count);

#endif
