/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine whose power is cut: the real code of updates over a simulated disk, started by the model of
 * U-Boot. test_powercut.c says what is done to it; powercut.c does it and watches.
 */
#ifndef TESTS_HOST_POWERCUT_H
#define TESTS_HOST_POWERCUT_H

#include <stdbool.h>
#include <stdint.h>

/* The update files of powercut_images.py, by version. LAST is what must always still be possible. */
enum { V1_0, V1_1, V1_2, V1_3_BIG, LAST, IMAGES, NONE = -1 };

/* What an image does when it runs. */
enum character {
	GOOD,    /* confirms itself */
	PANICS,  /* before it could */
	HANGS,   /* and the watchdog resets it */
	MUTE,    /* never confirms */
	EXITS,   /* returns from main() */
	OFFLINE, /* finds no network */
	DECAYS,  /* confirms; then panics often, but for a while */
};

struct scenario {
	const char *name;
	int slot[2];    /* what is in A and B at first */
	int updates[3]; /* installed one after the other, up to NONE */
	enum character character[IMAGES];
	bool gives_up;      /* each update is once begun and aborted */
	bool state_lost;    /* there is no valid state at first */
	bool not_activated; /* DECAYS with an update that is finished and no more */
	bool uboot_fails;   /* to write the state, the first time */
	bool damaged_later; /* an update that was activated is damaged before it boots */
};

/* What else happens at a cut. */
enum harm {
	HARM_NONE,
	HARM_UNIT,       /* any sector of the 4 MiB unit being written is garbage */
	HARM_UNREADABLE, /* or cannot be read until it is written again */
	HARM_STATE,      /* both copies of the state are garbage */
	HARMS
};

struct sweep {
	enum harm harm;
	unsigned int samples; /* cuts an operation, at random; 0: every one */
	unsigned int depth; /* cuts in a row, at most: those after the first are at random places */
	uint64_t seed;
};

/* Sums over all sweeps. */
struct verdict {
	uint64_t cuts;
	uint64_t bricks; /* nothing boots, it never comes to rest, or can never be updated again */
	uint64_t mixed;  /* ran what is no image as a whole */
	uint64_t unverified;  /* ran what was never verified as a whole */
	uint64_t unconfirmed; /* an image stayed without ever confirming itself */
	uint64_t old;         /* below the least version */
	uint64_t broken; /* what had returned 0 did not last, or what was not meant to run did */
};
extern struct verdict verdict;

/* What a mutant does. */
extern bool uboot_believes; /* U-Boot does not verify */
extern bool disk_ignores_flush;

/* Say nothing about what is wrong: it is meant to be. */
extern bool powercut_quiet;

/* Load the update files. */
void powercut_load(const char *folder);
/* Run a scenario and cut it as the sweep says. */
void powercut_run(const struct scenario *s, const struct sweep *how);

#endif
