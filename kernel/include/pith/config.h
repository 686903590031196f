/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's own configuration (feature `config`): lines key=value in the data partition of the card
 * that Pith boots from, written by tools/config or tools/sdcard, untouched by updates.
 *
 * It is read before the network starts and before main(). Every key is in the environment; a key
 * that the kernel knows (ip, panic, anything with a dot) also counts as a word of the bootargs. What
 * it says goes before what the bootargs say. `hostname` becomes the machine's name.
 *
 * On the disk: two copies, at 8 and 12 MiB of partition 4, of 4096 bytes each: LE32 CRC-32 of the rest,
 * LE32 sequence number, text, zeros. Of those whose CRC is right the one with the higher number counts.
 */
#ifndef PITH_CONFIG_H
#define PITH_CONFIG_H

#include <stdint.h>

#define CONFIG_BYTES 4096

/*
 * The text that counts, terminated, in one of the two copies; NULL if neither is whole.
 *
 * copies   both, as read from the disk, CONFIG_BYTES each; their last byte may be overwritten
 */
char *config_choose(uint8_t copies[2][CONFIG_BYTES]);

#endif
