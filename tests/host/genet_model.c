/* SPDX-License-Identifier: Apache-2.0 */
/* A GENET v5 controller for host tests (genet_model.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <arch/cache.h>
#include <pith/compiler.h>
#include <pith/io.h>
#include <pith/time.h>
#include "genet_model.h"

struct genet_model model;
uint64_t model_now_ns;
uint8_t model_regs[0x10000];
_Alignas(4096) uint8_t model_ram[MODEL_RAM_BYTES];
static uint8_t memory[MODEL_RAM_BYTES]; /* at the point of coherency */

/* --- Memory ------------------------------------------------------------------------------------ */

static uint8_t *seen_by_controller(uint64_t bus_address, size_t bytes)
{
	uint64_t at = bus_address - MODEL_BUS_BASE;

	assert_true(at < MODEL_RAM_BYTES && bytes <= MODEL_RAM_BYTES - at);
	return (model.coherent ? model_ram : memory) + at;
}

void model_dcache(int op, const void *start, size_t bytes)
{
	size_t first = (size_t)((const uint8_t *)start - model_ram), end = first + bytes;

	assert_false(model.coherent); /* a coherent bus is spared */
	assert_true(first < MODEL_RAM_BYTES && end <= MODEL_RAM_BYTES);
	if (bytes == 0)
		return;
	first = ALIGN_DOWN(first, (size_t)MODEL_LINE);
	end = ALIGN_UP(end, (size_t)MODEL_LINE);
	if (op & MODEL_CLEAN)
		memcpy(memory + first, model_ram + first, end - first);
	else
		memcpy(model_ram + first, memory + first, end - first);
}

/* A line that the CPU wrote could be evicted over what the controller is about to write. */
static void check_no_dirty_lines(uint64_t bus_address, size_t bytes)
{
	uint64_t at = ALIGN_DOWN(bus_address - MODEL_BUS_BASE, UINT64_C(64));

	if (!model.coherent)
		assert_memory_equal(model_ram + at, memory + at, bytes);
}

/* --- Registers that are more than memory ------------------------------------------------------- */

static uint32_t reg[0x10000 / 4];
#define REG(offset) reg[(offset) / 4]

#define REV           0x0000
#define INTRL2_0      0x0200
#define INTRL2_1      0x0240
#define UMAC_CMD      0x0808
#define MDIO_CMD      0x0e14
#define RDMA          0x2000
#define TDMA          0x4000
#define RING16        (256 * 12 + 16 * 0x40)
#define CONTROL       (256 * 12 + 17 * 0x40)
#define HW_PTR        (RING16 + 0x00)
#define HW_INDEX      (RING16 + 0x08)
#define SW_INDEX      (RING16 + 0x0c)
#define BUF_SIZE      (RING16 + 0x10)
#define RING_START    (RING16 + 0x14)
#define RING_END      (RING16 + 0x1c)
#define DONE_THRESH   (RING16 + 0x24)
#define FLOW          (RING16 + 0x28)
#define SW_PTR        (RING16 + 0x2c)
#define RING_CFG      (CONTROL + 0x00)
#define DMA_CTRL      (CONTROL + 0x04)
#define DMA_STATUS    (CONTROL + 0x08)
#define BURST         (CONTROL + 0x0c)
#define CTRL_ON       (1u << 17 | 1u)
#define STAT          0x00
#define CLEAR         0x08
#define MASK          0x0c
#define MASK_SET      0x10
#define MASK_CLEAR    0x14
#define IRQ_RX        (1u << 13)
#define IRQ_TX        (1u << 16)
#define IRQ_LINK_UP   (1u << 4)
#define IRQ_LINK_DOWN (1u << 5)

/* The rest that the driver may use, all plain. */
static const uint16_t plain[] = {
    0x0004, 0x0008, 0x008c, 0x0300, 0x0314, 0x03b4, 0x0600,
    0x080c, 0x0810, 0x0814, 0x0b34, 0x0d80, 0x0e18, 0x0e50,
};

static bool running(unsigned int block)
{
	return (REG(block + DMA_CTRL) & CTRL_ON) == CTRL_ON && (REG(block + RING_CFG) & 1u << 16);
}

static unsigned int ring_size(unsigned int block)
{
	return REG(block + BUF_SIZE) >> 16;
}

/* --- MDIO and the PHY -------------------------------------------------------------------------- */

static struct {
	uint16_t reg[32];
	bool link, lost; /* lost: since BMSR was read last */
	uint64_t busy_until_ns;
	uint16_t aux_number, shadow_number;
	uint16_t misc, clock; /* behind the windows */
} phy;

static uint16_t phy_read(unsigned int r)
{
	switch (r) {
	case 1: {
		uint16_t status = 0x7800 | 0x0008 | (model.phy_extended ? 0x0100 : 0);

		if (phy.link && !(phy.reg[0] & 0x0c00))
			status |= 0x0020 | (phy.lost ? 0 : 0x0004);
		phy.lost = false;
		return status;
	}
	case 2:
		return (uint16_t)(model.phy_id >> 16);
	case 3:
		return (uint16_t)model.phy_id;
	case 5:
		return model.partner;
	case 10:
		return model.phy_extended ? model.partner_1000 : 0xffff;
	case 15:
		return model.phy_extended ? 0x3000 : 0xffff;
	}
	if (model.phy_id != MODEL_BCM54213PE)
		return phy.reg[r];
	switch (r) {
	case 0x18:
		return phy.aux_number == 7 ? phy.misc | 7 : 0;
	case 0x19:
		return (uint16_t)(model.phy_mode << 8);
	case 0x1c:
		return phy.shadow_number == 3 ? (uint16_t)(3 << 10 | phy.clock) : 0;
	}
	return phy.reg[r];
}

static void phy_write_bcm(unsigned int r, uint16_t value)
{
	if (r == 0x18 && (value & 7) == 7) {
		if (value & 0x8000)
			model.rx_delay_register = phy.misc = value & 0x0ff8;
		else
			phy.aux_number = value >> 12 & 7;
	} else if (r == 0x1c) {
		phy.shadow_number = value >> 10 & 31;
		if ((value & 0x8000) && phy.shadow_number == 3)
			model.tx_delay_register = phy.clock = value & 0x3ff;
	} else {
		fail_msg("the PHY has no register %#x to write", r);
	}
}

static void phy_write(unsigned int r, uint16_t value)
{
	if (r == 0) {
		assert_false(value & 0x8000);
		model.negotiations += (value & 0x1200) == 0x1200;
		if (value & 0x0200) {
			phy.lost = phy.link;
			value &= 0xfdff;
		}
	} else if (r == 0x18 || r == 0x1c) {
		assert_int_equal(model.phy_id, MODEL_BCM54213PE); /* others may burn */
		phy_write_bcm(r, value);
		return;
	} else {
		assert_true(r == 4 || (r == 9 && model.phy_extended));
	}
	phy.reg[r] = value;
}

void model_link(bool up)
{
	if (up != phy.link)
		REG(INTRL2_0 + STAT) |= up ? IRQ_LINK_UP : IRQ_LINK_DOWN;
	phy.lost |= !up;
	phy.link = up;
}

static void mdio_start(uint32_t command)
{
	unsigned int address = command >> 21 & 31, r = command >> 16 & 31;
	unsigned int op = command >> 26 & 3;

	model.mdio_transactions++;
	phy.busy_until_ns = model_now_ns + 26 * NS_PER_US;
	REG(MDIO_CMD) = command & ~(1u << 28);
	assert_true(op == 1 || op == 2);
	if (address != model.phy_address) {
		REG(MDIO_CMD) |= op == 2 ? 1u << 28 | 0xffff : 0;
	} else if (op == 2) {
		REG(MDIO_CMD) = (REG(MDIO_CMD) & ~0xffffu) | phy_read(r);
	} else {
		phy_write(r, (uint16_t)command);
	}
}

static uint32_t mdio_read(void)
{
	if (!model.mdio_stuck && model_now_ns >= phy.busy_until_ns)
		REG(MDIO_CMD) &= ~(1u << 29);
	return REG(MDIO_CMD);
}

static void mdio_write(uint32_t value)
{
	assert_true(!(mdio_read() & 1u << 29) || model.mdio_stuck);
	REG(MDIO_CMD) = value;
	if ((value & 1u << 29) && !model.mdio_stuck)
		mdio_start(value);
}

/* --- DMA registers ----------------------------------------------------------------------------- */

static void dma_control(unsigned int block, uint32_t value)
{
	bool was = running(block);

	REG(block + DMA_CTRL) = value;
	if (running(block) && !was) {
		unsigned int size = ring_size(block);

		assert_int_equal(value, CTRL_ON);
		assert_true(size != 0 && size <= 256 && (size & (size - 1)) == 0);
		assert_int_equal(REG(block + RING_START), 0);
		assert_int_equal(REG(block + RING_END), size * 3 - 1);
		/* Pointer and index agree, whichever of them the controller goes by. */
		assert_int_equal(REG(block + HW_PTR), (REG(block + HW_INDEX) & 0xffff) % size * 3);
		assert_int_equal(REG(block + BUF_SIZE) & 0xffff, 2048);
		assert_int_equal(REG(block + DONE_THRESH), 1);
		assert_int_equal(REG(block + BURST), 8);
		if (block == TDMA)
			assert_int_equal(REG(TDMA + SW_INDEX), REG(TDMA + HW_INDEX));
		assert_int_equal(REG(0x0300) & 3, 2); /* no status block, two bytes of padding */
		assert_int_equal(REG(0x0600) & 1, 0);
	}
	REG(block + DMA_STATUS) = (value & 1) || model.dma_never_stops ? 0 : 1;
}

static void receive_index(uint32_t value)
{
	uint16_t free = (uint16_t)(value + ring_size(RDMA) - REG(RDMA + HW_INDEX));

	assert_true(value <= 0xffff && free <= ring_size(RDMA));
	REG(RDMA + SW_INDEX) = value;
}

static void transmit_index(uint32_t value)
{
	uint16_t waiting = (uint16_t)(value - REG(TDMA + HW_INDEX));

	assert_true(value <= 0xffff && waiting <= ring_size(TDMA));
	REG(TDMA + SW_INDEX) = value;
}

static bool dma_write(unsigned int block, unsigned int offset, uint32_t value)
{
	if (offset < 256 * 12) {
		REG(block + offset) = value;
		return true;
	}
	switch (offset) {
	case SW_INDEX:
		if (block == RDMA)
			receive_index(value);
		else
			transmit_index(value);
		return true;
	case DMA_CTRL:
		dma_control(block, value);
		return true;
	case HW_PTR:
	case BUF_SIZE:
	case RING_START:
	case RING_END:
	case DONE_THRESH:
	case FLOW:
	case SW_PTR:
	case RING_CFG:
	case BURST:
		assert_false(REG(block + DMA_CTRL) & 1);
		REG(block + offset) = value;
		return true;
	default:
		return false; /* HW_INDEX too: it cannot be set */
	}
}

static bool interrupt_write(unsigned int block, unsigned int offset, uint32_t value)
{
	switch (offset) {
	case CLEAR:
		REG(block + STAT) &= ~value;
		return true;
	case MASK_SET:
		REG(block + MASK) |= value;
		return true;
	case MASK_CLEAR:
		REG(block + MASK) &= ~value;
		return true;
	default:
		return false;
	}
}

static void umac_command(uint32_t value)
{
	REG(UMAC_CMD) = value;
	if (!(value & 1u << 13))
		return;
	assert_true(value & 1u << 15); /* without a clock it would not come out of it */
	model.mac_resets++;
	REG(0x080c) = REG(0x0810) = 0;
}

static bool is_plain(unsigned int offset)
{
	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		if (plain[i] == offset)
			return true;
	}
	return false;
}

static bool is_dma(unsigned int offset, unsigned int block)
{
	return offset >= block && offset < block + CONTROL + 0x10;
}

void model_write(volatile void *addr, unsigned int bytes, uint64_t value)
{
	unsigned int offset = (unsigned int)((volatile uint8_t *)addr - model_regs);
	uint32_t v = (uint32_t)value;
	bool known = true;

	assert_int_equal(bytes, 4);
	assert_true(!model.absent && offset < sizeof(model_regs) && offset % 4 == 0);
	if (is_dma(offset, RDMA))
		known = dma_write(RDMA, offset - RDMA, v);
	else if (is_dma(offset, TDMA))
		known = dma_write(TDMA, offset - TDMA, v);
	else if (offset >= INTRL2_0 && offset < INTRL2_1 + 0x40)
		known = interrupt_write(offset & ~0x3fu, offset & 0x3f, v);
	else if (offset == UMAC_CMD)
		umac_command(v);
	else if (offset == MDIO_CMD)
		mdio_write(v);
	else if (is_plain(offset))
		REG(offset) = v;
	else
		known = false;
	if (!known)
		fail_msg("write of %#x to register %#x", v, offset);
}

uint64_t model_read(const volatile void *addr, unsigned int bytes)
{
	unsigned int offset = (unsigned int)((const volatile uint8_t *)addr - model_regs);

	assert_int_equal(bytes, 4);
	assert_true(!model.absent && offset < sizeof(model_regs) && offset % 4 == 0);
	if (offset == REV)
		return model.revision;
	if (offset == MDIO_CMD)
		return mdio_read();
	return REG(offset);
}

int64_t io_probe_read32(const volatile void *r)
{
	return model.absent ? -ENXIO : (int64_t)read32(r);
}

uint32_t model_peek(unsigned int offset)
{
	return REG(offset);
}

void model_poke(unsigned int offset, uint32_t value)
{
	REG(offset) = value;
}

bool model_line(void)
{
	return (REG(INTRL2_0 + STAT) & ~REG(INTRL2_0 + MASK)) != 0;
}

/* --- Frames ------------------------------------------------------------------------------------ */

/* The descriptor that the controller is at, and past it. */
static unsigned int next_descriptor(unsigned int block)
{
	unsigned int at = REG(block + HW_PTR);
	uint32_t index = REG(block + HW_INDEX);

	assert_int_equal(at, (index & 0xffff) % ring_size(block) * 3);
	REG(block + HW_PTR) = at + 3 > REG(block + RING_END) ? REG(block + RING_START) : at + 3;
	REG(block + HW_INDEX) = (index & 0xffff0000) | ((index + 1) & 0xffff);
	return block + at * 4;
}

static uint64_t address_of(unsigned int descriptor)
{
	return (uint64_t)REG(descriptor + 8) << 32 | REG(descriptor + 4);
}

static void discard(void)
{
	uint32_t index = REG(RDMA + HW_INDEX);

	model.rx_discarded++;
	if (index >> 16 != 0xffff)
		REG(RDMA + HW_INDEX) = index + 0x10000;
}

bool model_receive_status(const uint8_t *frame, size_t bytes, uint32_t status)
{
	uint16_t free = (uint16_t)(REG(RDMA + SW_INDEX) + ring_size(RDMA) - REG(RDMA + HW_INDEX));
	unsigned int descriptor;
	uint8_t *to;

	if (!(REG(UMAC_CMD) & 2) || !(REG(0x008c) & 1u << 4) || !running(RDMA) || !phy.link)
		return false;
	if (!(REG(UMAC_CMD) & 1u << 4) && (frame[0] & 1))
		return false; /* no filter is set for a group */
	if (free == 0) {
		discard();
		return false;
	}
	descriptor = next_descriptor(RDMA);
	bytes = MIN(bytes, 2048 - 2);
	check_no_dirty_lines(address_of(descriptor), 2048);
	to = seen_by_controller(address_of(descriptor), 2048);
	assert_int_equal(address_of(descriptor) % MODEL_LINE, 0);
	memset(to, 0xee, 2);
	memcpy(to + 2, frame, bytes);
	REG(descriptor) = (uint32_t)(bytes + 2) << 16 | status;
	REG(INTRL2_0 + STAT) |= IRQ_RX;
	return true;
}

bool model_receive(const uint8_t *frame, size_t bytes)
{
	return model_receive_status(frame, bytes,
	                            MODEL_RX_WHOLE | (bytes + 4 > REG(0x0814) ? MODEL_RX_LONG : 0));
}

size_t model_transmit(uint8_t *frame, size_t room)
{
	size_t bytes = 0;
	bool first = true;

	if (!running(TDMA) || model.tx_stuck || !(REG(UMAC_CMD) & 1) || !phy.link)
		return 0;
	while (REG(TDMA + HW_INDEX) != REG(TDMA + SW_INDEX)) {
		unsigned int descriptor = next_descriptor(TDMA);
		uint32_t status = REG(descriptor);
		size_t piece = status >> 16;

		assert_int_equal(status & 0x1fff, 0x3f << 7 | 0x40);
		assert_int_equal(!!(status & 0x2000), first);
		assert_true(piece != 0 && piece <= 0xfff && bytes + piece <= room);
		memcpy(frame + bytes, seen_by_controller(address_of(descriptor), piece), piece);
		bytes += piece;
		first = false;
		if (status & 0x4000) {
			REG(INTRL2_0 + STAT) |= IRQ_TX;
			return bytes;
		}
	}
	assert_true(first); /* a frame does not stop in the middle */
	return 0;
}

/* --- Power on ---------------------------------------------------------------------------------- */

void model_begin(void)
{
	model = (struct genet_model){
	    .revision = 0x06000000,
	    .phy_id = MODEL_BCM54213PE,
	    .phy_address = 1,
	    .phy_extended = true,
	    .partner = 0x45e1,
	    .partner_1000 = 0x3c00,
	    .phy_mode = 7,
	};
	memset(reg, 0, sizeof(reg));
	memset(&phy, 0, sizeof(phy));
	phy.reg[0] = 0x1140;
	phy.reg[4] = 0x01e1;
	phy.reg[9] = 0x0300;
	REG(RDMA + DMA_STATUS) = REG(TDMA + DMA_STATUS) = 1;
	/* What a boot loader that used it may have left. */
	REG(0x0300) = 3;
	REG(0x0600) = 1;
	REG(0x008c) = 1u << 5;
	memset(memory, 0xa5, sizeof(memory));
	memset(model_ram, 0x5a, sizeof(model_ram));
}
