/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mailbox to a Raspberry Pi's firmware: property calls, and the clocks whose rates it knows.
 *
 * A call is a message in memory; its bus address goes into one mailbox and comes back from the other
 * when the firmware has answered in place. Polled: an answer takes some 100 us, and the first is
 * wanted before there is a console.
 *
 * Source: github.com/raspberrypi/firmware, wiki "Mailboxes", "Accessing mailboxes" and "Mailbox
 * property interface"; bindings: Linux, mailbox/brcm,bcm2835-mbox.txt, clock/brcm,bcm2835-cprman.txt.
 */
#include <errno.h>
#include <string.h>
#include <pith/compiler.h>
#include <pith/dma.h>
#include <pith/driver.h>
#include <pith/firmware.h>
#include <pith/io.h>
#include <pith/page.h>
#include <pith/supply.h>
#include <pith/time.h>

#define MAIL0_READ       0x00 /* RO: from the firmware */
#define MAIL0_STATUS     0x18 /* RO */
#define MAIL1_WRITE      0x20 /* WO: to the firmware */
#define MAIL1_STATUS     0x38 /* RO */
#define MAILBOX_BYTES    0x40
#define STATUS_FULL      (1u << 31)
#define STATUS_EMPTY     (1u << 30)
#define CHANNEL_MASK     0xfu
#define CHANNEL_PROPERTY 8u /* a message's low 4 bits; the rest is the address */

#define LETTERS_MAX 64 /* many times what a mailbox holds: what has more is none */

#define CALL_TIMEOUT_NS (1 * NS_PER_S)

/* A message with one tag. */
struct message {
	uint32_t bytes; /* of the message */
	uint32_t code;  /* 0: a request */
	uint32_t tag;
	uint32_t value_bytes; /* room for values */
	uint32_t answer;      /* bit 31: the tag was answered, with so many bytes */
	uint32_t values[FIRMWARE_VALUES_MAX / 4];
	uint32_t end; /* 0: no more tags */
} __attribute__((aligned(DMA_ALIGN)));
#define CODE_SUCCESS 0x80000000u
#define ANSWERED     0x80000000u

static struct {
	uint8_t *regs;
	struct dma_bus bus;
	struct message message; /* in the image, which every device reaches (kernel/place.c) */
	uint32_t sent;          /* the letter that it has not answered yet, or 0 */
} mailbox;

/* Send the message, which is the firmware's from now on. */
static int send(dma_addr_t address, uint64_t deadline_ns)
{
	int error = io_wait32(mailbox.regs + MAIL1_STATUS, STATUS_FULL, 0, deadline_ns);

	if (error)
		return error;
	mailbox.sent = (uint32_t)address | CHANNEL_PROPERTY;
	write32(mailbox.regs + MAIL1_WRITE, mailbox.sent);
	return 0;
}

/* Until the message comes back; what others wrote to the CPU is dropped. */
static int receive(uint64_t deadline_ns)
{
	while (mailbox.sent) {
		int error = io_wait32(mailbox.regs + MAIL0_STATUS, STATUS_EMPTY, 0, deadline_ns);

		if (error)
			return error;
		if (read32(mailbox.regs + MAIL0_READ) == mailbox.sent) {
			dma_unmap(&mailbox.bus, &mailbox.message, sizeof(mailbox.message),
			          DMA_BOTH);
			mailbox.sent = 0;
		}
	}
	return 0;
}

static int exchange(uint64_t deadline_ns)
{
	dma_addr_t address =
	    dma_map(&mailbox.bus, &mailbox.message, sizeof(mailbox.message), DMA_BOTH);
	int error;

	if (address == DMA_NONE)
		return -ENOMEM;
	error = send(address, deadline_ns);
	if (!error)
		return receive(deadline_ns);
	dma_unmap(&mailbox.bus, &mailbox.message, sizeof(mailbox.message), DMA_BOTH);
	return error;
}

static int mailbox_call(uint32_t tag, void *values, size_t bytes)
{
	uint64_t deadline_ns = time_now_ns() + CALL_TIMEOUT_NS;
	struct message *m = &mailbox.message;
	int error = receive(deadline_ns); /* an answer that came too late may still come */

	if (error)
		return error;
	*m = (struct message){.bytes = sizeof(*m), .tag = tag, .value_bytes = sizeof(m->values)};
	memcpy(m->values, values, bytes);
	error = exchange(deadline_ns);
	if (error)
		return error;
	if (m->code != CODE_SUCCESS)
		return -EIO;
	if (!(m->answer & ANSWERED))
		return -ENOTSUP;
	memcpy(values, m->values, bytes);
	return 0;
}

static int mailbox_probe(const struct device *dev)
{
	int error = dma_bus_init(&mailbox.bus, dev->node, UINT32_MAX);
	if (error)
		return error;
	mailbox.regs = dev->regs;
	for (int letters = 0; !(read32(mailbox.regs + MAIL0_STATUS) & STATUS_EMPTY); letters++) {
		if (letters == LETTERS_MAX)
			return -ENODEV;
		read32(mailbox.regs + MAIL0_READ);
	}
	firmware_register(mailbox_call);
	return 0;
}

DRIVER(bcm2835_mailbox) = {
    .name = "bcm2835-mailbox",
    .compatible = "brcm,bcm2835-mbox\0",
    .stage = DRV_SUPPLY,
    .first_read = FIRST_READ(MAIL0_STATUS),
    .reg_bytes = MAILBOX_BYTES,
    .probe = mailbox_probe,
};
