/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Says how it runs and how the last boot ended, then does one after the other what the environment
 * says: do_A or do_B in a slot, else do=word,word,...; a number is seconds to live in good health.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pith/compiler.h>
#include <pith/crash.h>
#include <pith/health.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/machine.h>
#include <pith/ota.h>
#include <pith/time.h>
#include <pith/watchdog.h>

static void show_state(void)
{
	char running[VERSION_TEXT_BYTES] = "none", bad[VERSION_TEXT_BYTES] = "none";
	struct ota_status s;

	ota_status(&s);
	if (s.running)
		version_format(s.slot[s.running - 'A'].version, running);
	if (s.bad_version)
		version_format(s.bad_version, bad);
	printf("slot %c version %s trial %d active %c bad %s why %s faults %u retries %u\n",
	       s.running ? s.running : '-', running, s.trial, s.active ? s.active : '-', bad, s.why,
	       s.faults, s.retries);
	printf("reset reason %s, watchdog %d\n", machine_reset_reason(), watchdog_running());
}

static void show_crash(void)
{
	const struct crash_record *c = crash_last();
	char version[VERSION_TEXT_BYTES];

	if (!c) {
		printf("crash none\n");
		return;
	}
	printf("crash of %s in slot %c, trial %d, build %s: %s\n",
	       version_format(c->version, version), c->slot ? c->slot : '-', c->trial,
	       strcmp(c->build_id, image_build_id()) ? c->build_id : "this", c->cause);
	printf("%s", c->backtrace);
	printf("its log has %s\n",
	       strstr(c->log, "last words") ? "its last words" : "nothing of it");
}

static void hang(void)
{
	irq_save();
	for (;;)
		;
}

static void spin(void)
{
	for (volatile int i = 0;; i++)
		;
}

static void crash(void)
{
	static int *volatile nowhere;

	*nowhere = 1;
}

static void confirm(void)
{
	printf("confirm %d\n", ota_confirm());
}

static bool is_down(void)
{
	return false;
}

static void no_network(void)
{
	health_network(is_down);
}

static void watch(void)
{
	printf("watchdog %d\n", watchdog_start(2000));
}

static void leave(void)
{
	exit(3);
}

static const struct {
	const char *word;
	void (*does)(void);
} words[] = {
    {"hang", hang},
    {"spin", spin},
    {"crash", crash},
    {"abort", abort},
    {"exit", leave},
    {"off", machine_off},
    {"restart", machine_restart},
    {"confirm", confirm},
    {"no-network", no_network},
    {"watch", watch},
};

/* Busily: where time is made of instructions, waiting for it while idle takes as long as it takes. */
static void live(uint64_t seconds)
{
	uint64_t end_ns = time_now_ns() + seconds * NS_PER_S;

	while (time_now_ns() < end_ns)
		health_alive();
}

static void do_word(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (!strcmp(words[i].word, word)) {
			klog("last words before %s", word);
			words[i].does();
			return;
		}
	}
	live(strtoul(word, NULL, 10));
}

static const char *orders(void)
{
	struct ota_status s;
	char name[] = "do_A";
	const char *mine;

	ota_status(&s);
	name[3] = s.running;
	mine = s.running ? getenv(name) : NULL;
	return mine ? mine : getenv("do") ? getenv("do") : "";
}

int main(void)
{
	char *list = strdup(orders()), *rest;

	health_alive();
	show_state();
	show_crash();
	for (char *word = strtok_r(list, ",", &rest); word; word = strtok_r(NULL, ",", &rest))
		do_word(word);
	free(list);
	return 0;
}
