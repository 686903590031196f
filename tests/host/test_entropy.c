/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises: no random byte before 128 bits of seed are in: who may wait waits, who may not gets
 * EAGAIN; the boot seed is used once and wiped; what is given out is what an independent model of the
 * generator gives, and is gone from memory afterwards; sources are asked when there is no seed, and
 * again after the given time or amount; a source that fails or lies idle neither hangs nor weakens
 * anything. The primitives, as built here, agree with RFC 8439 and FIPS 180-4.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "../../kernel/entropy.c" /* to begin anew in each test, and to look for what was wiped */

/* --- What entropy.c needs ---------------------------------------------------------------------- */

static bool locked, may_block;
static uint64_t now_ns;
static unsigned int waits;
static void (*while_waiting)(void);

void mutex_lock(struct mutex *m)
{
	(void)m;
	assert_false(locked);
	locked = true;
}

void mutex_unlock(struct mutex *m)
{
	(void)m;
	assert_true(locked);
	locked = false;
}

bool thread_may_block(void)
{
	return may_block;
}

uint64_t time_now_ns(void)
{
	return now_ns;
}

int waitq_wake_all(struct waitq *q)
{
	(void)q;
	return 0;
}

static uint64_t waited_until;

int waitq_wait(struct waitq *q, uint64_t deadline_ns)
{
	(void)q;
	assert_true(may_block);
	assert_false(locked);
	assert_true(++waits < 100);
	waited_until = deadline_ns;
	if (deadline_ns != TIME_FOREVER)
		now_ns = deadline_ns;
	if (while_waiting)
		while_waiting();
	return 0;
}

/* A source that gives `give` bytes of 0xee, or an error; at once, or only to who waits. */
static int source_gives, source_gives_nonblock;
static unsigned int source_calls;

static int source_read(struct entropy_source *s, void *buf, size_t count, bool nonblock)
{
	int give_now = nonblock ? source_gives_nonblock : source_gives;

	(void)s;
	assert_false(locked);
	assert_true(nonblock || may_block);
	source_calls++;
	if (give_now <= 0)
		return give_now;
	give_now = (int)MIN((size_t)give_now, count);
	memset(buf, 0xee, (size_t)give_now);
	return give_now;
}

static struct entropy_source source = {.name = "test", .read = source_read};

static int begin(void **state)
{
	(void)state;
	memset(pool, 0, sizeof(pool));
	memset(key, 0, sizeof(key));
	memset(stretch, 0, sizeof(stretch));
	memset(boot_seed, 0, sizeof(boot_seed));
	boot_seed_bytes = stretch_left = reseed_bytes_left = 0;
	pool_bits = waits = source_calls = 0;
	reseed_due_ns = now_ns = 0;
	ready = false;
	sources = NULL;
	may_block = true;
	while_waiting = NULL;
	source_gives = source_gives_nonblock = -EAGAIN;
	return 0;
}

static void seed(unsigned int bytes)
{
	uint8_t s[BOOT_SEED_BYTES];

	for (unsigned int i = 0; i < bytes; i++)
		s[i] = (uint8_t)i;
	entropy_boot_seed(s, bytes);
}

/* --- Primitives -------------------------------------------------------------------------------- */

static void bytes_of(const char *hex, uint8_t *out)
{
	for (; *hex; hex += 2, out++)
		assert_int_equal(sscanf(hex, "%2hhx", out), 1);
}

static void assert_hex(const uint8_t *got, size_t count, const char *hex)
{
	uint8_t expected[128];

	assert_int_equal(strlen(hex), 2 * count);
	bytes_of(hex, expected);
	assert_memory_equal(got, expected, count);
}

/* FIPS 180-4's examples (NIST, "SHA256.pdf"), and the empty message. */
static void sha256_agrees_with_fips_180(void **state)
{
	static const struct {
		const char *message, *digest;
	} vectors[] = {
	    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
	    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	};
	uint8_t digest[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		const char *m = vectors[i].message;

		assert_int_equal(mbedtls_sha256((const uint8_t *)m, strlen(m), digest, 0), 0);
		assert_hex(digest, 32, vectors[i].digest);
	}
}

/* RFC 8439, section 2.4.2, and appendix A.1, test vector 1. */
static void chacha20_agrees_with_rfc_8439(void **state)
{
	static const char sunscreen[] =
	    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
	    "future, sunscreen would be it.";
	uint8_t k[32], nonce[12] = {[7] = 0x4a}, out[sizeof(sunscreen) - 1], zero[64] = {0};

	(void)state;
	for (int i = 0; i < 32; i++)
		k[i] = (uint8_t)i;
	mbedtls_chacha20_crypt(k, nonce, 1, sizeof(out), (const uint8_t *)sunscreen, out);
	assert_hex(out, sizeof(out),
	           "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0b"
	           "f91b65c5524733ab8f593dabcd62b3571639d624e65152ab8f530c359f0861d8"
	           "07ca0dbf500d6a6156a38e088a22b65e52bc514d16ccf806818ce91ab7793736"
	           "5af90bbf74a35be6b40b8eedf2785e42874d");
	mbedtls_chacha20_crypt(zero, zero, 0, sizeof(zero), zero, zero);
	assert_hex(zero, 64,
	           "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
	           "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586");
}

/*
 * The expected bytes come from a Python model of the description in entropy.c, with hashlib and its
 * own ChaCha20 from the RFC's text: pool = H('a', pool, bytes); key = H('k', key, pool), pool =
 * H('p', pool) when full; output by stretches of 4 blocks whose first 32 bytes are the next key.
 */
static void output_agrees_with_an_independent_model(void **state)
{
	uint8_t out[500], digest[32], other[32];

	(void)state;
	seed(24);
	assert_int_equal(random_bytes(out, 5, true), 0);
	assert_hex(out, 5, "2b368b7fef");
	assert_int_equal(random_bytes(out, 500, true), 0);
	mbedtls_sha256(out, 500, digest, 0);
	assert_hex(digest, 32, "024df25d398254b8acbf9d3f05395c004c0747144111794bd10436ad1b30db98");
	entropy_add("xyz", 3, 0);
	assert_int_equal(random_bytes(out, 16, true), 0);
	assert_hex(out, 16, "7fbfcbabb93ac76ee7a8bdbfabf7dd52");
	memset(other, 0xee, sizeof(other));
	entropy_add(other, 32, 256);
	assert_int_equal(random_bytes(out, 16, true), 0);
	assert_hex(out, 16, "e2ed420cf08028b5adfee9504c6c20e7");
}

/* --- Being ready or not ------------------------------------------------------------------------ */

static void without_seed_nothing_comes(void **state)
{
	uint8_t out[4] = "abcd";

	(void)state;
	assert_false(entropy_ready());
	assert_int_equal(random_bytes(out, sizeof(out), true), -EAGAIN);
	assert_int_equal(random_bytes(out, 0, true), -EAGAIN);
	may_block = false;
	assert_int_equal(random_bytes(out, sizeof(out), false), -EAGAIN);
	assert_memory_equal(out, "abcd", 4);
	assert_int_equal(waits, 0);
}

static void bits_count_not_bytes(void **state)
{
	uint8_t out[4];

	(void)state;
	for (int i = 0; i < 1000; i++)
		entropy_add("hopeful", 7, 0);
	assert_false(entropy_ready());
	entropy_add("x", 1, READY_BITS - 1);
	assert_int_equal(random_bytes(out, sizeof(out), true), -EAGAIN);
	entropy_add("x", 1, 1);
	assert_int_equal(random_bytes(out, sizeof(out), true), 0);
}

static void credit_does_not_wrap(void **state)
{
	(void)state;
	entropy_add("x", 1, READY_BITS - 1);
	entropy_add("x", 1, UINT32_MAX);
	assert_true(entropy_ready());
}

static unsigned int wakes_left;

static void seed_arrives_late(void)
{
	if (--wakes_left == 0)
		entropy_add("0123456789abcdef", 16, 128);
}

static void who_may_wait_waits_for_the_seed(void **state)
{
	uint8_t out[4];

	(void)state;
	while_waiting = seed_arrives_late;
	wakes_left = 3; /* twice for nothing */
	assert_int_equal(random_bytes(out, sizeof(out), false), 0);
	assert_int_equal(waits, 3);
	assert_true(waited_until == TIME_FOREVER);
}

static void a_short_boot_seed_is_not_enough(void **state)
{
	(void)state;
	seed(15);
	assert_false(entropy_ready());
	entropy_add("x", 1, 8);
	assert_true(entropy_ready());
}

static void the_boot_seed_is_used_once_and_wiped(void **state)
{
	static const uint8_t zeros[BOOT_SEED_BYTES];
	uint8_t first[32], second[32];

	(void)state;
	seed(16);
	assert_int_equal(random_bytes(first, sizeof(first), true), 0);
	assert_memory_equal(boot_seed, zeros, sizeof(zeros));
	assert_int_equal(boot_seed_bytes, 0);
	assert_int_equal(random_bytes(second, sizeof(second), true), 0);
	assert_memory_not_equal(first, second, sizeof(first));
}

static void a_boot_seed_of_any_length_is_taken(void **state)
{
	uint8_t s[200] = {1}, a[16], b[16];

	(void)state;
	entropy_boot_seed(s, 0);
	assert_false(entropy_ready());
	entropy_boot_seed(s, sizeof(s));
	assert_int_equal(random_bytes(a, sizeof(a), true), 0);
	begin(state);
	entropy_boot_seed(s, BOOT_SEED_BYTES);
	assert_int_equal(random_bytes(b, sizeof(b), true), 0);
	assert_memory_equal(a, b, sizeof(a));
}

/* --- Forgetting -------------------------------------------------------------------------------- */

static bool contains(const void *where, size_t bytes, const uint8_t *what)
{
	return memmem(where, bytes, what, 8) != NULL;
}

static void what_was_given_is_forgotten(void **state)
{
	uint8_t old_key[KEY_BYTES], out[1000];

	(void)state;
	seed(32);
	for (size_t count = 8; count <= sizeof(out); count += 31) {
		memcpy(old_key, key, sizeof(key));
		assert_int_equal(random_bytes(out, count, true), 0);
		for (size_t i = 0; i + 8 <= count; i++) {
			assert_false(contains(stretch, sizeof(stretch), out + i));
			assert_false(contains(key, sizeof(key), out + i));
		}
		assert_false(contains(stretch, sizeof(stretch), key));
		if (count > sizeof(stretch))
			assert_memory_not_equal(old_key, key, sizeof(key));
	}
}

static void pieces_are_the_same_stream_as_the_whole(void **state)
{
	uint8_t whole[700], pieces[700];

	seed(16);
	assert_int_equal(random_bytes(whole, sizeof(whole), true), 0);
	begin(state);
	seed(16);
	for (size_t at = 0; at < sizeof(pieces); at += 7)
		assert_int_equal(random_bytes(pieces + at, 7, true), 0);
	assert_memory_equal(whole, pieces, sizeof(whole));
}

/* --- Sources ----------------------------------------------------------------------------------- */

static void sources_are_asked_for_the_seed(void **state)
{
	uint8_t out[16];

	(void)state;
	entropy_source_register(&source);
	assert_int_equal(random_bytes(out, sizeof(out), true), -EAGAIN);
	source_gives = 10; /* at a time: two times are enough */
	assert_int_equal(random_bytes(out, sizeof(out), false), 0);
	assert_int_equal(pool_bits, 0);
	assert_int_equal(waits, 1);
}

static void what_lies_ready_needs_no_waiting(void **state)
{
	uint8_t out[16];

	(void)state;
	entropy_source_register(&source);
	source_gives_nonblock = 32;
	may_block = false;
	assert_int_equal(random_bytes(out, sizeof(out), true), 0);
	assert_true(entropy_ready());
	assert_int_equal(source_calls, 1);
}

static void source_recovers(void)
{
	if (waits == 3)
		source_gives = 32;
}

static void dumb_sources_are_asked_again(void **state)
{
	static const int dumb[] = {0, -EIO, -ETIMEDOUT};
	uint8_t out[16];

	for (size_t i = 0; i < ARRAY_LEN(dumb); i++) {
		begin(state);
		entropy_source_register(&source);
		source_gives = dumb[i];
		while_waiting = source_recovers;
		assert_int_equal(random_bytes(out, sizeof(out), false), 0);
		assert_int_equal(waits, 3);
		assert_true(now_ns >= 3 * RETRY_NS); /* not in a busy loop */
	}
}

static void reseeds_after_time_and_amount(void **state)
{
	static uint8_t out[4096];
	uint8_t before[KEY_BYTES];

	(void)state;
	seed(16);
	entropy_source_register(&source);
	source_gives_nonblock = 32;
	assert_int_equal(random_bytes(out, 1, true), 0);
	assert_int_equal(source_calls, 0); /* the boot seed was enough */
	now_ns += RESEED_NS;
	memcpy(before, pool, sizeof(pool));
	assert_int_equal(random_bytes(out, 1, true), 0);
	assert_int_equal(source_calls, 1);
	assert_memory_not_equal(before, pool, sizeof(pool));
	for (size_t given = 0; given + sizeof(out) < RESEED_BYTES; given += sizeof(out))
		assert_int_equal(random_bytes(out, sizeof(out), true), 0);
	assert_int_equal(source_calls, 1);
	assert_int_equal(random_bytes(out, sizeof(out), true), 0);
	assert_int_equal(source_calls, 2);
}

/* A generator that is ready stays so, and fast, when its source dies. */
static void a_dead_source_is_not_waited_for(void **state)
{
	uint8_t out[16];

	(void)state;
	seed(16);
	entropy_source_register(&source);
	source_gives = source_gives_nonblock = -EIO;
	for (int i = 0; i < 10; i++) {
		now_ns += RESEED_NS / 2;
		assert_int_equal(random_bytes(out, sizeof(out), false), 0);
	}
	assert_in_range(source_calls, 1, 6);
	assert_int_equal(waits, 0);
}

#define T(f) cmocka_unit_test_setup(f, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(sha256_agrees_with_fips_180),
	    T(chacha20_agrees_with_rfc_8439),
	    T(output_agrees_with_an_independent_model),
	    T(without_seed_nothing_comes),
	    T(bits_count_not_bytes),
	    T(credit_does_not_wrap),
	    T(who_may_wait_waits_for_the_seed),
	    T(a_short_boot_seed_is_not_enough),
	    T(the_boot_seed_is_used_once_and_wiped),
	    T(a_boot_seed_of_any_length_is_taken),
	    T(what_was_given_is_forgotten),
	    T(pieces_are_the_same_stream_as_the_whole),
	    T(sources_are_asked_for_the_seed),
	    T(what_lies_ready_needs_no_waiting),
	    T(dumb_sources_are_asked_again),
	    T(reseeds_after_time_and_amount),
	    T(a_dead_source_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
