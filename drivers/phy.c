/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ethernet PHYs (phy.h).
 *
 * Source: IEEE Std 802.3, clause 22.2.4 (registers 0 to 15), 28.2 (autonegotiation), 40.5
 * (1000BASE-T's registers 9 and 10). The BCM54210 family has no public manual: what is here of it is
 * what Linux (drivers/net/phy/broadcom.c, include/linux/brcmphy.h) and U-Boot
 * (drivers/net/phy/broadcom.c) do.
 */
#include <errno.h>
#include "phy.h"

/* Registers: 802.3, table 22-6. */
#define BMCR           0
#define BMCR_ANRESTART 0x0200
#define BMCR_ISOLATE   0x0400
#define BMCR_POWERDOWN 0x0800
#define BMCR_ANENABLE  0x1000
#define BMSR           1
#define BMSR_LINK      0x0004 /* once down, it stays so until read: 22.2.4.2.13 */
#define BMSR_ANDONE    0x0020
#define BMSR_EXTENDED  0x0100 /* there is a register 15 */
#define PHYID1         2
#define PHYID2         3
#define ANAR           4      /* what we offer: 28.2.4.1.3 */
#define ANLPAR         5      /* what the other side offers */
#define AN_8023        0x0001 /* selector */
#define AN_10          0x0020
#define AN_10_FULL     0x0040
#define AN_100         0x0080
#define AN_100_FULL    0x0100
#define AN_PAUSE       0x0400
#define GBCR           9 /* the same for 1000BASE-T: 40.5.1.1 */
#define GBCR_FULL      0x0200
#define GBCR_HALF      0x0100
#define GBSR           10
#define GBSR_FULL      0x0800
#define GBSR_FAULT     0x8000 /* master/slave resolution failed: no 1000BASE-T */
#define ESR            15
#define ESR_1000_FULL  0x2000

/* Ability bits of BMSR. */
#define BMSR_10       0x0800
#define BMSR_10_FULL  0x1000
#define BMSR_100      0x2000
#define BMSR_100_FULL 0x4000

#define ADDRESSES 32

/*
 * Registers. After an error there is no other access, all reads as 0, and nothing is written: it is
 * looked for at the end.
 */
static int transfer(struct phy *phy, unsigned int reg, int value)
{
	int r = phy->error ? 0 : phy->bus->transfer(phy->bus, phy->address, reg, value);

	if (r >= 0)
		return r;
	phy->error = r;
	return 0;
}

static int get(struct phy *phy, unsigned int reg)
{
	return transfer(phy, reg, MDIO_BUS_READ);
}

static void put(struct phy *phy, unsigned int reg, int value)
{
	transfer(phy, reg, value);
}

/* Write unless it holds value already. Returns whether it was written. */
static bool change(struct phy *phy, unsigned int reg, int value)
{
	if (get(phy, reg) == value)
		return false;
	put(phy, reg, value);
	return true;
}

/* --- BCM54210E, BCM54213PE --------------------------------------------------------------------- */

#define BCM54210_ID        0x600d84a0u
#define BCM54210_MASK      0xfffffff0u
#define BCM_AUXCTL         0x18   /* a window on several registers, */
#define BCM_AUXCTL_MISC    0x7007 /* of which this one is to be read: number at 14:12 and 2:0 */
#define BCM_MISC_RX_DELAY  0x0100
#define BCM_MISC_WRITE     0x8000
#define BCM_MISC_NUMBER    0x0007
#define BCM_AUXSTAT        0x19
#define BCM_AUXSTAT_MODE   8    /* three bits from here: what was negotiated */
#define BCM_SHADOW         0x1c /* another window: number at 14:10, ten bits of data */
#define BCM_SHADOW_WRITE   0x8000
#define BCM_SHADOW_CLOCK   (3 << 10)
#define BCM_SHADOW_DATA    0x03ff
#define BCM_CLOCK_TX_DELAY 0x0200

static void bcm54210_set_delays(struct phy *phy, bool tx_delay)
{
	int misc, clock;

	put(phy, BCM_AUXCTL, BCM_AUXCTL_MISC);
	misc = get(phy, BCM_AUXCTL);
	put(phy, BCM_AUXCTL, misc | BCM_MISC_RX_DELAY | BCM_MISC_WRITE | BCM_MISC_NUMBER);
	put(phy, BCM_SHADOW, BCM_SHADOW_CLOCK);
	clock = get(phy, BCM_SHADOW) & BCM_SHADOW_DATA & ~BCM_CLOCK_TX_DELAY;
	put(phy, BCM_SHADOW,
	    BCM_SHADOW_WRITE | BCM_SHADOW_CLOCK | clock | (tx_delay ? BCM_CLOCK_TX_DELAY : 0));
}

/* These go below what both sides offer when the cable has two pairs only. */
static void bcm54210_read_mode(struct phy *phy)
{
	static const uint16_t speeds[8] = {0, 10, 10, 100, 0, 100, 1000, 1000};
	int mode = get(phy, BCM_AUXSTAT) >> BCM_AUXSTAT_MODE & 7;

	phy->speed_mbps = speeds[mode];
	phy->full_duplex = mode == 2 || mode == 5 || mode == 7;
}

/* --- Any --------------------------------------------------------------------------------------- */

static int read_id(struct phy *phy)
{
	phy->error = 0;
	phy->id = (uint32_t)get(phy, PHYID1) << 16;
	phy->id |= (uint32_t)get(phy, PHYID2);
	if (phy->error)
		return phy->error;
	/* Where nobody drives the line, a pull-up reads as ones: 22.2.4.5. */
	return phy->id == 0 || phy->id == UINT32_MAX ? -EIO : 0;
}

static int search(struct phy *phy)
{
	int r = -EIO;

	for (phy->address = 0; phy->address < ADDRESSES; phy->address++) {
		r = read_id(phy);
		if (r != -EIO)
			break;
	}
	return r;
}

int phy_find(struct phy *phy, struct mdio_bus *bus, dt_node mac)
{
	int64_t handle = dt_u32(mac, "phy-handle", 0), address;
	int r;

	*phy = (struct phy){.bus = bus};
	if (handle < 0) {
		r = search(phy);
	} else {
		address = dt_u32(dt_by_phandle((uint32_t)handle), "reg", 0);
		if (address < 0 || address >= ADDRESSES)
			return -EINVAL;
		phy->address = (unsigned int)address;
		r = read_id(phy);
	}
	phy->bcm54210 = (phy->id & BCM54210_MASK) == BCM54210_ID;
	return r;
}

/* Offer what the PHY can. Returns whether that is news to it. */
static bool advertise(struct phy *phy)
{
	int status = get(phy, BMSR), extended = status & BMSR_EXTENDED;
	bool changed;

	phy->gigabit = extended && (get(phy, ESR) & ESR_1000_FULL);
	changed =
	    change(phy, ANAR,
	           AN_8023 | AN_PAUSE | (status & BMSR_10 ? AN_10 : 0) |
	               (status & BMSR_10_FULL ? AN_10_FULL : 0) | (status & BMSR_100 ? AN_100 : 0) |
	               (status & BMSR_100_FULL ? AN_100_FULL : 0));
	return (extended && change(phy, GBCR, phy->gigabit ? GBCR_FULL : 0)) || changed;
}

int phy_start(struct phy *phy, bool tx_delay)
{
	int control;

	phy->error = 0;
	if (phy->bcm54210)
		bcm54210_set_delays(phy, tx_delay);
	control = get(phy, BMCR) & (BMCR_ANENABLE | BMCR_POWERDOWN | BMCR_ISOLATE);
	if (advertise(phy) || control != BMCR_ANENABLE)
		put(phy, BMCR, BMCR_ANENABLE | BMCR_ANRESTART);
	return phy->error;
}

/* The best that both sides offer: 28B.3. Of 1000 Mbit/s only what we offer, full duplex. */
static void best_common(struct phy *phy, int common)
{
	bool gigabit = phy->gigabit && (get(phy, GBSR) & (GBSR_FULL | GBSR_FAULT)) == GBSR_FULL;

	phy->speed_mbps = gigabit                           ? 1000
	                  : common & (AN_100 | AN_100_FULL) ? 100
	                  : common & (AN_10 | AN_10_FULL)   ? 10
	                                                    : 0;
	phy->full_duplex =
	    gigabit || (common & AN_100_FULL) || (phy->speed_mbps == 10 && (common & AN_10_FULL));
}

static void read_mode(struct phy *phy)
{
	int common = get(phy, ANAR);

	common &= get(phy, ANLPAR);
	if (phy->bcm54210)
		bcm54210_read_mode(phy);
	else
		best_common(phy, common);
	phy->pause = phy->full_duplex && (common & AN_PAUSE);
}

int phy_poll(struct phy *phy)
{
	int status;
	bool up;

	phy->error = 0;
	status = get(phy, BMSR);
	/* A loss that we know of hides what is now. */
	if (!(status & BMSR_LINK) && !phy->link_up)
		status = get(phy, BMSR);
	up = (status & BMSR_LINK) && (status & BMSR_ANDONE);
	if (up && !phy->link_up) {
		read_mode(phy);
		up = phy->speed_mbps != 0;
	}
	if (phy->error)
		return phy->error;
	if (up == phy->link_up)
		return 0;
	phy->link_up = up;
	return 1;
}
