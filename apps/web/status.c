/* SPDX-License-Identifier: Apache-2.0 */
/* status.h: gathered once a request, then written as JSON or as Prometheus metrics. */
#include <inttypes.h>
#include <string.h>
#include <pith/compiler.h>
#include <pith/crash.h>
#include <pith/file.h>
#include <pith/machine.h>
#include <pith/net.h>
#include <pith/ota.h>
#include <pith/page.h>
#include <pith/pull.h>
#include <pith/push.h>
#include <pith/thread.h>
#include <pith/time.h>
#include "status.h"

#define THREADS_MAX 64 /* more are counted but not shown */

static const struct http_server *server;

static struct {
	uint64_t uptime_ns;
	struct memory_info memory;
	size_t thread_count, threads_shown;
	struct thread_info threads[THREADS_MAX];
	struct net_status net;
	struct http_stats http;
	struct ota_status ota;
} now;

void status_init(const struct http_server *s)
{
	server = s;
}

static void gather(void)
{
	now.uptime_ns = time_now_ns();
	memory_info(&now.memory);
	now.thread_count = thread_list(now.threads, THREADS_MAX);
	now.threads_shown = MIN(now.thread_count, THREADS_MAX);
	net_status(&now.net);
	http_stats(server, &now.http);
	ota_status(&now.ota);
}

/* Nanoseconds as seconds with all their digits: no rounding, no floating point. */
#define SECONDS        "%" PRIu64 ".%09u"
#define SECONDS_OF(ns) (uint64_t)((ns) / NS_PER_S), (unsigned int)((ns) % NS_PER_S)

/* How bad_version failed, to be read behind "the new image": tools/ota and the page do. */
_Static_assert(OTA_TRIAL_MS == 30000, "it is said below");
static const char *failure(void)
{
	static const struct {
		const char *why, *failure;
	} failures[] = {
	    {"damaged", "was damaged"},    {"unconfirmed", "did not confirm within 30 s"},
	    {"panic", "crashed"},          {"watchdog", "hung"},
	    {"exit", "ended its program"}, {"network", "had no network"},
	};

	for (size_t i = 0; i < ARRAY_LEN(failures); i++)
		if (strcmp(now.ota.why, failures[i].why) == 0)
			return failures[i].failure;
	return "";
}

/* What is known of how it crashed, if it did. */
static const char *crash_cause(void)
{
	const struct crash_record *crash = crash_last();

	return crash && crash->version == now.ota.bad_version ? crash->cause : "";
}

/* --- JSON (RFC 8259) ------------------------------------------------------------------------- */

static void json_string(struct http_request *rq, const char *s)
{
	http_write(rq, "\"", 1);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 ||
		    c >= 0x7f) /* what is not ASCII is taken for Latin-1, not trusted as UTF-8 */
			http_printf(rq, "\\u%04x", c);
		else if (c == '"' || c == '\\')
			http_printf(rq, "\\%c", c);
		else
			http_write(rq, s, 1);
	}
	http_write(rq, "\"", 1);
}

static void json_member(struct http_request *rq, const char *name, const char *value)
{
	http_printf(rq, ",\"%s\":", name);
	json_string(rq, value);
}

static void json_image(struct http_request *rq)
{
	http_printf(rq, "\"image\":{\"name\":");
	json_string(rq, image_name);
	json_member(rq, "version", image_version);
	json_member(rq, "build_id", image_build_id());
	http_printf(rq, "}");
}

static void json_memory(struct http_request *rq)
{
	const struct memory_info *m = &now.memory;

	http_printf(rq,
	            ",\"memory\":{\"total_bytes\":%zu,\"used_bytes\":%zu,\"used_max_bytes\":%zu,"
	            "\"heap_used_bytes\":%zu,\"heap_used_max_bytes\":%zu}",
	            m->total_bytes, m->total_bytes - m->free_bytes, m->used_max_bytes,
	            m->heap_used_bytes, m->heap_used_max_bytes);
}

static void json_threads(struct http_request *rq)
{
	http_printf(rq, ",\"threads\":[");
	for (size_t i = 0; i < now.threads_shown; i++) {
		const struct thread_info *t = &now.threads[i];

		http_printf(rq, "%s{\"name\":", i ? "," : "");
		json_string(rq, t->name);
		json_member(rq, "state", t->state);
		http_printf(rq,
		            ",\"priority\":%d,\"stack_bytes\":%zu,\"stack_used_max_bytes\":%zu,"
		            "\"run_s\":" SECONDS "}",
		            t->priority, t->stack_bytes, t->stack_used_max_bytes,
		            SECONDS_OF(t->run_ns));
	}
	http_printf(rq, "]");
}

static void json_interface(struct http_request *rq, const struct net_interface_status *n)
{
	const struct netdev_stats *d = &n->device;

	http_printf(rq, "{\"name\":");
	json_string(rq, n->name);
	http_printf(rq, ",\"mac\":\"%02x:%02x:%02x:%02x:%02x:%02x\",\"mtu\":%u,\"link_up\":%s",
	            n->mac[0], n->mac[1], n->mac[2], n->mac[3], n->mac[4], n->mac[5], n->mtu,
	            n->link_up ? "true" : "false");
	http_printf(rq, ",\"broken\":%s", n->broken ? "true" : "false");
	json_member(rq, "dhcp", n->dhcp);
	json_member(rq, "gateway", n->gateway);
	json_member(rq, "gateway6", n->gateway6);
	http_printf(rq, ",\"addresses\":[");
	for (unsigned int i = 0; i < n->address_count; i++)
		http_printf(rq, "%s\"%s/%u\"", i ? "," : "", n->address[i].text,
		            n->address[i].prefix_bits);
	http_printf(rq,
	            "],\"rx_frames\":%" PRIu64 ",\"rx_bytes\":%" PRIu64 ",\"rx_dropped\":%" PRIu64
	            ",\"rx_errors\":%" PRIu64,
	            d->rx_frames, d->rx_bytes, d->rx_dropped, d->rx_errors);
	http_printf(rq,
	            ",\"tx_frames\":%" PRIu64 ",\"tx_bytes\":%" PRIu64 ",\"tx_dropped\":%" PRIu64
	            ",\"tx_errors\":%" PRIu64 ",\"interrupts\":%" PRIu64 "}",
	            d->tx_frames, d->tx_bytes, d->tx_dropped, d->tx_errors, d->interrupts);
}

static void json_network(struct http_request *rq)
{
	http_printf(rq, ",\"network\":{\"hostname\":");
	json_string(rq, now.net.hostname);
	http_printf(rq, ",\"interfaces\":[");
	for (unsigned int i = 0; i < now.net.interface_count; i++) {
		http_printf(rq, i ? "," : "");
		json_interface(rq, &now.net.interface[i]);
	}
	http_printf(rq, "],\"dns\":[");
	for (unsigned int i = 0; i < now.net.dns_count; i++)
		http_printf(rq, "%s\"%s\"", i ? "," : "", now.net.dns[i]);
	http_printf(rq,
	            "],\"sockets\":%u,\"memory_bytes\":%zu,\"memory_max_bytes\":%zu,"
	            "\"memory_cap_bytes\":%zu}",
	            now.net.sockets, now.net.memory_used_bytes, now.net.memory_used_max_bytes,
	            now.net.memory_cap_bytes);
}

static void json_http(struct http_request *rq)
{
	const struct http_stats *h = &now.http;

	http_printf(
	    rq,
	    ",\"http\":{\"requests\":%" PRIu64 ",\"connections\":%" PRIu64
	    ",\"connections_now\":%u,\"connections_max\":%u,\"connections_refused\":%" PRIu64,
	    h->requests, h->connections, h->connections_now, h->connections_max,
	    h->connections_refused);
	http_printf(rq, ",\"responses\":{");
	for (int i = 0; i < 5; i++)
		http_printf(rq, "%s\"%dxx\":%" PRIu64, i ? "," : "", i + 1, h->responses[i]);
	http_printf(rq,
	            "},\"timeouts\":%" PRIu64 ",\"out_of_memory\":%" PRIu64
	            ",\"body_in_bytes\":%" PRIu64 ",\"out_bytes\":%" PRIu64 "}",
	            h->timeouts, h->out_of_memory, h->body_in_bytes, h->out_bytes);
}

static void json_version(struct http_request *rq, const char *name, uint32_t version)
{
	char text[VERSION_TEXT_BYTES];

	if (version)
		json_member(rq, name, version_format(version, text));
	else
		http_printf(rq, ",\"%s\":null", name);
}

static void json_slot(struct http_request *rq, const char *name, char slot)
{
	http_printf(rq, slot ? ",\"%s\":\"%c\"" : ",\"%s\":null", name, slot);
}

static void json_pull(struct http_request *rq)
{
	struct pull_status p;

	pull_status(&p);
	http_printf(rq, ",\"pull\":{\"on\":%s", p.on ? "true" : "false");
	json_member(rq, "outcome", p.outcome);
	http_printf(rq, ",\"failures\":%u,\"next_look_s\":%" PRIu32 "}", p.failures, p.next_look_s);
}

static void json_ota(struct http_request *rq)
{
	static const char *const phases[] = {"idle", "writing", "verifying", "ready", "activated"};
	const struct ota_status *o = &now.ota;

	http_printf(rq, ",\"ota\":{\"push\":%s", push_enabled() ? "true" : "false");
	json_slot(rq, "running", o->running);
	json_slot(rq, "active", o->active);
	http_printf(rq, ",\"trial\":%s,\"trial_left_s\":%u.%03u,\"slots\":[",
	            o->trial ? "true" : "false", o->trial_left_ms / 1000, o->trial_left_ms % 1000);
	for (int i = 0; i < 2; i++) {
		http_printf(rq, "%s{\"name\":\"%c\",\"confirmed\":%s", i ? "," : "", 'A' + i,
		            o->slot[i].confirmed ? "true" : "false");
		json_version(rq, "version", o->slot[i].version);
		http_printf(rq, "}");
	}
	http_printf(rq, "]");
	json_version(rq, "min_version", o->min_version);
	json_version(rq, "failed_version", o->bad_version);
	json_member(rq, "why", o->why);
	json_member(rq, "failure", failure());
	json_member(rq, "crash", crash_cause());
	http_printf(rq, ",\"faults\":%u,\"retries\":%u", o->faults, o->retries);
	json_member(rq, "phase", phases[o->phase]);
	http_printf(rq, ",\"file_bytes\":%" PRIu64 ",\"done_bytes\":%" PRIu64, o->file_bytes,
	            o->done_bytes);
	json_pull(rq);
	http_printf(rq, "}");
}

int status_json(struct http_request *rq)
{
	gather();
	http_printf(rq, "{");
	json_image(rq);
	json_member(rq, "machine", machine_model());
	json_member(rq, "reset_reason", machine_reset_reason());
	http_printf(rq, ",\"uptime_s\":" SECONDS, SECONDS_OF(now.uptime_ns));
	if (time_realtime_valid())
		http_printf(rq, ",\"unix_time_s\":%" PRIu64,
		            (uint64_t)(time_realtime_ns() / NS_PER_S));
	else
		http_printf(rq, ",\"unix_time_s\":null");
	http_printf(rq, ",\"descriptors\":%zu,\"thread_count\":%zu", fd_count(), now.thread_count);
	json_memory(rq);
	json_threads(rq);
	json_network(rq);
	json_http(rq);
	json_ota(rq);
	http_printf(rq, "}\n");
	return http_reply(rq, 200, "application/json");
}

/* --- Prometheus text format 0.0.4 ------------------------------------------------------------ */

/* A label's value: backslash, quote and newline are escaped. */
static void label(struct http_request *rq, const char *name, const char *value)
{
	http_printf(rq, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\n')
			http_printf(rq, "\\n");
		else if (*value == '"' || *value == '\\')
			http_printf(rq, "\\%c", *value);
		else
			http_write(rq, value, 1);
	}
	http_printf(rq, "\"");
}

static void family(struct http_request *rq, const char *name, const char *type, const char *help)
{
	http_printf(rq, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void gauge(struct http_request *rq, const char *name, const char *help, uint64_t value)
{
	family(rq, name, "gauge", help);
	http_printf(rq, "%s %" PRIu64 "\n", name, value);
}

static void counter(struct http_request *rq, const char *name, const char *help, uint64_t value)
{
	family(rq, name, "counter", help);
	http_printf(rq, "%s %" PRIu64 "\n", name, value);
}

static void metrics_machine(struct http_request *rq)
{
	const struct memory_info *m = &now.memory;

	family(rq, "pith_info", "gauge", "What runs on which machine, and why it was reset last.");
	http_printf(rq, "pith_info{");
	label(rq, "image", image_name);
	http_printf(rq, ",");
	label(rq, "version", image_version);
	http_printf(rq, ",");
	label(rq, "build_id", image_build_id());
	http_printf(rq, ",");
	label(rq, "machine", machine_model());
	http_printf(rq, ",");
	label(rq, "reset_reason", machine_reset_reason());
	http_printf(rq, "} 1\n");
	family(rq, "pith_uptime_seconds", "gauge", "Time since reset.");
	http_printf(rq, "pith_uptime_seconds " SECONDS "\n", SECONDS_OF(now.uptime_ns));
	gauge(rq, "pith_memory_bytes", "RAM that programs can use.", m->total_bytes);
	gauge(rq, "pith_memory_used_bytes", "RAM in use.", m->total_bytes - m->free_bytes);
	gauge(rq, "pith_memory_used_max_bytes", "Most RAM ever in use.", m->used_max_bytes);
	gauge(rq, "pith_heap_used_bytes", "Bytes that malloc handed out.", m->heap_used_bytes);
	gauge(rq, "pith_heap_used_max_bytes", "Most bytes that malloc ever handed out.",
	      m->heap_used_max_bytes);
	gauge(rq, "pith_open_descriptors", "Open file descriptors.", fd_count());
	gauge(rq, "pith_threads", "Threads.", now.thread_count);
}

/* Threads may share a name: the index keeps their samples apart. */
static void thread_sample(struct http_request *rq, const char *metric, size_t i)
{
	http_printf(rq, "%s{index=\"%zu\",", metric, i);
	label(rq, "thread", now.threads[i].name);
	http_printf(rq, "} ");
}

static void metrics_threads(struct http_request *rq)
{
	family(rq, "pith_thread_run_seconds_total", "counter", "Processor time of a thread.");
	for (size_t i = 0; i < now.threads_shown; i++) {
		thread_sample(rq, "pith_thread_run_seconds_total", i);
		http_printf(rq, SECONDS "\n", SECONDS_OF(now.threads[i].run_ns));
	}
	family(rq, "pith_thread_stack_bytes", "gauge", "Size of a thread's stack.");
	for (size_t i = 0; i < now.threads_shown; i++) {
		thread_sample(rq, "pith_thread_stack_bytes", i);
		http_printf(rq, "%zu\n", now.threads[i].stack_bytes);
	}
	family(rq, "pith_thread_stack_used_max_bytes", "gauge", "Most stack a thread ever used.");
	for (size_t i = 0; i < now.threads_shown; i++) {
		thread_sample(rq, "pith_thread_stack_used_max_bytes", i);
		http_printf(rq, "%zu\n", now.threads[i].stack_used_max_bytes);
	}
}

static void metrics_devices(struct http_request *rq)
{
	static const struct {
		const char *name, *help;
		size_t offset;
	} counters[] = {
#define COUNTER(field, text) \
	{"pith_net_" #field "_total", text, offsetof(struct netdev_stats, field)}
	    COUNTER(rx_frames, "Frames received."),
	    COUNTER(rx_bytes, "Bytes received."),
	    COUNTER(rx_dropped, "Received frames dropped."),
	    COUNTER(rx_errors, "Frames received broken."),
	    COUNTER(rx_no_buffer, "Times that no receive buffer was left."),
	    COUNTER(tx_frames, "Frames sent."),
	    COUNTER(tx_bytes, "Bytes sent."),
	    COUNTER(tx_dropped, "Frames dropped instead of sent."),
	    COUNTER(tx_errors, "Frames that the device failed to send."),
	    COUNTER(tx_ring_full, "Times that the transmit ring was full."),
	    COUNTER(interrupts, "Interrupts."),
#undef COUNTER
	};

	for (size_t c = 0; c < ARRAY_LEN(counters); c++) {
		family(rq, counters[c].name, "counter", counters[c].help);
		for (unsigned int i = 0; i < now.net.interface_count; i++) {
			const struct net_interface_status *n = &now.net.interface[i];

			http_printf(rq, "%s{", counters[c].name);
			label(rq, "interface", n->name);
			http_printf(
			    rq, "} %" PRIu64 "\n",
			    *(const uint64_t *)((const char *)&n->device + counters[c].offset));
		}
	}
	family(rq, "pith_net_link_up", "gauge", "Whether the link is up.");
	for (unsigned int i = 0; i < now.net.interface_count; i++) {
		http_printf(rq, "pith_net_link_up{");
		label(rq, "interface", now.net.interface[i].name);
		http_printf(rq, "} %d\n", now.net.interface[i].link_up);
	}
}

static void metrics_protocols(struct http_request *rq)
{
	const struct net_status *n = &now.net;
	const struct {
		const char *name;
		const struct net_protocol_status *status;
	} protocols[] = {
	    {"ip4", &n->ip4},     {"ip6", &n->ip6}, {"icmp4", &n->icmp4},
	    {"icmp6", &n->icmp6}, {"udp", &n->udp}, {"tcp", &n->tcp},
	};
	static const struct {
		const char *name, *help;
		size_t offset;
	} counters[] = {
#define COUNTER(field, text) \
	{"pith_protocol_" #field "_total", text, offsetof(struct net_protocol_status, field)}
	    COUNTER(received, "Packets received."),
	    COUNTER(sent, "Packets sent."),
	    COUNTER(dropped, "Packets dropped."),
	    COUNTER(bad_checksum, "Packets with a wrong checksum."),
	    COUNTER(bad, "Packets otherwise broken."),
	    COUNTER(no_memory, "Packets lost for lack of memory."),
#undef COUNTER
	};

	for (size_t c = 0; c < ARRAY_LEN(counters); c++) {
		family(rq, counters[c].name, "counter", counters[c].help);
		for (size_t i = 0; i < ARRAY_LEN(protocols); i++)
			http_printf(rq, "%s{protocol=\"%s\"} %" PRIu32 "\n", counters[c].name,
			            protocols[i].name,
			            *(const uint32_t *)((const char *)protocols[i].status +
			                                counters[c].offset));
	}
	counter(rq, "pith_udp_overflows_total", "Datagrams dropped for a full socket.",
	        n->udp_overflows);
	gauge(rq, "pith_net_memory_bytes", "Memory that the network stack uses.",
	      n->memory_used_bytes);
	gauge(rq, "pith_net_memory_max_bytes", "Most memory that the network stack ever used.",
	      n->memory_used_max_bytes);
	counter(rq, "pith_net_memory_refused_total", "Times that the network stack got no memory.",
	        n->memory_refused);
	gauge(rq, "pith_sockets", "Open sockets.", n->sockets);
}

static void metrics_http(struct http_request *rq)
{
	const struct http_stats *h = &now.http;

	counter(rq, "pith_http_requests_total", "Requests answered.", h->requests);
	family(rq, "pith_http_responses_total", "counter", "Responses by class.");
	for (int i = 0; i < 5; i++)
		http_printf(rq, "pith_http_responses_total{class=\"%dxx\"} %" PRIu64 "\n", i + 1,
		            h->responses[i]);
	counter(rq, "pith_http_connections_total", "Connections accepted.", h->connections);
	counter(rq, "pith_http_connections_refused_total", "Connections refused with 503.",
	        h->connections_refused);
	counter(rq, "pith_http_timeouts_total", "Connections closed for slowness.", h->timeouts);
	counter(rq, "pith_http_out_of_memory_total",
	        "Answers or connections lost for lack of memory.", h->out_of_memory);
	counter(rq, "pith_http_received_body_bytes_total", "Bytes of request bodies.",
	        h->body_in_bytes);
	counter(rq, "pith_http_sent_bytes_total", "Bytes of answers.", h->out_bytes);
	gauge(rq, "pith_http_connections", "Connections now.", h->connections_now);
}

/* Versions as the numbers they are (pith/version.h), so that alerts can compare them; 0: none. */
static void metrics_ota(struct http_request *rq)
{
	const struct ota_status *o = &now.ota;
	char text[VERSION_TEXT_BYTES];

	family(rq, "pith_ota_slot_version", "gauge",
	       "Version of the image in a slot, as a number.");
	for (int i = 0; i < 2; i++)
		http_printf(rq, "pith_ota_slot_version{slot=\"%c\",version=\"%s\"} %" PRIu32 "\n",
		            'A' + i, version_format(o->slot[i].version, text), o->slot[i].version);
	family(rq, "pith_ota_slot_confirmed", "gauge", "Whether that image is known to work.");
	for (int i = 0; i < 2; i++)
		http_printf(rq, "pith_ota_slot_confirmed{slot=\"%c\"} %d\n", 'A' + i,
		            o->slot[i].confirmed);
	family(rq, "pith_ota_slot_running", "gauge", "Whether this machine runs that image.");
	for (int i = 0; i < 2; i++)
		http_printf(rq, "pith_ota_slot_running{slot=\"%c\"} %d\n", 'A' + i,
		            o->running == 'A' + i);
	gauge(rq, "pith_ota_trial", "Whether the running image is not confirmed yet.", o->trial);
	family(rq, "pith_ota_trial_left_seconds", "gauge", "Time left to confirm it.");
	http_printf(rq, "pith_ota_trial_left_seconds %u.%03u\n", o->trial_left_ms / 1000,
	            o->trial_left_ms % 1000);
	gauge(rq, "pith_ota_min_version", "No lower version is accepted.", o->min_version);
	family(rq, "pith_ota_failed_version", "gauge", "The version that failed last, and why.");
	http_printf(rq, "pith_ota_failed_version{");
	label(rq, "why", o->why);
	http_printf(rq, ",version=\"%s\"} %" PRIu32 "\n", version_format(o->bad_version, text),
	            o->bad_version);
	gauge(rq, "pith_ota_faults", "Abnormal resets in a row.", o->faults);
	gauge(rq, "pith_ota_written_bytes", "Bytes of the update under way.", o->done_bytes);
}

int status_metrics(struct http_request *rq)
{
	gather();
	metrics_machine(rq);
	metrics_threads(rq);
	metrics_devices(rq);
	metrics_protocols(rq);
	metrics_http(rq);
	metrics_ota(rq);
	return http_reply(rq, 200, "text/plain; version=0.0.4; charset=utf-8");
}
