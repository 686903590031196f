/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The crash record (pith/crash.h).
 *
 * In RAM, at a place that every image and the boot loader leave alone: who runs, how it ended, and a
 * copy of the log, line by line as they are said, each written back past the caches, which a reset
 * empties. So a hang, too, leaves the log up to its last line. A panic's report is part of the log, and
 * what is to be known of it is read out of that, after the reset, where there is time and memory.
 *
 * On the disk, in UNIT_CRASH: the same structure.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <arch/boot.h>
#include <arch/cache.h>
#include <arch/image.h>
#include <pith/bootargs.h>
#include <pith/compiler.h>
#include <pith/crash.h>
#include <pith/crc32.h>
#include <pith/disk.h>
#include <pith/dt.h>
#include <pith/log.h>
#include <pith/machine.h>
#include <pith/thread.h>
#include <pith/version.h>
#include "hooks.h"
#include "record.h"

#define MAGIC           0x31524350u /* "PCR1" */
#define BACKTRACE_BYTES 1536        /* at most 26 lines of at most 46 bytes */

struct crash_ram {
	uint32_t magic;
	uint32_t crc; /* of what follows, up to `written` */
	uint8_t end;  /* enum boot_end */
	char slot;
	uint8_t trial;
	uint8_t sealed; /* nothing is logged any more: text_crc is that of the text */
	uint32_t version;
	uint32_t text_crc;
	uint64_t uptime_ms; /* when it ended, if it could say so */
	char build_id[48];
	uint64_t written; /* bytes ever logged; their low part is a place in text */
	char text[CRASH_TEXT_BYTES];
};
_Static_assert(sizeof(struct crash_ram) <= CRASH_RAM_BYTES, "the record fits its place");

#define DISK_BYTES ALIGN_UP(sizeof(struct crash_ram), SECTOR_BYTES)

/* The last crash, for those who ask. */
struct kept {
	struct crash_record record;
	char text[CRASH_TEXT_BYTES + 1];
	char backtrace[BACKTRACE_BYTES];
};

static struct crash_ram *ram;    /* this boot's; NULL: there is no place for it */
static struct crash_ram *before; /* the last boot's, copied, until crash_keep() */
static struct last_boot last;    /* what it said */
static struct mutex keeping = MUTEX_INIT(keeping);
static struct kept *kept;
static bool looked; /* on the disk */

/* --- Its form ------------------------------------------------------------------------------------ */

static uint32_t header_crc(const struct crash_ram *r)
{
	return crc32(0, &r->end,
	             offsetof(struct crash_ram, written) - offsetof(struct crash_ram, end));
}

static size_t text_bytes(const struct crash_ram *r)
{
	return MIN(r->written, CRASH_TEXT_BYTES);
}

static bool is_whole(const struct crash_ram *r)
{
	return r->magic == MAGIC && r->crc == header_crc(r);
}

/* Of a whole one: did the text survive, as far as anybody can tell? */
static bool has_text(const struct crash_ram *r)
{
	return !r->sealed || r->text_crc == crc32(0, r->text, text_bytes(r));
}

/* --- While the image runs ------------------------------------------------------------------------ */

static void close_header(void)
{
	ram->crc = header_crc(ram);
	dcache_clean(ram, offsetof(struct crash_ram, text));
}

static bool apart(uint64_t place, uint64_t start, uint64_t end)
{
	return end <= place || start >= place + CRASH_RAM_BYTES;
}

/* RAM that is mapped, and nobody's. */
static bool is_free(uint64_t place)
{
	uint64_t start, end, bytes;
	bool mapped = false, no_map;

	for (unsigned int i = 0; i < boot_info.mapped.count; i++) {
		const struct ram_extent *e = &boot_info.mapped.extent[i];

		mapped |= e->start <= place && e->end >= place + CRASH_RAM_BYTES;
	}
	for (unsigned int i = 0; !dt_reserved(i, &start, &bytes, &no_map); i++)
		mapped &= apart(place, start, start + bytes);
	if (!dt_initrd(&start, &end))
		mapped &= apart(place, start, end);
	return mapped && apart(place, boot_info.dtb, boot_info.dtb + boot_info.dtb_bytes) &&
	       apart(place, (uint64_t)__image_start, (uint64_t)__image_end);
}

static struct crash_ram *find_place(void)
{
	uint64_t pa, bytes;

	if (dt_memory(0, &pa, &bytes) || !is_free(pa + CRASH_RAM_OFFSET))
		return NULL;
	return (struct crash_ram *)(pa + CRASH_RAM_OFFSET);
}

/* Before it is overwritten. */
static void take_over(void)
{
	if (!is_whole(ram))
		return;
	last.end = (enum boot_end)ram->end;
	last.slot = ram->slot;
	last.version = ram->version;
	last.trial = ram->trial;
	if (last.end == END_ASKED)
		return;
	before = calloc(1, DISK_BYTES);
	if (before)
		memcpy(before, ram, sizeof(*before));
}

void crash_begin(void)
{
	const char *slot = bootarg("pith.slot"), *trial = bootarg("pith.try");

	ram = find_place();
	if (!ram) {
		klog("no crash record: its place in memory is taken");
		return;
	}
	take_over();
	memset(ram, 0, sizeof(*ram));
	ram->magic = MAGIC;
	ram->end = END_UNNOTICED;
	ram->slot = slot ? slot[0] : 0;
	ram->trial = slot && trial && strcmp(slot, trial) == 0;
	ram->version = version_parse(image_version);
	strcpy(ram->build_id, image_build_id());
	ram->written = klog_read(ram->text, sizeof(ram->text));
	dcache_clean(ram->text, ram->written);
	close_header();
}

const struct last_boot *crash_last_boot(void)
{
	return &last;
}

static void put(size_t place, const char *bytes, size_t count)
{
	memcpy(ram->text + place, bytes, count);
	dcache_clean(ram->text + place, count);
}

void crash_log(const char *line, size_t bytes)
{
	size_t place, first;

	if (!ram || ram->sealed)
		return;
	place = ram->written % CRASH_TEXT_BYTES;
	first = MIN(bytes, CRASH_TEXT_BYTES - place);
	put(place, line, first);
	put(0, line + first, bytes - first);
	ram->written += bytes;
	dcache_clean(&ram->written, sizeof(ram->written));
}

void crash_identify(uint32_t version, bool trial)
{
	if (!ram)
		return;
	ram->version = version;
	ram->trial = trial;
	close_header();
}

void crash_end(enum boot_end end)
{
	if (!ram)
		return;
	ram->end = end;
	ram->uptime_ms = time_now_ns() / NS_PER_MS;
	ram->text_crc = crc32(0, ram->text, text_bytes(ram));
	ram->sealed = true;
	close_header();
}

/* --- After it ------------------------------------------------------------------------------------ */

/* The text from its oldest whole line on, of printable characters only, terminated. */
static void unroll(const struct crash_ram *r, char *text)
{
	size_t bytes = has_text(r) ? text_bytes(r) : 0, place = 0;

	if (r->written > CRASH_TEXT_BYTES) {
		place = r->written % CRASH_TEXT_BYTES;
		while (bytes > 0 && r->text[place] != '\n') {
			place = (place + 1) % CRASH_TEXT_BYTES;
			bytes--;
		}
		place++;
		bytes -= bytes > 0;
	}
	for (size_t i = 0; i < bytes; i++) {
		char c = r->text[(place + i) % CRASH_TEXT_BYTES];

		*text++ = c == '\n' || (c >= ' ' && c <= '~') ? c : '?';
	}
	*text = '\0';
}

/* The last panic's report in the text, or NULL. */
static const char *find_panic(const char *text)
{
	const char *found = NULL;

	while ((text = strstr(text, "PANIC: ")))
		found = text += strlen("PANIC: ");
	return found;
}

/* The line after the one that `line` is in, without "[time]   ", if it is indented so; or NULL. */
static const char *line_of_list(const char *line)
{
	const char *end = line ? strchr(line, '\n') : NULL;

	if (!end)
		return NULL;
	end += 1 + strcspn(end + 1, "]\n");
	return strncmp(end, "]   ", 4) == 0 ? end + 4 : NULL;
}

/* Copy the lines of a report's backtrace ("[time]   by image+0x1234"). */
static void copy_backtrace(const char *report, char *out, size_t room)
{
	const char *line = strstr(report, "backtrace, image at");
	size_t bytes;

	while ((line = line_of_list(line))) {
		bytes = strcspn(line, "\n") + 1;
		if (bytes >= room)
			break;
		memcpy(out, line, bytes - 1);
		out[bytes - 1] = '\n';
		out += bytes;
		room -= bytes;
	}
	*out = '\0';
}

/* What r, a whole one, has to tell. */
static void tell(const struct crash_ram *r, struct kept *k)
{
	struct crash_record *c = &k->record;
	const char *panic;

	unroll(r, k->text);
	panic = r->end == END_PANIC ? find_panic(k->text) : NULL;
	c->version = r->version;
	c->slot = r->slot;
	c->trial = r->trial;
	c->uptime_ms = r->uptime_ms;
	memcpy(c->build_id, r->build_id, sizeof(c->build_id) - 1);
	if (panic) {
		memcpy(c->cause, panic, MIN(strcspn(panic, "\n"), sizeof(c->cause) - 1));
		copy_backtrace(panic, k->backtrace, sizeof(k->backtrace));
	} else {
		strcpy(c->cause, r->end == END_PANIC ? "panic" : "watchdog");
	}
	c->backtrace = k->backtrace;
	c->log = k->text;
}

static void keep(const struct crash_ram *r)
{
	kept = calloc(1, sizeof(*kept));
	if (kept)
		tell(r, kept);
	else
		klog("no memory for the crash record");
}

/* r with the text that is told of it, as it goes to the disk. */
static void write_to_disk(const struct boot_disk *disk, struct crash_ram *r)
{
	uint64_t lba = disk_unit_lba(disk, UNIT_CRASH);

	memset(r->text, 0, sizeof(r->text));
	r->written = strlen(kept->text);
	memcpy(r->text, kept->text, r->written);
	r->text_crc = crc32(0, r->text, r->written);
	r->sealed = true;
	r->crc = header_crc(r);
	if (block_write(disk->dev, lba, DISK_BYTES / SECTOR_BYTES, r) || block_flush(disk->dev))
		klog("the crash record cannot be written to the disk");
}

static void read_from_disk(const struct boot_disk *disk)
{
	struct crash_ram *r = malloc(DISK_BYTES);

	if (!r)
		klog("no memory to read the crash record");
	else if (block_read(disk->dev, disk_unit_lba(disk, UNIT_CRASH), DISK_BYTES / SECTOR_BYTES,
	                    r))
		klog("the crash record on the disk cannot be read");
	else if (is_whole(r))
		keep(r);
	free(r);
}

void crash_keep(const char *cause, bool trial)
{
	mutex_lock(&keeping);
	if (before && cause) {
		before->trial = trial;
		keep(before);
	}
	if (kept) {
		klog("the boot before this one ended by: %s", kept->record.cause);
		if (boot_disk())
			write_to_disk(boot_disk(), before);
		looked = true;
	}
	free(before);
	before = NULL;
	mutex_unlock(&keeping);
}

const struct crash_record *crash_last(void)
{
	mutex_lock(&keeping);
	if (!looked && boot_disk())
		read_from_disk(boot_disk());
	looked = true;
	mutex_unlock(&keeping);
	return kept ? &kept->record : NULL;
}
