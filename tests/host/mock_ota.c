/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device's slots and its restarts, made up, for apps/web on Linux (build/host/web): what an update
 * looks like to whoever pushes it, in milliseconds. A restart is an exec; what a disk would keep is in
 * the environment:
 *
 *	MOCK_A, MOCK_B    versions in the slots ("0.1.0", none)      MOCK_RUNNING  A
 *	MOCK_TRIAL        1: what runs is on trial                   MOCK_BAD, MOCK_WHY
 *	MOCK_OUTCOME      how trials end: "confirmed", or a word of pith/ota.h
 *	MOCK_TRIAL_MS     how long one takes
 *	MOCK_CRASH        the cause of the last crash
 *
 * A file with no signature in its trailer counts as one with a wrong signature.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>
#include <pith/crash.h>
#include <pith/health.h>
#include <pith/machine.h>
#include <pith/ota.h>
#include <pith/pull.h>
#include <pith/time.h>

#define SLOT_BYTES (64u << 20)

static struct {
	enum ota_phase phase;
	uint8_t *file;
	uint64_t bytes, done;
	uint32_t version;
} update;
static const char *error = "there was no error";

static const char *value(const char *name, const char *otherwise)
{
	const char *v = getenv(name);

	return v ? v : otherwise;
}

static uint32_t slot_version(int slot)
{
	return version_parse(slot ? value("MOCK_B", "") : value("MOCK_A", "0.1.0"));
}

static int running(void)
{
	return *value("MOCK_RUNNING", "A") == 'B';
}

static bool on_trial(void)
{
	return *value("MOCK_TRIAL", "0") == '1';
}

static uint32_t trial_ms(void)
{
	return (uint32_t)atoi(value("MOCK_TRIAL_MS", "2000"));
}

static bool will_confirm(void)
{
	return strcmp(value("MOCK_OUTCOME", "confirmed"), "confirmed") == 0;
}

static void start_again(void)
{
	close_range(3, ~0u, 0);
	execl("/proc/self/exe", "web", NULL);
	_exit(1);
}

/* The trial is over, and the machine with it. */
static void roll_back(int signal)
{
	sigset_t all;

	(void)signal;
	sigfillset(&all);
	sigprocmask(SIG_UNBLOCK, &all, NULL);
	setenv("MOCK_TRIAL", "0", 1);
	setenv("MOCK_WHY", getenv("MOCK_OUTCOME"), 1);
	setenv("MOCK_BAD", getenv(running() ? "MOCK_B" : "MOCK_A"), 1);
	setenv("MOCK_RUNNING", running() ? "A" : "B", 1);
	start_again();
}

__attribute__((constructor)) static void boot(void)
{
	struct itimerval left = {.it_value = {trial_ms() / 1000, trial_ms() % 1000 * 1000}};

	if (!on_trial() || will_confirm())
		return;
	signal(SIGALRM, roll_back);
	setitimer(ITIMER_REAL, &left, NULL);
}

void machine_restart(void)
{
	char version[VERSION_TEXT_BYTES];

	if (update.phase == OTA_ACTIVATED) {
		setenv(running() ? "MOCK_A" : "MOCK_B", version_format(update.version, version), 1);
		setenv("MOCK_RUNNING", running() ? "A" : "B", 1);
		setenv("MOCK_TRIAL", "1", 1);
	}
	start_again();
	abort();
}

static int fail(int e, const char *sentence)
{
	error = sentence;
	ota_abort();
	return e;
}

int ota_begin(uint64_t file_bytes)
{
	if (on_trial())
		return fail(-EAGAIN, "the running image is not confirmed yet");
	if (update.phase != OTA_IDLE) {
		error = "another update is under way";
		return -EBUSY;
	}
	if (file_bytes > SLOT_BYTES)
		return fail(-EFBIG, "the update is too large for the slot");
	if (file_bytes < UPDATE_TRAILER_BYTES)
		return fail(-EBADMSG, "the update is truncated");
	update.file = malloc(file_bytes);
	update.bytes = file_bytes;
	update.phase = OTA_WRITING;
	return 0;
}

int ota_write(const void *bytes, size_t count)
{
	if (count > update.bytes - update.done)
		return fail(-EFBIG, "the update is longer than announced");
	memcpy(update.file + update.done, bytes, count);
	update.done += count;
	return 0;
}

int ota_finish(void)
{
	const uint8_t *t = update.file + update.bytes - UPDATE_TRAILER_BYTES;
	uint32_t signature_bytes;

	if (update.done < update.bytes || memcmp(t, "PITHUPD1", 8) != 0)
		return fail(-EBADMSG, "the update is truncated or damaged");
	memcpy(&update.version, t + 40, 4);
	memcpy(&signature_bytes, t + 56, 4);
	if (signature_bytes == 0)
		return fail(-EKEYREJECTED, "the update's signature is wrong");
	if (strcmp((const char *)t + 8, image_name) != 0)
		return fail(-EPERM, "the update is for another product");
	if (update.version <= slot_version(running()))
		return fail(-EALREADY, "the update is the same or an older version");
	update.phase = OTA_READY;
	return 0;
}

int ota_activate(void)
{
	update.phase = OTA_ACTIVATED;
	return 0;
}

int ota_confirm(void)
{
	if (!will_confirm())
		return -EIO;
	setenv("MOCK_TRIAL", "0", 1);
	return 0;
}

void ota_abort(void)
{
	free(update.file);
	memset(&update, 0, sizeof(update));
}

const char *ota_error(void)
{
	return error;
}

void ota_status(struct ota_status *s)
{
	uint64_t up_ms = time_now_ns() / NS_PER_MS;

	*s = (struct ota_status){.running = running() ? 'B' : 'A', .phase = update.phase};
	s->trial = on_trial();
	s->active = s->trial ? (running() ? 'A' : 'B') : s->running;
	s->trial_left_ms = s->trial && up_ms < trial_ms() ? trial_ms() - (uint32_t)up_ms : 0;
	for (int i = 0; i < 2; i++)
		s->slot[i] = (struct ota_slot){slot_version(i), !s->trial || i != running()};
	s->bad_version = version_parse(value("MOCK_BAD", ""));
	snprintf(s->why, sizeof(s->why), "%s", value("MOCK_WHY", "none"));
	s->file_bytes = update.bytes;
	s->done_bytes = update.done;
}

const struct crash_record *crash_last(void)
{
	static struct crash_record crash = {.slot = 'B', .backtrace = "", .log = ""};

	crash.version = version_parse(value("MOCK_BAD", ""));
	snprintf(crash.build_id, sizeof(crash.build_id), "%s", image_build_id());
	snprintf(crash.cause, sizeof(crash.cause), "%s", value("MOCK_CRASH", ""));
	crash.backtrace = "image+0x1234\n";
	crash.log = "[0.1] the last words\n";
	return getenv("MOCK_CRASH") ? &crash : NULL;
}

void health_alive(void)
{
}

void health_network(bool (*is_up)(void))
{
	(void)is_up;
}

/* Nothing is fetched. */
int pull_start(void)
{
	return -ENOENT;
}

void pull_status(struct pull_status *s)
{
	*s = (struct pull_status){.on = false};
}
