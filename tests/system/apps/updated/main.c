/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An app that is updated, and that may be a bad update: PATCH, the last number of its version, says
 * what it does (tests/lib/updates.py has the same list). Small, without a network: its updates are on
 * a second disk, the tray: LE64 bytes of the file, and from block 1 on the file.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pith/block.h>
#include <pith/crash.h>
#include <pith/disk.h>
#include <pith/health.h>
#include <pith/init.h>
#include <pith/irq.h>
#include <pith/machine.h>
#include <pith/ota.h>
#include <pith/update.h>
#include <pith/version.h>

enum patch {
	GOOD,
	CRASHES,
	HANGS_MASKED, /* with interrupts off */
	HANGS,
	NEVER_CONFIRMS,
	NO_NETWORK,
	RETURNS,
	EXITS,
	POWERS_OFF,
	ABORTS,
	CRASHES_CONFIRMED, /* at once */
	CRASHES_LATER,     /* an hour after it was confirmed */
	STOPS_CONFIRMED,   /* its main loop */
	ENDS_CONFIRMED,
};

#define PATCH_MASK 0xfffu
#define CHUNK      4096u

static void say_version(const char *name, uint32_t version)
{
	char text[VERSION_TEXT_BYTES];

	printf(" %s=%s", name, version ? version_format(version, text) : "none");
}

static void say_status(void)
{
	const struct crash_record *crash = crash_last();
	struct ota_status s;

	ota_status(&s);
	printf("status running=%c active=%c trial=%d", s.running ? s.running : '-',
	       s.active ? s.active : '-', s.trial);
	say_version("A", s.slot[0].version);
	say_version("B", s.slot[1].version);
	say_version("least", s.min_version);
	say_version("bad", s.bad_version);
	printf(" why=%s faults=%u retries=%u\n", s.why, s.faults, s.retries);
	if (crash)
		printf("crash %c trial=%d %s\n", crash->slot, crash->trial, crash->cause);
}

static bool network_is_down(void)
{
	return false;
}

static void hang(void)
{
	for (;;)
		__asm__ volatile("");
}

/* Seconds, with a main loop that lives. */
static void live(unsigned int seconds)
{
	while (seconds--) {
		health_alive();
		sleep(1);
	}
}

/* --- Virtual time --- */

static volatile bool disk_rests;

/*
 * With a virtual clock that skips idle time, a disk of the host's would seem to take minutes. Some work
 * every few milliseconds keeps the clock from running away, as long as anything may use the disk.
 */
static void *pace(void *arg)
{
	while (!disk_rests) {
		for (volatile int i = 0; i < 20000; i++)
			;
		usleep(5000);
	}
	return arg;
}

static int pace_start(void)
{
	pthread_t thread;

	return -pthread_create(&thread, NULL, pace, NULL);
}
INIT_FIRST(pace_start);

/* --- What it does --- */

/* What ends it before it is confirmed. Returns where the version is one that gets further. */
static void before_confirmation(unsigned int patch)
{
	switch (patch) {
	case CRASHES:
		__builtin_trap();
	case HANGS_MASKED:
		irq_save();
		hang();
		break;
	case HANGS:
		hang();
		break;
	case NO_NETWORK:
		health_network(network_is_down);
		live(3600);
		break;
	case NEVER_CONFIRMS:
		live(3600);
		break;
	case EXITS:
		exit(3);
	case POWERS_OFF:
		machine_off();
	case ABORTS:
		abort();
	default:
		break;
	}
}

static void after_confirmation(unsigned int patch)
{
	switch (patch) {
	case CRASHES_CONFIRMED:
		__builtin_trap();
	case CRASHES_LATER:
		disk_rests = true;
		live(3600);
		__builtin_trap();
	case STOPS_CONFIRMED:
		for (;;)
			sleep(3600);
	case ENDS_CONFIRMED:
		exit(0);
	default:
		break;
	}
}

/* --- The tray --- */

static uint8_t chunk[CHUNK];

static struct block_device *find_tray(void)
{
	const struct boot_disk *ours = boot_disk();

	for (struct block_device *d = block_find(NULL); d; d = d->next) {
		if (!ours || d != ours->dev)
			return d;
	}
	return NULL;
}

/* The version of the file in the tray; 0: it is empty. */
static uint32_t tray_version(struct block_device *tray, uint64_t *bytes)
{
	struct update_trailer t;

	if (!tray || block_read(tray, 0, 1, chunk))
		return 0;
	memcpy(bytes, chunk, sizeof(*bytes));
	if (*bytes < UPDATE_TRAILER_BYTES || *bytes % SECTOR_BYTES)
		return 0;
	if (block_read(tray, 1 + (*bytes - UPDATE_TRAILER_BYTES) / SECTOR_BYTES,
	               UPDATE_TRAILER_BYTES / SECTOR_BYTES, chunk) ||
	    update_trailer_parse(chunk, *bytes, &t))
		return 0;
	return t.version;
}

static int install(struct block_device *tray, uint64_t bytes)
{
	int error = ota_begin(bytes);

	for (uint64_t at = 0; !error && at < bytes; at += CHUNK) {
		size_t count = bytes - at < CHUNK ? bytes - at : CHUNK;

		health_alive();
		error = block_read(tray, 1 + at / SECTOR_BYTES, count / SECTOR_BYTES, chunk);
		error = error ? error : ota_write(chunk, count);
	}
	error = error ? error : ota_finish();
	return error ? error : ota_activate();
}

static void update_from_tray(void)
{
	struct block_device *tray = find_tray();
	struct ota_status s;
	uint64_t bytes;
	uint32_t version = tray_version(tray, &bytes);

	ota_status(&s);
	if (version <= version_parse(image_version) || (version == s.bad_version && !s.retries)) {
		printf("nothing to install\n");
		return;
	}
	printf("installing\n");
	if (install(tray, bytes)) {
		printf("not installed: %s\n", ota_error());
		return;
	}
	printf("restarting\n");
	machine_restart();
}

int main(void)
{
	unsigned int patch = version_parse(image_version) & PATCH_MASK;

	printf("version %s\n", image_version);
	say_status();
	before_confirmation(patch);
	if (patch == RETURNS)
		return 4;
	if (ota_confirm())
		printf("not confirmed\n");
	say_status();
	after_confirmation(patch);
	update_from_tray();
	live(3600);
	return 0;
}
