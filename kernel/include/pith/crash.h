/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The crash record (feature `ota`): a panic's report and the last lines of the log, in RAM at a fixed
 * place that survives the reset, then on the disk, in unit UNIT_CRASH of the data partition. After a
 * reset by the watchdog there is no report, but the log up to the hang is there.
 */
#ifndef PITH_CRASH_H
#define PITH_CRASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Where in RAM: so far above the start of the first memory node, in each image kept out of what it uses.
 * U-Boot, its buffers (boards/<name>/uboot.env) and the tree are elsewhere.
 */
#define CRASH_RAM_OFFSET 0x180000u
#define CRASH_RAM_BYTES  0x4000u
#define CRASH_TEXT_BYTES 12288u

struct crash_record {
	uint32_t version; /* of the image that crashed */
	char slot;        /* where it ran: 'A', 'B', 0: neither */
	bool trial;       /* it was on trial */
	char build_id[41];
	char cause[160];       /* the panic's line, or "watchdog" */
	uint64_t uptime_ms;    /* of the panic; 0 after a hang */
	const char *backtrace; /* image offsets, a line each; terminated */
	const char *log;       /* the last lines of the log; terminated */
};

/*
 * The last crash of this device: the boot before this one, if it ended in a panic or by the watchdog,
 * else what the disk has. NULL: none known. Valid until the next reset.
 *
 * Thread context. The first call may read the disk.
 */
const struct crash_record *crash_last(void);

#endif
