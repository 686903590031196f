/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promise: the router forwards what its rules allow, translates it so that the far side finds every
 * checksum right, brings answers and errors back, keeps its table within bounds, and survives any bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <arpa/inet.h>
#include <cmocka.h>
#include <pith/compiler.h>
#include "router.h"
#include "internet.h"
#include "siphash.h"

static struct router router;
static uint32_t now;

#define ADDRESS(text) inet_addr(text)
#define CLIENT        ADDRESS("10.0.0.2")
#define SERVER        ADDRESS("198.51.100.9")
#define OUTSIDE       ADDRESS("203.0.113.2")

static void start(const char *rules, unsigned int flow_max)
{
	static const uint64_t keys[4] = {1, 2, 3, 4};
	char complaint[160];

	flows_free(&router.flows);
	router = (struct router){
	    .place = {[LAN] = {ADDRESS("10.0.0.1"), ADDRESS("255.255.255.0"), 0, 1500},
	              [WAN] = {OUTSIDE, ADDRESS("255.255.255.0"), ADDRESS("203.0.113.1"), 1400}},
	    .masquerade = true,
	    .port_min = 40000,
	    .port_max = 40009,
	};
	now = 1000;
	assert_int_equal(rules_parse(rules, &router.rules, complaint, sizeof(complaint)), 0);
	assert_int_equal(flows_init(&router.flows, flow_max, keys), 0);
}

/* --- Packets ------------------------------------------------------------------------------------- */

/* One in memory of exactly its size, so that the sanitizers see every byte too far. */
struct frame {
	uint8_t *ip;
	unsigned int bytes;
	struct packet p;
	enum verdict v;
};

static uint16_t pseudo_sum(const uint8_t *ip, unsigned int transport_bytes)
{
	return sum_fold((uint64_t)load32(ip + IPV4_SRC) + load32(ip + IPV4_DST) +
	                host16((uint16_t)transport_bytes) + host16(ip[IPV4_PROTO]));
}

static uint8_t *transport_of(const struct frame *f)
{
	return f->ip + (f->ip[0] & 15u) * 4;
}

static unsigned int transport_bytes(const struct frame *f)
{
	return f->bytes - (f->ip[0] & 15u) * 4;
}

/* The sum over what the transport's checksum covers: 0xffff if that is right. */
static uint16_t transport_sum(const struct frame *f)
{
	uint16_t sum = sum_bytes(transport_of(f), transport_bytes(f));

	if (f->ip[IPV4_PROTO] == PROTO_ICMP)
		return sum;
	return sum_add(sum, pseudo_sum(f->ip, transport_bytes(f)));
}

static unsigned int sum_at(uint8_t proto)
{
	return proto == PROTO_TCP ? TCP_SUM : proto == PROTO_UDP ? UDP_SUM : ICMP_SUM;
}

static void finish(struct frame *f)
{
	uint8_t proto = f->ip[IPV4_PROTO];

	store16(f->ip + IPV4_SUM, 0);
	store16(f->ip + IPV4_SUM, (uint16_t)~ip_sum(f->ip));
	if (proto != PROTO_TCP && proto != PROTO_UDP && proto != PROTO_ICMP)
		return;
	store16(transport_of(f) + sum_at(proto), 0);
	store16(transport_of(f) + sum_at(proto), (uint16_t)~transport_sum(f));
}

/* ports: of ICMP, type and id. flags: TCP's. */
static struct frame packet(uint8_t proto, uint32_t src, uint16_t sport, uint32_t dst,
                           uint16_t dport, uint8_t flags, unsigned int data_bytes)
{
	unsigned int header = proto == PROTO_TCP ? 20 : 8;
	struct frame f = {.bytes = 20 + header + data_bytes};
	uint8_t *t;

	f.ip = calloc(1, f.bytes);
	assert_non_null(f.ip);
	f.ip[0] = 0x45;
	store16(f.ip + IPV4_TOTAL, host16((uint16_t)f.bytes));
	f.ip[IPV4_TTL] = 64;
	f.ip[IPV4_PROTO] = proto;
	store32(f.ip + IPV4_SRC, src);
	store32(f.ip + IPV4_DST, dst);
	t = transport_of(&f);
	if (proto == PROTO_ICMP) {
		t[0] = (uint8_t)sport;
		store16(t + ICMP_ID, host16(dport));
	} else {
		store16(t, host16(sport));
		store16(t + 2, host16(dport));
	}
	if (proto == PROTO_TCP) {
		t[12] = 0x50;
		t[TCP_FLAGS] = flags;
	}
	if (proto == PROTO_UDP)
		store16(t + 4, host16((uint16_t)(8 + data_bytes)));
	for (unsigned int i = 0; i < data_bytes; i++)
		t[header + i] = (uint8_t)(7 * i + 1);
	finish(&f);
	return f;
}

static struct frame udp(uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport)
{
	return packet(PROTO_UDP, src, sport, dst, dport, 0, 11);
}

static struct frame tcp(uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport, uint8_t flags)
{
	return packet(PROTO_TCP, src, sport, dst, dport, flags, 5);
}

/* What the router makes of it; translated if forwarded. */
static enum verdict give(struct frame *f, enum side side)
{
	f->p = (struct packet){.ip = f->ip,
	                       .bytes = f->bytes,
	                       .total = f->bytes,
	                       .side = (uint8_t)side,
	                       .unfinished = f->p.unfinished};
	f->v = router_decide(&router, &f->p, now);
	if (f->v == FORWARD)
		router_translate(&f->p);
	return f->v;
}

/* The same, and only the verdict counts. */
static enum verdict verdict(struct frame f, enum side side)
{
	enum verdict v = give(&f, side);

	free(f.ip);
	return v;
}

static void check_sums(const struct frame *f)
{
	assert_int_equal(ip_sum(f->ip), 0xffff);
	assert_int_equal(transport_sum(f), 0xffff);
}

static void check_ends(const struct frame *f, uint32_t src, int sport, uint32_t dst, int dport)
{
	assert_int_equal(load32(f->ip + IPV4_SRC), src);
	assert_int_equal(load32(f->ip + IPV4_DST), dst);
	assert_int_equal(host16(load16(transport_of(f))), sport);
	assert_int_equal(host16(load16(transport_of(f) + 2)), dport);
	assert_int_equal(f->ip[IPV4_TTL], 63);
}

/* Forwarded, with right checksums. Returns the source port. */
static uint16_t goes_out(struct frame f)
{
	uint16_t sport;

	assert_int_equal(give(&f, LAN), FORWARD);
	check_sums(&f);
	assert_int_equal(load32(f.ip + IPV4_SRC), OUTSIDE);
	sport = host16(load16(transport_of(&f)));
	free(f.ip);
	return sport;
}

/* --- Rules --------------------------------------------------------------------------------------- */

static bool asks(const char *rules, uint8_t proto, enum side from, enum side to, const char *src,
                 const char *dst, uint16_t port)
{
	struct rules r;
	char complaint[160];
	const struct opening o = {proto, from, to, inet_addr(src), inet_addr(dst), host16(port)};

	assert_int_equal(rules_parse(rules, &r, complaint, sizeof(complaint)), 0);
	return rules_allow(&r, &o);
}

static void the_first_rule_that_fits_decides(void **state)
{
	static const char rules[] =
	    "deny any from lan 10.0.0.7 to any;  "
	    "allow tcp from lan to wan port 80-90; allow udp from any to any "
	    "198.51.100.0/24 port 53; allow icmp from wan to router;";

	(void)state;
	assert_true(asks(rules, PROTO_TCP, LAN, WAN, "10.0.0.2", "1.2.3.4", 80));
	assert_true(asks(rules, PROTO_TCP, LAN, WAN, "10.0.0.2", "1.2.3.4", 90));
	assert_false(asks(rules, PROTO_TCP, LAN, WAN, "10.0.0.2", "1.2.3.4", 79));
	assert_false(asks(rules, PROTO_TCP, LAN, WAN, "10.0.0.2", "1.2.3.4", 91));
	assert_false(asks(rules, PROTO_TCP, LAN, WAN, "10.0.0.7", "1.2.3.4", 80));
	assert_false(asks(rules, PROTO_UDP, LAN, WAN, "10.0.0.2", "1.2.3.4", 80));
	assert_false(asks(rules, PROTO_TCP, WAN, LAN, "1.2.3.4", "10.0.0.2", 80));
	assert_true(asks(rules, PROTO_UDP, WAN, LAN, "1.2.3.4", "198.51.100.9", 53));
	assert_false(asks(rules, PROTO_UDP, WAN, LAN, "1.2.3.4", "198.51.101.9", 53));
	assert_true(asks(rules, PROTO_ICMP, WAN, ROUTER, "1.2.3.4", "203.0.113.2", 0));
	assert_false(asks(rules, PROTO_ICMP, WAN, LAN, "1.2.3.4", "10.0.0.2", 0));
	assert_false(asks("", PROTO_TCP, LAN, WAN, "10.0.0.2", "1.2.3.4", 80));
	assert_true(
	    asks("allow any from any to any 0.0.0.0/0", 47, LAN, WAN, "10.0.0.2", "1.2.3.4", 0));
}

static void mistakes_in_rules_are_named(void **state)
{
	static const struct {
		const char *rules, *complaint;
	} wrong[] = {
	    {"permit any from lan to any",
	     "rule 1, \"permit any from lan to any\": permit where allow or "
	     "deny belongs"},
	    {"allow any from lan to any; allow tcp form lan to wan",
	     "rule 2, \" allow tcp form lan to wan\": form where from belongs"},
	    {"allow tcp from lan", "rule 1, \"allow tcp from lan\": its end where to belongs"},
	    {"allow gre from lan to wan",
	     "rule 1, \"allow gre from lan to wan\": gre where tcp, udp, icmp or any belongs"},
	    {"allow tcp from router to wan",
	     "rule 1, \"allow tcp from router to wan\": router where lan, wan or any belongs"},
	    {"allow tcp from lan 10.0.0.256 to wan", "rule 1, \"allow tcp from lan 10.0.0.256 to "
	                                             "wan\": 10.0.0.256 where an address such as "
	                                             "10.0.0.7 or 10.0.0.0/24 belongs"},
	    {"allow tcp from lan 10.0.0.0/33 to wan", "rule 1, \"allow tcp from lan 10.0.0.0/33 to "
	                                              "wan\": 10.0.0.0/33 where an address such as "
	                                              "10.0.0.7 or 10.0.0.0/24 belongs"},
	    {"allow tcp from lan to wan port 0",
	     "rule 1, \"allow tcp from lan to wan port 0\": 0 where a port such as 80 or 8000-8080 "
	     "belongs"},
	    {"allow tcp from lan to wan port 9-8",
	     "rule 1, \"allow tcp from lan to wan port 9-8\": 9-8 where a port such as 80 or "
	     "8000-8080 "
	     "belongs"},
	    {"allow tcp from lan to wan port 65536",
	     "rule 1, \"allow tcp from lan to wan port 65536\": 65536 where a port such as 80 or "
	     "8000-8080 belongs"},
	    {"allow icmp from lan to wan port 8", "rule 1, \"allow icmp from lan to wan port 8\": "
	                                          "8 where no port, as only tcp and udp have "
	                                          "some, belongs"},
	    {"allow tcp from lan to wan 1.2.3.4 80", "rule 1, \"allow tcp from lan to wan 1.2.3.4 "
	                                             "80\": 80 where the end of the rule belongs"},
	};
	struct rules r;
	char complaint[160], many[RULES_MAX * 32 + 64] = "";

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_int_equal(rules_parse(wrong[i].rules, &r, complaint, sizeof(complaint)),
		                 -EINVAL);
		assert_string_equal(complaint, wrong[i].complaint);
	}
	for (int i = 0; i < RULES_MAX; i++)
		strcat(many, "allow any from lan to any;");
	assert_int_equal(rules_parse(many, &r, complaint, sizeof(complaint)), 0);
	strcat(many, "deny any from lan to any");
	assert_int_equal(rules_parse(many, &r, complaint, sizeof(complaint)), -E2BIG);
}

static void mutated_rules_do_no_harm(void **state)
{
	static const char good[] =
	    "allow tcp from lan 10.0.0.0/8 to wan port 80; deny any from any to any";
	struct rules r;
	char text[sizeof(good)], complaint[40];

	(void)state;
	srandom(1);
	for (int i = 0; i < 20000; i++) {
		memcpy(text, good, sizeof(good));
		for (int k = 0; k < 3; k++)
			text[(size_t)random() % (sizeof(good) - 1)] = (char)(random() % 96 + 32);
		if (rules_parse(text, &r, complaint, sizeof(complaint)) < 0)
			assert_true(complaint[0] && memchr(complaint, 0, sizeof(complaint)));
	}
}

/* --- Hash ---------------------------------------------------------------------------------------- */

static void the_hash_is_siphash(void **state)
{
	static const uint64_t key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
	uint64_t words[2], start_of[4];
	uint8_t bytes[16];

	(void)state;
	for (unsigned int i = 0; i < 15; i++)
		bytes[i] = (uint8_t)(17 * i);
	bytes[15] = SIP_LENGTH;
	memcpy(words, bytes, sizeof(words));
	sip_start(start_of, key);
	assert_true(sip15(start_of, words[0], words[1], 2, 4) == siphash24(key, bytes, 15));
}

/* --- Translating ----------------------------------------------------------------------------------- */

static void answers_come_back(void **state)
{
	static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP};

	(void)state;
	start("allow any from lan to any", 100);
	for (size_t i = 0; i < ARRAY_LEN(protos); i++) {
		struct frame f = packet(protos[i], CLIENT, 40003, SERVER, 80, TCP_SYN, 9);

		assert_int_equal(give(&f, LAN), FORWARD);
		check_sums(&f);
		check_ends(&f, OUTSIDE, 40003, SERVER, 80);
		assert_int_equal(f.p.way->next_hop, ADDRESS("203.0.113.1"));
		assert_int_equal(f.p.way->out, WAN);
		free(f.ip);
		f = packet(protos[i], SERVER, 80, OUTSIDE, 40003, TCP_SYN | TCP_ACK, 1000);
		assert_int_equal(give(&f, WAN), FORWARD);
		check_sums(&f);
		check_ends(&f, SERVER, 80, CLIENT, 40003);
		assert_int_equal(f.p.way->next_hop, CLIENT);
		assert_int_equal(f.p.way->out, LAN);
		free(f.ip);
		/* Others outside, or another port: none of it. UDP is lwIP's to refuse. */
		assert_int_not_equal(
		    verdict(packet(protos[i], SERVER, 81, OUTSIDE, 40003, TCP_SYN, 1), WAN),
		    FORWARD);
		assert_int_not_equal(
		    verdict(packet(protos[i], SERVER, 80, OUTSIDE, 40004, TCP_SYN, 1), WAN),
		    FORWARD);
	}
}

static void every_checksum_stays_right(void **state)
{
	(void)state;
	start("allow any from lan to any", 5000);
	srandom(2);
	router.port_min = 1024;
	router.port_max = 65535;
	for (int i = 0; i < 4000; i++) {
		uint8_t proto = i % 2 ? PROTO_TCP : PROTO_UDP;
		uint32_t client = CLIENT + ((uint32_t)random() % 200 << 24);
		uint32_t server = host32(0x0b000000 + ((uint32_t)random() & 0xffffff));

		goes_out(packet(proto, client, (uint16_t)random(), server, (uint16_t)random(),
		                TCP_SYN, (unsigned int)random() % 50));
		assert_true(router.flows.count[FLOW_TCP_HALF] +
		                router.flows.count[FLOW_UNREPLIED] ==
		            (unsigned int)i + 1);
	}
}

/* RFC 768: none stays none, and a sum of 0 is written as 0xffff. */
static void udp_sums_of_zero(void **state)
{
	(void)state;
	start("allow any from lan to any", 10);
	for (unsigned int i = 0; i < 65536; i++) {
		struct frame f = packet(PROTO_UDP, CLIENT, 40000, SERVER, 53, 0, 2);

		store16(f.ip + 28, (uint16_t)i);
		finish(&f);
		if (load16(f.ip + 26) == 0)
			store16(f.ip + 26, 0xffff);
		assert_int_equal(give(&f, LAN), FORWARD);
		assert_int_not_equal(load16(f.ip + 26), 0);
		check_sums(&f);
		free(f.ip);
	}
	struct frame f = udp(CLIENT, 40000, SERVER, 53);

	store16(f.ip + 26, 0);
	assert_int_equal(give(&f, LAN), FORWARD);
	assert_int_equal(load16(f.ip + 26), 0);
	free(f.ip);
}

static void wrong_checksums_stay_wrong(void **state)
{
	(void)state;
	start("allow any from lan to any", 10);
	for (uint16_t wrong = 1; wrong < 0x8000; wrong = (uint16_t)(wrong * 2)) {
		struct frame f = tcp(CLIENT, 40000, SERVER, 80, TCP_SYN);

		store16(transport_of(&f) + TCP_SUM, load16(transport_of(&f) + TCP_SUM) ^ wrong);
		assert_int_equal(give(&f, LAN), FORWARD);
		assert_int_equal(ip_sum(f.ip), 0xffff);
		assert_int_not_equal(transport_sum(&f), 0xffff);
		free(f.ip);
		f = tcp(CLIENT, 40000, SERVER, 80, TCP_SYN);
		store16(f.ip + IPV4_SUM, load16(f.ip + IPV4_SUM) ^ wrong);
		assert_int_equal(verdict(f, LAN), DROP);
	}
}

/* As the device gets it: the field holds the pseudo header's sum, of the new addresses. */
static void unfinished_checksums_can_be_finished(void **state)
{
	static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP};

	(void)state;
	start("allow any from lan to any", 10);
	for (size_t i = 0; i < ARRAY_LEN(protos); i++) {
		struct frame f = packet(protos[i], CLIENT, 5000, SERVER, 80, TCP_SYN, 33);
		uint8_t *sum = transport_of(&f) + sum_at(protos[i]);

		store16(sum, pseudo_sum(f.ip, transport_bytes(&f)));
		f.p.unfinished = true;
		assert_int_equal(give(&f, LAN), FORWARD);
		assert_int_equal(load16(sum), pseudo_sum(f.ip, transport_bytes(&f)));
		checksum_finish(transport_of(&f), transport_bytes(&f), sum_at(protos[i]));
		check_sums(&f);
		free(f.ip);
	}
}

static void ports_are_kept_or_chosen_and_run_out(void **state)
{
	bool seen[10] = {false};

	(void)state;
	start("allow any from lan to any", 100);
	assert_int_equal(goes_out(udp(CLIENT, 40005, SERVER, 53)), 40005);
	assert_int_equal(goes_out(udp(CLIENT, 40005, SERVER, 53)), 40005);
	seen[5] = true;
	for (unsigned int i = 0; i < 9; i++) {
		uint16_t port = goes_out(udp(CLIENT + (1 + i) * 0x01000000, 40005, SERVER, 53));

		assert_in_range(port, 40000, 40009);
		assert_false(seen[port - 40000]);
		seen[port - 40000] = true;
	}
	assert_int_equal(verdict(udp(CLIENT, 99, SERVER, 53), LAN), DROP);
	assert_int_equal(router.count[COUNT_NO_PORT], 1);
	/* Of another peer they are free. */
	assert_int_equal(goes_out(udp(CLIENT, 40005, SERVER, 54)), 40005);
	assert_in_range(goes_out(udp(CLIENT, 99, SERVER, 54)), 40000, 40009);
	/* What was silent gives its port back. */
	now += flow_class_s[FLOW_UNREPLIED] + 1;
	goes_out(udp(CLIENT, 99, SERVER, 53));
}

static void echoes_are_told_apart_by_id(void **state)
{
	struct frame f;
	uint16_t id;

	(void)state;
	start("allow any from lan to any", 100);
	assert_int_equal(verdict(packet(PROTO_ICMP, CLIENT, ICMP_ECHO, SERVER, 7, 0, 20), LAN),
	                 FORWARD);
	f = packet(PROTO_ICMP, CLIENT + 0x01000000, ICMP_ECHO, SERVER, 7, 0, 20);
	assert_int_equal(give(&f, LAN), FORWARD);
	check_sums(&f);
	id = host16(load16(transport_of(&f) + ICMP_ID));
	assert_in_range(id, 40000, 40009);
	free(f.ip);
	f = packet(PROTO_ICMP, SERVER, ICMP_ECHO_REPLY, OUTSIDE, id, 0, 20);
	assert_int_equal(give(&f, WAN), FORWARD);
	check_sums(&f);
	assert_int_equal(load32(f.ip + IPV4_DST), CLIENT + 0x01000000);
	assert_int_equal(host16(load16(transport_of(&f) + ICMP_ID)), 7);
	free(f.ip);
	f = packet(PROTO_ICMP, SERVER, ICMP_ECHO_REPLY, OUTSIDE, 7, 0, 20);
	assert_int_equal(give(&f, WAN), FORWARD);
	assert_int_equal(load32(f.ip + IPV4_DST), CLIENT);
	free(f.ip);
}

/* --- ICMP errors ------------------------------------------------------------------------------------ */

/* An error by sender about a packet, of which it quotes so many bytes. */
static struct frame error_about(const struct frame *about, uint32_t sender, uint8_t type,
                                unsigned int quoted)
{
	struct frame f =
	    packet(PROTO_ICMP, sender, type, load32(about->ip + IPV4_SRC), 0, 0, quoted);

	memcpy(transport_of(&f) + ICMP_BYTES, about->ip, quoted);
	finish(&f);
	return f;
}

/* The quoted packet is the one that was sent, TTL aside: its sums are right if all of it is there. */
static void check_quoted(const struct frame *f, const struct frame *sent, unsigned int quoted)
{
	struct frame inner = {.ip = transport_of(f) + ICMP_BYTES, .bytes = quoted};

	assert_int_equal(load32(inner.ip + IPV4_SRC), load32(sent->ip + IPV4_SRC));
	assert_int_equal(load32(inner.ip + IPV4_DST), load32(sent->ip + IPV4_DST));
	assert_memory_equal(inner.ip + 20, sent->ip + 20, quoted - 20);
	assert_int_equal(ip_sum(inner.ip), 0xffff);
}

static void errors_find_who_sent_it(void **state)
{
	static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP, PROTO_ICMP};
	static const uint8_t types[] = {ICMP_UNREACHABLE, ICMP_TIME_EXCEEDED, ICMP_PARAMETER};
	uint32_t someone = ADDRESS("192.0.2.1");

	(void)state;
	start("allow any from lan to any", 100);
	for (size_t i = 0; i < ARRAY_LEN(protos) * ARRAY_LEN(types); i++) {
		uint8_t proto = protos[i / 3];
		uint16_t sport = proto == PROTO_ICMP ? ICMP_ECHO : 5000;
		struct frame sent = packet(proto, CLIENT, sport, SERVER, 80, TCP_SYN, 30);
		struct frame out = packet(proto, CLIENT, sport, SERVER, 80, TCP_SYN, 30), f;
		unsigned int quoted = i % 2 ? sent.bytes : 28;

		assert_int_equal(give(&out, LAN), FORWARD);
		f = error_about(&out, someone, types[i % 3], quoted);
		assert_int_equal(give(&f, WAN), FORWARD);
		assert_int_equal(f.p.way->out, LAN);
		assert_int_equal(load32(f.ip + IPV4_SRC), someone);
		assert_int_equal(load32(f.ip + IPV4_DST), CLIENT);
		check_sums(&f);
		check_quoted(&f, &sent, quoted);
		free(f.ip);
		/* About what nobody sent: the router's own affair. Damaged: nobody's. */
		store16(out.ip + 22, host16(81));
		store16(out.ip + 24, host16(81));
		f = error_about(&out, someone, types[i % 3], quoted);
		if (proto != PROTO_ICMP)
			store16(transport_of(&f) + ICMP_BYTES + 22, host16(99));
		finish(&f);
		assert_int_not_equal(verdict(f, WAN), FORWARD);
		f = error_about(&out, someone, types[i % 3], quoted);
		transport_of(&f)[ICMP_BYTES + 3] ^= 1;
		assert_int_equal(verdict(f, WAN), DROP);
		free(out.ip);
		free(sent.ip);
	}
}

static void errors_from_inside_show_the_routers_address(void **state)
{
	struct frame out, answer, f;

	(void)state;
	start("allow any from lan to any", 100);
	assert_int_equal(verdict(udp(CLIENT, 40001, SERVER, 53), LAN), FORWARD);
	out = udp(SERVER, 53, OUTSIDE, 40001);
	answer = udp(SERVER, 53, OUTSIDE, 40001);
	assert_int_equal(give(&out, WAN), FORWARD);
	f = error_about(&out, CLIENT, ICMP_UNREACHABLE, out.bytes);
	assert_int_equal(give(&f, LAN), FORWARD);
	assert_int_equal(load32(f.ip + IPV4_SRC), OUTSIDE);
	assert_int_equal(load32(f.ip + IPV4_DST), SERVER);
	check_sums(&f);
	check_quoted(&f, &answer, out.bytes);
	free(f.ip);
	free(out.ip);
	free(answer.ip);
}

/* --- Refusing ------------------------------------------------------------------------------------- */

static void what_nobody_asked_for_stays_out(void **state)
{
	(void)state;
	start("allow any from lan to any", 100);
	/* From outside: to inside, to the router. */
	assert_int_equal(verdict(tcp(SERVER, 80, CLIENT, 5000, TCP_SYN), WAN), DROP);
	assert_int_equal(verdict(tcp(SERVER, 80, OUTSIDE, 80, TCP_SYN), WAN), DROP);
	assert_int_equal(verdict(packet(PROTO_ICMP, SERVER, ICMP_ECHO, OUTSIDE, 1, 0, 8), WAN),
	                 DROP);
	assert_int_equal(router.count[COUNT_DENIED], 3);
	/* From inside to the router. */
	assert_int_equal(verdict(tcp(CLIENT, 80, OUTSIDE, 80, TCP_SYN), LAN), TO_STACK);
	assert_int_equal(verdict(tcp(CLIENT, 80, ADDRESS("10.0.0.1"), 80, TCP_SYN), LAN), TO_STACK);
	/* Segments that begin nothing. */
	assert_int_equal(verdict(tcp(CLIENT, 5000, SERVER, 80, TCP_ACK), LAN), DROP);
	assert_int_equal(verdict(tcp(CLIENT, 5000, SERVER, 80, TCP_SYN | TCP_ACK), LAN), DROP);
	assert_int_equal(verdict(tcp(CLIENT, 5000, SERVER, 80, TCP_SYN | TCP_FIN), LAN), DROP);
	assert_int_equal(verdict(packet(PROTO_ICMP, CLIENT, ICMP_ECHO_REPLY, SERVER, 1, 0, 8), LAN),
	                 DROP);
	assert_int_equal(router.count[COUNT_NO_FLOW], 4);
}

static void who_is_inside_hears_no(void **state)
{
	struct frame f;

	(void)state;
	start("allow udp from lan to wan", 100);
	f = tcp(CLIENT, 5000, SERVER, 80, TCP_SYN);
	assert_int_equal(give(&f, LAN), ANSWER);
	assert_int_equal(f.p.icmp_type, ICMP_UNREACHABLE);
	assert_int_equal(f.p.icmp_code, ICMP_NOT_PERMITTED);
	free(f.ip);
}

static void addresses_that_cannot_be(void **state)
{
	static const char *const from_lan[] = {"10.0.0.255",  "10.0.0.1",  "203.0.113.2",
	                                       "8.8.8.8",     "127.0.0.1", "0.1.2.3",
	                                       "169.254.1.1", "224.0.0.1", "255.255.255.255"};
	static const char *const from_wan[] = {"10.0.0.2", "203.0.113.2", "203.0.113.255",
	                                       "127.0.0.1"};
	static const char *const to[] = {"127.0.0.1", "0.0.0.1", "169.254.1.1", "10.0.0.3",
	                                 "203.0.113.255"};

	(void)state;
	start("allow any from any to any", 100);
	router.masquerade = false;
	for (size_t i = 0; i < ARRAY_LEN(from_lan); i++)
		assert_int_equal(verdict(udp(ADDRESS(from_lan[i]), 1, SERVER, 2), LAN), DROP);
	for (size_t i = 0; i < ARRAY_LEN(from_wan); i++)
		assert_int_equal(verdict(udp(ADDRESS(from_wan[i]), 1, CLIENT, 2), WAN), DROP);
	for (size_t i = 0; i < ARRAY_LEN(to); i++)
		assert_int_equal(verdict(udp(CLIENT, 1, ADDRESS(to[i]), 2), LAN), DROP);
	assert_int_equal(router.count[COUNT_MARTIAN],
	                 ARRAY_LEN(from_lan) + ARRAY_LEN(from_wan) + ARRAY_LEN(to));
	assert_int_equal(verdict(udp(SERVER, 1, CLIENT, 2), WAN), FORWARD);
}

static void ttl_length_and_route_are_answered(void **state)
{
	struct frame f;

	(void)state;
	start("allow any from lan to any", 100);
	for (int known = 0; known < 2; known++) {
		f = udp(CLIENT, 1, SERVER, 2);
		f.ip[IPV4_TTL] = 1;
		finish(&f);
		assert_int_equal(give(&f, LAN), ANSWER);
		assert_int_equal(f.p.icmp_type, ICMP_TIME_EXCEEDED);
		free(f.ip);
		assert_int_equal(router.flows.opened, known);
		goes_out(udp(CLIENT, 1, SERVER, 2));
	}
	f = packet(PROTO_UDP, CLIENT, 1, SERVER, 2, 0, 1400);
	store16(f.ip + IPV4_FRAGMENT, host16(FRAGMENT_DONT));
	finish(&f);
	assert_int_equal(give(&f, LAN), ANSWER);
	assert_int_equal(f.p.icmp_code, ICMP_TOO_BIG);
	assert_int_equal(f.p.icmp_mtu, 1400);
	store16(f.ip + IPV4_FRAGMENT, 0);
	finish(&f);
	assert_int_equal(give(&f, LAN), FORWARD);
	assert_true(f.p.too_long);
	free(f.ip);
	router_place(&router, WAN, &(struct place){OUTSIDE, ADDRESS("255.255.255.0"), 0, 1500});
	f = udp(CLIENT, 1, SERVER, 2);
	assert_int_equal(give(&f, LAN), ANSWER);
	assert_int_equal(f.p.icmp_code, ICMP_NO_NETWORK);
	/* Never about an error, or to who cannot have asked. */
	assert_true(router_may_answer(&router, &f.p));
	store32(f.ip + IPV4_SRC, ADDRESS("10.0.0.255"));
	assert_false(router_may_answer(&router, &f.p));
	free(f.ip);
	f = packet(PROTO_ICMP, CLIENT, ICMP_UNREACHABLE, SERVER, 0, 0, 40);
	f.p = (struct packet){.ip = f.ip, .transport = transport_of(&f)};
	assert_false(router_may_answer(&router, &f.p));
	free(f.ip);
}

static void options_are_refused(void **state)
{
	struct frame f = udp(CLIENT, 1, SERVER, 2);

	(void)state;
	start("allow any from lan to any", 100);
	/* The transport header's first word counts as options: nops. */
	f.ip[0] = 0x46;
	memset(f.ip + 20, 1, 4);
	store16(f.ip + IPV4_SUM, 0);
	store16(f.ip + IPV4_SUM, (uint16_t)~sum_bytes(f.ip, 24));
	assert_int_equal(give(&f, LAN), DROP);
	assert_int_equal(router.count[COUNT_OPTIONS], 1);
	store32(f.ip + IPV4_DST, ADDRESS("10.0.0.1"));
	store16(f.ip + IPV4_SUM, 0);
	store16(f.ip + IPV4_SUM, (uint16_t)~sum_bytes(f.ip, 24));
	assert_int_equal(verdict(f, LAN), TO_STACK);
}

/* --- Fragments ------------------------------------------------------------------------------------ */

/* Bytes from offset on of a datagram, as a fragment with this id. */
static struct frame fragment(uint16_t id, unsigned int offset, bool more, unsigned int bytes)
{
	struct frame f = packet(PROTO_UDP, CLIENT, 40001, SERVER, 53, 0, bytes - 8);

	store16(f.ip + IPV4_ID, id);
	store16(f.ip + IPV4_FRAGMENT, host16((uint16_t)(offset / 8 | (more ? FRAGMENT_MORE : 0))));
	store16(f.ip + IPV4_SUM, 0);
	store16(f.ip + IPV4_SUM, (uint16_t)~ip_sum(f.ip));
	return f;
}

static void fragments_follow_the_first(void **state)
{
	struct frame f;

	(void)state;
	start("allow any from lan to any", 100);
	assert_int_equal(verdict(fragment(1, 800, false, 80), LAN), DROP);
	assert_int_equal(verdict(fragment(1, 0, true, 800), LAN), FORWARD);
	f = fragment(1, 800, false, 80);
	assert_int_equal(give(&f, LAN), FORWARD);
	assert_int_equal(ip_sum(f.ip), 0xffff);
	assert_int_equal(load32(f.ip + IPV4_SRC), OUTSIDE);
	/* Its first bytes are no ports. */
	assert_int_equal(host16(load16(f.ip + 20)), 40001);
	free(f.ip);
	/* Of another datagram, from another side, too early in it, too late. */
	assert_int_equal(verdict(fragment(2, 800, false, 80), LAN), DROP);
	assert_int_equal(verdict(fragment(1, 800, false, 80), WAN), DROP);
	assert_int_equal(verdict(fragment(1, 16, false, 80), LAN), DROP);
	now += 31;
	assert_int_equal(verdict(fragment(1, 800, false, 80), LAN), DROP);
	/* The flow is no more. */
	assert_int_equal(verdict(fragment(3, 0, true, 800), LAN), FORWARD);
	flows_clear(&router.flows);
	assert_int_equal(verdict(fragment(3, 800, false, 80), LAN), DROP);
	assert_int_equal(router.count[COUNT_FRAGMENT], 6);
}

static void first_fragments_hold_the_header(void **state)
{
	struct frame f = packet(PROTO_TCP, CLIENT, 5000, SERVER, 80, TCP_SYN, 0);

	(void)state;
	start("allow any from lan to any", 100);
	f.bytes = 36; /* without the flags' neighbours */
	store16(f.ip + IPV4_TOTAL, host16(36));
	store16(f.ip + IPV4_FRAGMENT, host16(FRAGMENT_MORE));
	store16(f.ip + IPV4_SUM, 0);
	store16(f.ip + IPV4_SUM, (uint16_t)~ip_sum(f.ip));
	assert_int_equal(verdict(f, LAN), DROP);
	assert_int_equal(router.count[COUNT_FRAGMENT], 1);
}

/* --- The table --------------------------------------------------------------------------------------- */

static void handshake(uint16_t port)
{
	assert_int_equal(verdict(tcp(CLIENT, port, SERVER, 80, TCP_SYN), LAN), FORWARD);
	assert_int_equal(verdict(tcp(SERVER, 80, OUTSIDE, port, TCP_SYN | TCP_ACK), WAN), FORWARD);
	assert_int_equal(verdict(tcp(CLIENT, port, SERVER, 80, TCP_ACK), LAN), FORWARD);
}

static bool server_reaches(uint16_t port)
{
	return verdict(tcp(SERVER, 80, OUTSIDE, port, TCP_ACK), WAN) == FORWARD;
}

static void a_flood_displaces_itself(void **state)
{
	(void)state;
	start("allow any from lan to any", 8);
	for (uint16_t i = 0; i < 4; i++)
		handshake((uint16_t)(40000 + i));
	for (unsigned int i = 0; i < 1000; i++, now += i % 3 == 0) {
		uint32_t server = host32(host32(SERVER) + i);

		/* A SYN that is answered is none the better for it. */
		assert_int_equal(verdict(tcp(CLIENT, 40009, server, 80, TCP_SYN), LAN), FORWARD);
		assert_int_equal(verdict(tcp(server, 80, OUTSIDE, 40009, TCP_SYN | TCP_ACK), WAN),
		                 FORWARD);
	}
	assert_true(router.flows.evicted > 900);
	for (uint16_t i = 0; i < 4; i++)
		assert_true(server_reaches((uint16_t)(40000 + i)));
	assert_int_equal(router.flows.count[FLOW_TCP], 4);
}

static void full_of_established_ones_is_full(void **state)
{
	(void)state;
	start("allow any from lan to any", 4);
	for (uint16_t i = 0; i < 4; i++)
		handshake((uint16_t)(40000 + i));
	assert_int_equal(verdict(tcp(CLIENT, 40009, SERVER, 80, TCP_SYN), LAN), DROP);
	assert_int_equal(router.count[COUNT_FULL], 1);
	now += flow_class_s[FLOW_TCP] + 1;
	handshake(40009);
	assert_int_equal(router.flows.expired, 4);
}

static void connections_end_after_silence(void **state)
{
	(void)state;
	start("allow any from lan to any", 100);
	handshake(40001);
	now += flow_class_s[FLOW_TCP];
	assert_true(server_reaches(40001));
	now += flow_class_s[FLOW_TCP] + 1;
	assert_false(server_reaches(40001));
	/* Both FINs: the short time. */
	handshake(40002);
	verdict(tcp(CLIENT, 40002, SERVER, 80, TCP_FIN | TCP_ACK), LAN);
	assert_int_equal(router.flows.count[FLOW_TCP], 1);
	verdict(tcp(SERVER, 80, OUTSIDE, 40002, TCP_FIN | TCP_ACK), WAN);
	assert_int_equal(router.flows.count[FLOW_TCP], 0);
	assert_true(server_reaches(40002));
	assert_int_equal(router.flows.count[FLOW_TCP_HALF], 1);
	/* The port again. */
	handshake(40002);
	assert_int_equal(router.flows.count[FLOW_TCP], 1);
	/* A stranger's RST does not last. */
	verdict(tcp(SERVER, 80, OUTSIDE, 40002, TCP_RST), WAN);
	assert_int_equal(router.flows.count[FLOW_TCP], 0);
	assert_true(server_reaches(40002));
	assert_int_equal(router.flows.count[FLOW_TCP], 1);
	verdict(tcp(SERVER, 80, OUTSIDE, 40002, TCP_RST), WAN);
	now += flow_class_s[FLOW_TCP_HALF] + 1;
	assert_false(server_reaches(40002));
}

static void a_new_address_forgets_all(void **state)
{
	struct place place;

	(void)state;
	start("allow any from lan to any", 100);
	handshake(40001);
	place = router.place[WAN];
	router_place(&router, WAN, &place);
	assert_true(server_reaches(40001));
	place.address = ADDRESS("203.0.113.3");
	router_place(&router, WAN, &place);
	assert_false(server_reaches(40001));
}

static void plain_routing_changes_no_address(void **state)
{
	struct frame f = tcp(SERVER, 80, CLIENT, 5000, TCP_SYN);

	(void)state;
	start("allow tcp from wan to lan port 5000", 100);
	router.masquerade = false;
	assert_int_equal(give(&f, WAN), FORWARD);
	check_sums(&f);
	check_ends(&f, SERVER, 80, CLIENT, 5000);
	free(f.ip);
	f = tcp(CLIENT, 5000, SERVER, 80, TCP_SYN | TCP_ACK);
	assert_int_equal(give(&f, LAN), FORWARD);
	check_sums(&f);
	check_ends(&f, CLIENT, 5000, SERVER, 80);
	free(f.ip);
}

/* --- Anything -------------------------------------------------------------------------------------- */

/* A packet of any kind, near to what the router has in its table. */
static struct frame some_packet(void)
{
	static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP, PROTO_ICMP, 47};
	bool in = random() % 2;
	uint8_t proto = protos[random() % 4];
	uint16_t a = (uint16_t)(40000 + random() % 4), b = (uint16_t)(80 + random() % 2);
	unsigned int quoted;
	struct frame about, f;

	f = packet(proto, in ? SERVER : CLIENT,
	           proto == PROTO_ICMP ? (in ? 0 : 8)
	           : in                ? b
	                               : a,
	           in ? OUTSIDE : SERVER, in ? a : b, (uint8_t)random(),
	           (unsigned int)random() % 60);
	if (random() % 3)
		return f;
	about = f;
	quoted = 20 + (unsigned int)random() % 40;
	f = error_about(&about, SERVER, (uint8_t[]){3, 11, 12, 5}[random() % 4],
	                MIN(about.bytes, quoted));
	free(about.ip);
	return f;
}

/* Damage it; usually with its checksums made right again, so that what is behind them sees it. */
static void damage(struct frame *f)
{
	for (long i = random() % 4; i > 0; i--)
		f->ip[(size_t)random() % MIN(f->bytes, 60)] = (uint8_t)random();
	if (random() % 4 == 0) {
		f->bytes = (unsigned int)random() % (f->bytes + 1);
		f->ip = realloc(f->ip, f->bytes + !f->bytes);
	}
	if (f->bytes >= 20 && random() % 8) {
		unsigned int header = (f->ip[0] & 15u) * 4;

		if (random() % 2)
			f->ip[0] = 0x45, header = 20;
		if (random() % 2)
			store16(f->ip + IPV4_TOTAL, host16((uint16_t)f->bytes));
		if (header >= 20 && header <= f->bytes) {
			store16(f->ip + IPV4_SUM, 0);
			store16(f->ip + IPV4_SUM, (uint16_t)~sum_bytes(f->ip, header));
		}
		if (f->ip[IPV4_PROTO] == PROTO_ICMP && header >= 20 && f->bytes >= header + 8) {
			store16(f->ip + header + 2, 0);
			store16(f->ip + header + 2,
			        (uint16_t)~sum_bytes(f->ip + header, f->bytes - header));
		}
	}
}

static void check_table(void)
{
	unsigned int total = 0;

	for (int c = 0; c < FLOW_CLASSES; c++)
		total += router.flows.count[c];
	assert_true(total <= router.flows.flow_max);
}

static void any_bytes_do_no_harm(void **state)
{
	unsigned int forwarded = 0, passed = 0;

	(void)state;
	start("allow any from lan to any; allow icmp from wan to router", 16);
	srandom(3);
	for (int i = 0; i < 300000; i++) {
		struct frame f = some_packet();
		enum side side = random() % 2 ? LAN : WAN;
		unsigned int bytes;

		if (i % 4)
			damage(&f);
		f.p.unfinished = random() % 4 == 0;
		give(&f, side);
		bytes = f.p.total;
		if (f.v == FORWARD) {
			forwarded++;
			assert_true(bytes <= f.bytes && bytes >= 20);
			assert_int_equal(ip_sum(f.ip), 0xffff);
			assert_int_not_equal(f.p.way->out, side);
			if (side == LAN)
				assert_int_equal(load32(f.ip + IPV4_SRC), OUTSIDE);
		}
		passed += f.v == TO_STACK;
		free(f.ip);
		now += random() % 50 == 0;
		check_table();
	}
	assert_true(forwarded > 20000 && passed > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_first_rule_that_fits_decides),
	    cmocka_unit_test(mistakes_in_rules_are_named),
	    cmocka_unit_test(mutated_rules_do_no_harm),
	    cmocka_unit_test(the_hash_is_siphash),
	    cmocka_unit_test(answers_come_back),
	    cmocka_unit_test(every_checksum_stays_right),
	    cmocka_unit_test(udp_sums_of_zero),
	    cmocka_unit_test(wrong_checksums_stay_wrong),
	    cmocka_unit_test(unfinished_checksums_can_be_finished),
	    cmocka_unit_test(ports_are_kept_or_chosen_and_run_out),
	    cmocka_unit_test(echoes_are_told_apart_by_id),
	    cmocka_unit_test(errors_find_who_sent_it),
	    cmocka_unit_test(errors_from_inside_show_the_routers_address),
	    cmocka_unit_test(what_nobody_asked_for_stays_out),
	    cmocka_unit_test(who_is_inside_hears_no),
	    cmocka_unit_test(addresses_that_cannot_be),
	    cmocka_unit_test(ttl_length_and_route_are_answered),
	    cmocka_unit_test(options_are_refused),
	    cmocka_unit_test(fragments_follow_the_first),
	    cmocka_unit_test(first_fragments_hold_the_header),
	    cmocka_unit_test(a_flood_displaces_itself),
	    cmocka_unit_test(full_of_established_ones_is_full),
	    cmocka_unit_test(connections_end_after_silence),
	    cmocka_unit_test(a_new_address_forgets_all),
	    cmocka_unit_test(plain_routing_changes_no_address),
	    cmocka_unit_test(any_bytes_do_no_harm),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);

	flows_free(&router.flows);
	return r;
}
