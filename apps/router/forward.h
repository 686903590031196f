/* SPDX-License-Identifier: Apache-2.0 */
/* The router's devices: frames from one to the other, past the stack. */
#ifndef ROUTER_FORWARD_H
#define ROUTER_FORWARD_H

#include <stdbool.h>
#include <stdint.h>
#include "router.h"

/* An interface as configured; network byte order. */
struct forward_port {
	char device[8];
	bool dhcp;
	uint32_t address, mask, gateway;
};

/*
 * Give the interfaces their addresses and forward between them from now on, as r says. r belongs to
 * the network thread then: read it under net_lock() only.
 *
 * Returns  0; -ENODEV there is no such device: complaint says which
 */
int forward_start(struct router *r, const struct forward_port ports[SIDES], const char **complaint);

#endif
