/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The random number generator: what comes in is hashed into a pool (SHA-256); when the pool holds
 * enough, a key is made of it; what goes out is ChaCha20's stream under that key, which overwrites
 * itself with the first bytes of each stretch of stream before any other is used. So whoever sees
 * this memory learns nothing of what was given out before.
 *
 * Fast key erasure: D. J. Bernstein, "Fast-key-erasure random-number generators", 2017. Stirring only
 * whole seeds into the key, never single guessable bits: Ferguson, Schneier, "Practical Cryptography",
 * section 10.5. SHA-256: FIPS 180-4; ChaCha20: RFC 8439; both from Mbed TLS.
 */
#include <errno.h>
#include <string.h>
#include <mbedtls/chacha20.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/sha256.h>
#include <pith/assert.h>
#include <pith/compiler.h>
#include <pith/entropy.h>
#include <pith/irq.h>
#include <pith/thread.h>
#include <pith/time.h>

#define KEY_BYTES       32
#define READY_BITS      128
#define BOOT_SEED_BYTES 64

/* Made in one go. Small, since most want a few bytes; a multiple of ChaCha20's 64. */
#define STRETCH_BYTES 256

/* A key is replaced by fresh entropy, where there is a source, after so long or so much. */
#define RESEED_NS    (300 * NS_PER_S)
#define RESEED_BYTES (1u << 20)

/* Sources that gave nothing are asked again after this long. */
#define RETRY_NS (1 * NS_PER_S)

static uint8_t boot_seed[BOOT_SEED_BYTES];
static size_t boot_seed_bytes;

/* All of it under this lock. */
static struct mutex lock = MUTEX_INIT(lock);
static uint8_t pool[KEY_BYTES];
static unsigned int pool_bits; /* entropy in the pool that is in no key yet */
static uint8_t key[KEY_BYTES];
static uint8_t stretch[STRETCH_BYTES];
static size_t stretch_left; /* bytes at its end that were not given out */
static uint64_t reseed_due_ns;
static size_t reseed_bytes_left;

static bool ready;                               /* never false again */
static struct waitq seeded = WAITQ_INIT(seeded); /* for ready */
static struct entropy_source *sources;

void entropy_boot_seed(const void *bytes, size_t count)
{
	boot_seed_bytes = MIN(count, sizeof(boot_seed));
	memcpy(boot_seed, bytes, boot_seed_bytes);
}

/* out = SHA-256(label, a, b). out may be a or b. */
static void hash(uint8_t out[KEY_BYTES], char label, const void *a, size_t a_bytes, const void *b,
                 size_t b_bytes)
{
	mbedtls_sha256_context c;
	int err;

	mbedtls_sha256_init(&c);
	err = mbedtls_sha256_starts(&c, 0);
	err |= mbedtls_sha256_update(&c, (const unsigned char *)&label, 1);
	err |= mbedtls_sha256_update(&c, a, a_bytes);
	err |= mbedtls_sha256_update(&c, b, b_bytes);
	err |= mbedtls_sha256_finish(&c, out);
	mbedtls_sha256_free(&c);
	assert(err == 0); /* it fails only on arguments that cannot be */
}

/* The pool becomes part of the key; what is left of it tells nothing about the key. */
static void make_key(void)
{
	hash(key, 'k', key, sizeof(key), pool, sizeof(pool));
	hash(pool, 'p', pool, sizeof(pool), NULL, 0);
	pool_bits = 0;
	mbedtls_platform_zeroize(stretch, sizeof(stretch));
	stretch_left = 0;
}

static void postpone_reseed(void)
{
	reseed_due_ns = time_now_ns() + RESEED_NS;
	reseed_bytes_left = RESEED_BYTES;
}

static void add_locked(const void *bytes, size_t count, unsigned int credit_bits)
{
	hash(pool, 'a', pool, sizeof(pool), bytes, count);
	pool_bits = MIN(pool_bits + MIN(credit_bits, READY_BITS), READY_BITS);
	if (pool_bits < READY_BITS)
		return;
	make_key();
	postpone_reseed();
	if (!ready) {
		unsigned long daif = irq_save();

		ready = true;
		waitq_wake_all(&seeded);
		irq_restore(daif);
	}
}

void entropy_add(const void *bytes, size_t count, unsigned int credit_bits)
{
	mutex_lock(&lock);
	add_locked(bytes, count, credit_bits);
	mutex_unlock(&lock);
}

static void take_boot_seed(void)
{
	mutex_lock(&lock);
	if (boot_seed_bytes != 0) {
		add_locked(boot_seed, boot_seed_bytes, (unsigned int)boot_seed_bytes * 8);
		mbedtls_platform_zeroize(boot_seed, sizeof(boot_seed));
		boot_seed_bytes = 0;
	}
	mutex_unlock(&lock);
}

void entropy_source_register(struct entropy_source *s)
{
	s->next = sources;
	sources = s;
}

/* The lock is not held while a source makes us wait. */
static void ask_sources(bool nonblock)
{
	uint8_t seed[KEY_BYTES];

	for (struct entropy_source *s = sources; s; s = s->next) {
		int got = s->read(s, seed, sizeof(seed), nonblock);

		if (got > 0)
			entropy_add(seed, (size_t)got, (unsigned int)got * 8);
	}
	mbedtls_platform_zeroize(seed, sizeof(seed));
}

static void wait_seeded(void)
{
	unsigned long daif = irq_save();

	if (!ready)
		waitq_wait(&seeded, sources ? time_now_ns() + RETRY_NS : TIME_FOREVER);
	irq_restore_quiet(daif);
}

bool entropy_ready(void)
{
	if (!ready)
		take_boot_seed();
	if (!ready)
		ask_sources(true);
	return ready;
}

static int wait_ready(bool nonblock)
{
	while (!entropy_ready()) {
		if (nonblock || !thread_may_block())
			return -EAGAIN;
		ask_sources(false);
		wait_seeded();
	}
	return 0;
}

/* Only what is there already: nobody waits for a better key who has a good one. */
static void reseed_if_due(size_t count)
{
	bool due;

	mutex_lock(&lock);
	due = count >= reseed_bytes_left || time_now_ns() >= reseed_due_ns;
	if (due)
		postpone_reseed();
	else
		reseed_bytes_left -= count;
	mutex_unlock(&lock);
	if (due)
		ask_sources(true);
}

/* The next stretch of stream; its beginning is the next key. */
static void make_stretch(void)
{
	static const uint8_t nonce[12]; /* a key is used once */
	int err;

	memset(stretch, 0, sizeof(stretch));
	err = mbedtls_chacha20_crypt(key, nonce, 0, sizeof(stretch), stretch, stretch);
	assert(err == 0);
	memcpy(key, stretch, sizeof(key));
	mbedtls_platform_zeroize(stretch, sizeof(key));
	stretch_left = sizeof(stretch) - sizeof(key);
}

static size_t give(uint8_t *to, size_t count)
{
	uint8_t *from;

	if (stretch_left == 0)
		make_stretch();
	from = stretch + sizeof(stretch) - stretch_left;
	count = MIN(count, stretch_left);
	memcpy(to, from, count);
	mbedtls_platform_zeroize(from, count);
	stretch_left -= count;
	return count;
}

int random_bytes(void *buf, size_t count, bool nonblock)
{
	int err = wait_ready(nonblock);

	if (err < 0)
		return err;
	if (sources)
		reseed_if_due(count);
	mutex_lock(&lock);
	for (uint8_t *to = buf, *end = to + count; to < end;)
		to += give(to, (size_t)(end - to));
	mutex_unlock(&lock);
	return 0;
}
