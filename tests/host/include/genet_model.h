/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A GENET v5 Ethernet controller with a PHY on its MDIO bus, at register level, and a memory that
 * is not coherent with the CPU: for tests of drivers/genet.c, which runs on it unmodified.
 *
 * Written from the register facts that Linux and U-Boot have (drivers/net/ethernet/broadcom/genet,
 * drivers/net/bcmgenet.c), not from the driver. It fails the test when the driver touches a
 * register that it does not know, sets up a ring that runs, or gives the controller a descriptor or
 * an address that makes no sense. Where nobody knows what the hardware does, it does the worse.
 *
 * Memory: what the CPU has is its cache; the controller sees another array, and lines pass between
 * the two only by cache maintenance (model_dcache) unless model.coherent.
 */
#ifndef GENET_MODEL_H
#define GENET_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <pith/irq.h>

#define MODEL_RAM_BYTES (12u << 20)
#define MODEL_BUS_BASE  UINT64_C(0x4c0000000) /* where the bus has RAM */
#define MODEL_LINE      64

/* Registers that tests look at, or have lie. */
#define MODEL_PORT_CTRL 0x0004
#define MODEL_RGMII     0x008c
#define MODEL_UMAC_CMD  0x0808
#define MODEL_MAC0      0x080c
#define MODEL_MAC1      0x0810
#define MODEL_MDIO_CFG  0x0e18
#define MODEL_RX_INDEX  0x3008 /* the controller's, in ring 16 */
#define MODEL_RX_PTR    0x3000
#define MODEL_RX_CONS   0x300c
#define MODEL_RX_CTRL   0x3044
#define MODEL_RX_STATUS 0x3048
#define MODEL_TX_INDEX  0x5008
#define MODEL_TX_PTR    0x5000
#define MODEL_TX_CTRL   0x5044
#define MODEL_TX_STATUS 0x5048

/* Receive status: an error each. */
#define MODEL_RX_OVERRUN 0x01u
#define MODEL_RX_CRC     0x02u
#define MODEL_RX_ERROR   0x04u
#define MODEL_RX_NIBBLE  0x08u
#define MODEL_RX_LONG    0x10u
#define MODEL_RX_WHOLE   0x6000u /* SOP and EOP */

#define MODEL_BCM54213PE 0x600d84a2u
#define MODEL_OTHER_PHY  0x01410dd1u

struct genet_model {
	/* How it is; set before the probe or at any time. */
	bool absent, coherent;
	uint32_t revision;
	bool tx_stuck;        /* takes frames, sends none */
	bool dma_never_stops; /* DMA_STATUS never says that it is disabled */
	bool mdio_stuck;      /* START_BUSY never goes */

	/* The PHY. */
	uint32_t phy_id;
	unsigned int phy_address;       /* 32: there is none */
	bool phy_extended;              /* has 1000BASE-T */
	uint16_t partner, partner_1000; /* what the other side offers: registers 5 and 10 */
	uint16_t phy_mode;              /* AUXSTAT 10:8 */
	unsigned int negotiations;      /* that were started */
	uint16_t rx_delay_register, tx_delay_register;

	/* What happened. */
	unsigned int mdio_transactions;
	unsigned int rx_discarded;
	unsigned int mac_resets;
};
extern struct genet_model model;

/* What time_now_ns says; moves a microsecond a call. */
extern uint64_t model_now_ns;
/* The registers' place, for io_map. */
extern uint8_t model_regs[0x10000];
extern uint8_t model_ram[MODEL_RAM_BYTES];

/* Power on. */
void model_begin(void);

uint32_t model_peek(unsigned int offset);
void model_poke(unsigned int offset, uint32_t value);

/* The link, as the PHY sees it from now on. Loss is latched. */
void model_link(bool up);

/*
 * A frame comes in, without CRC; status: MODEL_RX_*. Returns whether it got a buffer.
 */
bool model_receive_status(const uint8_t *frame, size_t bytes, uint32_t status);
bool model_receive(const uint8_t *frame, size_t bytes);
/* The next frame goes out: its bytes, 0: none. */
size_t model_transmit(uint8_t *frame, size_t room);

/* Is the interrupt line up? */
bool model_line(void);

#endif
