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
#include <stddef.h>
#include <pith/compiler.h>
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

/* Ability bits of BMSR, from AN_10 on in another order. */
#define BMSR_10       0x0800
#define BMSR_10_FULL  0x1000
#define BMSR_100      0x2000
#define BMSR_100_FULL 0x4000

#define ADDRESSES 32

/* What a model needs beyond clause 22. */
struct phy_model {
	uint32_t id, id_mask;
	int (*set_delays)(struct phy *phy, bool rx_delay, bool tx_delay);
	/* Speed and duplex as they are, which need not be the best that both offer. 0 or negative. */
	int (*read_mode)(struct phy *phy);
};

static int get(struct phy *phy, unsigned int reg)
{
	return phy->bus->read(phy->bus, phy->address, reg);
}

static int put(struct phy *phy, unsigned int reg, int value)
{
	return phy->bus->write(phy->bus, phy->address, reg, (uint16_t)value);
}

/* Write unless it holds value already. Returns 1 if it was written. */
static int change(struct phy *phy, unsigned int reg, int value)
{
	int r = get(phy, reg);

	if (r < 0 || r == value)
		return MIN(r, 0);
	r = put(phy, reg, value);
	return r < 0 ? r : 1;
}

/* --- BCM54210E, BCM54213PE --------------------------------------------------------------------- */

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

/* Read, through a window that has been turned to it. */
static int get_windowed(struct phy *phy, unsigned int window, int number)
{
	int r = put(phy, window, number);

	return r < 0 ? r : get(phy, window);
}

static int bcm54210_set_delays(struct phy *phy, bool rx_delay, bool tx_delay)
{
	int r = get_windowed(phy, BCM_AUXCTL, BCM_AUXCTL_MISC);

	if (r < 0)
		return r;
	r = rx_delay ? r | BCM_MISC_RX_DELAY : r & ~BCM_MISC_RX_DELAY;
	r = put(phy, BCM_AUXCTL, r | BCM_MISC_WRITE | BCM_MISC_NUMBER);
	if (r < 0)
		return r;
	r = get_windowed(phy, BCM_SHADOW, BCM_SHADOW_CLOCK);
	if (r < 0)
		return r;
	r = tx_delay ? r | BCM_CLOCK_TX_DELAY : r & ~BCM_CLOCK_TX_DELAY;
	return put(phy, BCM_SHADOW, BCM_SHADOW_WRITE | BCM_SHADOW_CLOCK | (r & BCM_SHADOW_DATA));
}

/* These go below what both sides offer when the cable has two pairs only. */
static int bcm54210_read_mode(struct phy *phy)
{
	static const uint16_t speeds[8] = {0, 10, 10, 100, 0, 100, 1000, 1000};
	int r = get(phy, BCM_AUXSTAT), mode;

	if (r < 0)
		return r;
	mode = r >> BCM_AUXSTAT_MODE & 7;
	phy->speed_mbps = speeds[mode];
	phy->full_duplex = mode == 2 || mode == 5 || mode == 7;
	return 0;
}

static const struct phy_model models[] = {
    {0x600d84a0, 0xfffffff0, bcm54210_set_delays, bcm54210_read_mode},
};

/* --- Any --------------------------------------------------------------------------------------- */

static int read_id(struct phy *phy)
{
	int high = get(phy, PHYID1), low = high < 0 ? high : get(phy, PHYID2);

	if (low < 0)
		return low;
	phy->id = (uint32_t)high << 16 | (uint32_t)low;
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
	uint32_t handle, address;
	int r;

	*phy = (struct phy){.bus = bus};
	if (dt_u32(mac, "phy-handle", 0, &handle) < 0) {
		r = search(phy);
	} else {
		if (dt_u32(dt_by_phandle(handle), "reg", 0, &address) < 0 || address >= ADDRESSES)
			return -EINVAL;
		phy->address = address;
		r = read_id(phy);
	}
	for (unsigned int i = 0; i < ARRAY_LEN(models); i++) {
		if ((phy->id & models[i].id_mask) == models[i].id)
			phy->model = &models[i];
	}
	return r;
}

/* Offer what the PHY can. Returns 1 if that is news to it. */
static int advertise(struct phy *phy)
{
	int status = get(phy, BMSR), extended = 0, r, changed;

	if (status >= 0 && (status & BMSR_EXTENDED))
		extended = get(phy, ESR);
	if (status < 0 || extended < 0)
		return MIN(status, extended);
	changed =
	    change(phy, ANAR,
	           AN_8023 | AN_PAUSE | (status & BMSR_10 ? AN_10 : 0) |
	               (status & BMSR_10_FULL ? AN_10_FULL : 0) | (status & BMSR_100 ? AN_100 : 0) |
	               (status & BMSR_100_FULL ? AN_100_FULL : 0));
	phy->gigabit = extended & ESR_1000_FULL;
	if (changed < 0 || !(status & BMSR_EXTENDED))
		return changed;
	r = change(phy, GBCR, phy->gigabit ? GBCR_FULL : 0);
	return r < 0 ? r : changed | r;
}

int phy_start(struct phy *phy, bool rx_delay, bool tx_delay)
{
	int r = phy->model ? phy->model->set_delays(phy, rx_delay, tx_delay) : 0;
	int control = r < 0 ? r : get(phy, BMCR), news;

	if (control < 0)
		return control;
	news = advertise(phy);
	if (news < 0)
		return news;
	if (news == 0 && (control & BMCR_ANENABLE) && !(control & (BMCR_POWERDOWN | BMCR_ISOLATE)))
		return 0;
	return put(phy, BMCR, BMCR_ANENABLE | BMCR_ANRESTART);
}

/* Did both sides offer 1000 Mbit/s, and agree on a master? 1, 0 or negative. */
static int gigabit_agreed(struct phy *phy)
{
	int partner = phy->gigabit ? get(phy, GBSR) : 0;

	if (partner < 0)
		return partner;
	return (partner & GBSR_FULL) && !(partner & GBSR_FAULT);
}

/* The best that both sides offer: 28B.3. Of 1000 Mbit/s only what we offer, full duplex. */
static int best_common(struct phy *phy, int common)
{
	int gigabit = gigabit_agreed(phy);

	phy->speed_mbps = gigabit > 0                       ? 1000
	                  : common & (AN_100 | AN_100_FULL) ? 100
	                  : common & (AN_10 | AN_10_FULL)   ? 10
	                                                    : 0;
	phy->full_duplex = gigabit > 0 || (common & AN_100_FULL) ||
	                   (phy->speed_mbps == 10 && (common & AN_10_FULL));
	return MIN(gigabit, 0);
}

static int read_mode(struct phy *phy)
{
	int ours = get(phy, ANAR), theirs = ours < 0 ? ours : get(phy, ANLPAR), r;

	if (theirs < 0)
		return theirs;
	r = phy->model ? phy->model->read_mode(phy) : best_common(phy, ours & theirs);
	if (r < 0)
		return r;
	phy->pause = phy->full_duplex && (ours & theirs & AN_PAUSE);
	return 0;
}

int phy_poll(struct phy *phy)
{
	int status = get(phy, BMSR);
	bool up;

	/* A loss that we know of hides what is now. */
	if (status >= 0 && !(status & BMSR_LINK) && !phy->link_up)
		status = get(phy, BMSR);
	if (status < 0)
		return status;
	up = (status & BMSR_LINK) && (status & BMSR_ANDONE);
	if (up && !phy->link_up) {
		int r = read_mode(phy);

		if (r < 0)
			return r;
		up = phy->speed_mbps != 0;
	}
	if (up == phy->link_up)
		return 0;
	phy->link_up = up;
	return 1;
}
