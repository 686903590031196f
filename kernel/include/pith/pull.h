/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Updates that the device fetches itself (features `ota` and `net`), from any server of static files.
 *
 * The device's configuration names a channel, `update=http://server/channel.json`:
 *
 *	{"product": "web", "version": "1.3.0", "url": "web-1.3.0.pith"}
 *
 * where url is relative to the channel's own. It is looked at every PULL_INTERVAL_S (or every
 * `update.interval_s` of the configuration), a quarter more or less so that a fleet does not come at
 * once; only a version that is newer than the running one is downloaded. A download that is
 * interrupted goes on where it stopped (RFC 9110, section 14), if the server names the file's version
 * (ETag). Failures double the wait, up to four intervals; a server's Retry-After is obeyed.
 *
 * A version that failed its trial is not fetched again; one that failed only for lack of a network is
 * after an hour, then two, up to a day.
 */
#ifndef PITH_PULL_H
#define PITH_PULL_H

#include <stdbool.h>
#include <stdint.h>

#define PULL_INTERVAL_S 3600u

/*
 * Start looking, in a thread of its own, which restarts the machine when there is a new image.
 *
 * Returns  0; -ENOENT no `update` in the configuration; -EINVAL `update.interval_s` is not 1 to 604800;
 *          -ENOMEM
 */
int pull_start(void);

/*
 * Look once, now. For apps that choose the time themselves, and instead of pull_start().
 *
 * channel  its URL
 * Blocks   yes: for the download, which is tried for minutes before it is given up
 * Returns  1: a new image is on trial from the next restart on; 0: nothing new; a negative errno:
 *          something failed. pull_status() has the sentence.
 */
int pull_look(const char *channel);

struct pull_status {
	bool on;           /* pull_start() succeeded */
	char outcome[200]; /* of the last look: "version 1.3.0 runs already"; "" before the first */
	unsigned int failures; /* looks that failed, in a row */
	uint32_t next_look_s;  /* from now; 0 while looking */
};
void pull_status(struct pull_status *s);

#endif
