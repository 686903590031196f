/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ethernet PHYs behind an MDIO bus: set up, autonegotiation, what came of it. Private to drivers/.
 *
 * Any PHY with the registers of clause 22 works as its straps left it; those of the BCM54210 family
 * also have their RGMII delays set. A link that is up and as we want it is left alone.
 *
 * None of this has a lock: the MAC's driver serializes.
 *
 * Source: IEEE Std 802.3, clauses 22, 28 and 40.
 */
#ifndef PHY_H
#define PHY_H

#include <stdbool.h>
#include <stdint.h>
#include <pith/dt.h>

struct mdio_bus {
	/*
	 * Write value, 0 to 0xffff, to a register, or read it.
	 * Returns 0, or what was read; -EIO nobody answered; -ETIMEDOUT the bus is stuck
	 */
	int (*transfer)(struct mdio_bus *bus, unsigned int address, unsigned int reg, int value);
};
#define MDIO_BUS_READ (-1) /* instead of a value */

struct phy {
	struct mdio_bus *bus;
	unsigned int address;
	uint32_t id;
	int error;     /* the first since phy.c was called */
	bool bcm54210; /* one of that family */
	bool gigabit;  /* it can do 1000 Mbit/s */
	/* What phy_poll found. */
	bool link_up;
	bool full_duplex, pause; /* valid while the link is up, as is: */
	unsigned int speed_mbps; /* 10, 100, 1000 */
};

/*
 * Find the PHY of a MAC: the one that its phy-handle names, else the first that answers.
 * Returns 0; -EINVAL the tree names none that can be; -EIO nobody there; -ETIMEDOUT
 */
int phy_find(struct phy *phy, struct mdio_bus *bus, dt_node mac);

/*
 * Wake it up and have it negotiate all that it can, but half duplex at 1000 Mbit/s.
 *
 * tx_delay  whether the PHY shifts RGMII's transmit clock, as it does the receive clock
 * Returns   0, -EIO, -ETIMEDOUT
 */
int phy_start(struct phy *phy, bool tx_delay);

/*
 * Look at the link. A short loss since the last look counts as down until the next.
 * Returns 1 it has changed; 0; -EIO, -ETIMEDOUT (and nothing has changed)
 */
int phy_poll(struct phy *phy);

#endif
