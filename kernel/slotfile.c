/* SPDX-License-Identifier: Apache-2.0 */
/* An update file in a slot (slotfile.h). Nothing that is read is believed before it is verified. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <mbedtls/sha256.h>
#include <pith/assert.h>
#include <pith/machine.h>
#include <pith/update.h>
#include <pith/version.h>
#include "slotfile.h"

/* Devicetree Specification 0.4, section 5.2: magic and totalsize, big endian; a header is 40 bytes. */
#define FIT_MAGIC     0xd00dfeedu
#define FIT_BYTES_MIN 40u

int explain(char *why, int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, SLOTFILE_WHY_BYTES, fmt, ap);
	va_end(ap);
	return error;
}

/* --- Reading ------------------------------------------------------------------------------------- */

uint32_t slot_bytes(const struct boot_disk *disk, char slot)
{
	uint32_t blocks = disk->part[slot_part(slot)].blocks;

	return MIN(blocks, UINT32_MAX / SECTOR_BYTES) * SECTOR_BYTES;
}

void slotfile_open(struct slotfile *f, const struct boot_disk *disk, char slot, uint8_t *window,
                   uint32_t window_bytes, char *why)
{
	*f = (struct slotfile){
	    .dev = disk->dev,
	    .lba = disk->part[slot_part(slot)].lba,
	    .bytes = slot_bytes(disk, slot),
	    .window = window,
	    .window_bytes = window_bytes,
	    .why = why,
	};
}

/* The part of the slot around offset into the window. */
static int load(struct slotfile *f, uint32_t offset)
{
	uint32_t at = offset - offset % f->window_bytes, have = MIN(f->window_bytes, f->bytes - at);

	f->have = 0;
	if (block_read(f->dev, f->lba + at / SECTOR_BYTES, have / SECTOR_BYTES, f->window))
		return explain(f->why, -EIO, "the disk cannot be read at sector %llu",
		               (unsigned long long)(f->lba + at / SECTOR_BYTES));
	if (at == 0 && f->first)
		memcpy(f->window, f->first, SECTOR_BYTES);
	f->at = at;
	f->have = have;
	return 0;
}

int slotfile_read(void *ctx, uint32_t offset, void *buf, uint32_t bytes)
{
	struct slotfile *f = ctx;

	if (offset > f->bytes || bytes > f->bytes - offset)
		return -EBADMSG;
	while (bytes != 0) {
		uint32_t part;

		if (offset < f->at || offset - f->at >= f->have) {
			int error = load(f, offset);

			if (error)
				return error;
		}
		part = MIN(bytes, f->have - (offset - f->at));
		memcpy(buf, f->window + (offset - f->at), part);
		buf = (uint8_t *)buf + part;
		offset += part;
		bytes -= part;
	}
	return 0;
}

/* --- What is there ------------------------------------------------------------------------------- */

static uint32_t big_endian32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

uint32_t update_file_bytes(const uint8_t header[8], uint32_t *fit_bytes)
{
	*fit_bytes = big_endian32(header + 4);
	if (big_endian32(header) != FIT_MAGIC || *fit_bytes < FIT_BYTES_MIN ||
	    *fit_bytes > UINT32_MAX - SECTOR_BYTES - UPDATE_TRAILER_BYTES)
		return 0;
	return (*fit_bytes + SECTOR_BYTES - 1) / SECTOR_BYTES * SECTOR_BYTES + UPDATE_TRAILER_BYTES;
}

/*
 * What is behind the file is never read with it: a longer one whose writing was interrupted may have
 * left sectors there that cannot be read, and nothing would ever write them again.
 */
int slotfile_measure(struct slotfile *f, uint32_t *file_bytes, uint32_t *fit_bytes)
{
	uint32_t room = f->bytes;
	uint8_t header[8];
	int error;

	f->bytes = SECTOR_BYTES;
	error = slotfile_read(f, 0, header, sizeof(header));
	f->bytes = room;
	if (error)
		return error;
	*file_bytes = update_file_bytes(header, fit_bytes);
	if (*file_bytes == 0 || *file_bytes > room)
		return explain(f->why, -EBADMSG, "there is no image");
	f->bytes = *file_bytes;
	return 0;
}

uint32_t slotfile_version(struct slotfile *f)
{
	uint8_t bytes[UPDATE_TRAILER_BYTES];
	uint32_t file_bytes, fit_bytes;
	struct update_trailer trailer;

	if (slotfile_measure(f, &file_bytes, &fit_bytes) ||
	    slotfile_read(f, file_bytes - sizeof(bytes), bytes, sizeof(bytes)) ||
	    update_trailer_parse(bytes, file_bytes, &trailer))
		return 0;
	return trailer.version;
}

/* --- Verifying ----------------------------------------------------------------------------------- */

/* Feed what the signature covers, as the medium has it now, to c. */
static int hash_file(struct slotfile *f, mbedtls_sha256_context *c, uint32_t bytes)
{
	for (uint32_t at = 0; at < bytes; at += f->have) {
		int error = load(f, at);

		if (error)
			return error;
		error = mbedtls_sha256_update(c, f->window, MIN(f->have, bytes - at));
		assert(error == 0); /* it fails only on arguments that cannot be */
		if (f->done)
			*f->done = MIN(at + f->have, bytes);
	}
	return 0;
}

static int digest_file(struct slotfile *f, uint32_t bytes, uint8_t digest[32])
{
	mbedtls_sha256_context c;
	int error, hashed;

	mbedtls_sha256_init(&c);
	hashed = mbedtls_sha256_starts(&c, 0);
	error = hash_file(f, &c, bytes);
	hashed |= mbedtls_sha256_finish(&c, digest);
	assert(hashed == 0);
	mbedtls_sha256_free(&c);
	return error;
}

static int check_signature(struct slotfile *f, const struct update_trailer *t,
                           const uint8_t digest[32])
{
	int error = update_signature_check(t, digest);
	const uint8_t *id = t->key_id;

	switch (error) {
	case -ENOKEY:
		return explain(f->why, error,
		               "signed with a key that this image does not know "
		               "(%02x%02x%02x%02x%02x%02x%02x%02x)",
		               id[0], id[1], id[2], id[3], id[4], id[5], id[6], id[7]);
	case -EKEYREJECTED:
		return explain(f->why, error,
		               "the signature is wrong: the update is damaged or forged");
	default:
		return error ? explain(f->why, error, "no memory to check the signature") : 0;
	}
}

/* Trailer and FIT have each its own signature: they must be of one piece. */
static int check_fit(struct slotfile *f, const struct update_trailer *t)
{
	char one[VERSION_TEXT_BYTES], other[VERSION_TEXT_BYTES];
	struct fit_info info;
	int error = fit_info(slotfile_read, f, t->fit_bytes, &info);

	if (error == -EBADMSG)
		return explain(f->why, error, "the image in the update is damaged");
	if (error)
		return error;
	if (info.version != t->version)
		return explain(
		    f->why, -EBADMSG, "the update says that it is version %s, its image %s",
		    version_format(t->version, one), version_format(info.version, other));
	return 0;
}

int slotfile_verify(struct slotfile *f, uint32_t file_bytes, uint32_t *version)
{
	uint8_t bytes[UPDATE_TRAILER_BYTES], digest[32];
	uint32_t trailer_at = file_bytes - UPDATE_TRAILER_BYTES;
	struct update_trailer t;
	int error;

	f->bytes = file_bytes;
	error = digest_file(f, trailer_at + UPDATE_SIGNED_BYTES, digest);
	if (!error)
		error = slotfile_read(f, trailer_at, bytes, sizeof(bytes));
	if (error)
		return error;
	if (update_trailer_parse(bytes, file_bytes, &t))
		return explain(f->why, -EBADMSG, "the end of the update is damaged");
	error = check_signature(f, &t, digest);
	if (error)
		return error;
	if (strcmp(t.product, image_name) != 0)
		return explain(f->why, -EPERM, "the update is for product \"%s\", this is \"%s\"",
		               t.product, image_name);
	error = check_fit(f, &t);
	if (error)
		return error;
	*version = t.version;
	return 0;
}
