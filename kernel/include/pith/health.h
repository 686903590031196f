/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Health (feature `ota`): what feeds the watchdog, and what ends a trial.
 *
 * The watchdog is fed only while the app's main loop shows that it lives. A trial that is not confirmed
 * in time ends in a reset; so does one whose program ends in any way. Resets of a confirmed image that
 * nobody asked for are counted, and too many bring back the image before it (docs/ota.md).
 *
 * All of this only where U-Boot booted the image from a slot; otherwise a running watchdog is fed as in
 * every image.
 */
#ifndef PITH_HEALTH_H
#define PITH_HEALTH_H

#include <stdbool.h>

#define HEALTH_START_MS 60000u /* after boot, until the main loop first shows that it lives */
#define HEALTH_ALIVE_MS 15000u /* then the longest that it may be silent */

/* The main loop is alive: call it at least every few seconds. Any thread; costs a store. */
void health_alive(void);

/*
 * Whether the network is up, as the app defines it: asked when a trial ends unconfirmed, since an image
 * that failed only for lack of a network is not a bad one. NULL, the default: the app needs none.
 */
void health_network(bool (*is_up)(void));

#endif
