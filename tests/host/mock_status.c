/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What apps/web asks of the kernel, made up, so that it runs on Linux as build/host/web: to work on
 * its page, and to test what it says with strings that no machine should have.
 *
 *	make build/host/web && (cd apps/web && PORT=8081 ../../build/host/web)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <pith/file.h>
#include <pith/machine.h>
#include <pith/net.h>
#include <pith/page.h>
#include <pith/thread.h>
#include <pith/time.h>

const char image_name[] = "web";
const char image_version[] = "0.1.0";
const char *image_build_id(void)
{
	return "0123456789abcdef0123456789abcdef01234567";
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t time_now_ns(void)
{
	static uint64_t start;

	if (start == 0)
		start = clock_ns(CLOCK_MONOTONIC) - 2 * NS_PER_S;
	return clock_ns(CLOCK_MONOTONIC) - start;
}

uint64_t time_realtime_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

bool time_realtime_valid(void)
{
	return true;
}

const char *machine_model(void)
{
	const char *model = getenv("MODEL");

	return model ? model : "linux,dummy-virt";
}

const char *machine_reset_reason(void)
{
	return "power-on";
}

size_t fd_count(void)
{
	return 9;
}

void memory_info(struct memory_info *info)
{
	*info = (struct memory_info){
	    .total_bytes = 128 << 20,
	    .free_bytes = (121 << 20) + (size_t)(rand() % 1000) * 100,
	    .used_max_bytes = 9 << 20,
	    .heap_used_bytes = 301000,
	    .heap_used_max_bytes = 412000,
	};
}

size_t thread_list(struct thread_info *info, size_t max)
{
	static const struct thread_info threads[] = {
	    {"idle", "ready", PRIO_IDLE, 16384, 1200, 0},
	    {"main", "running", PRIO_APP, 65536, 9320, 0},
	    {"net", "waiting", PRIO_NET, 16384, 3100, 0},
	    {"watchdog", "sleeping", PRIO_WATCHDOG, 4096, 3900, 0},
	};
	static uint64_t busy_ns, last_ns;
	uint64_t now = time_now_ns();

	busy_ns += (now - last_ns) * (uint64_t)(rand() % 12) / 100;
	last_ns = now;
	for (size_t i = 0; i < ARRAY_LEN(threads) && i < max; i++)
		info[i] = threads[i];
	info[0].run_ns = now - busy_ns;
	info[1].run_ns = busy_ns * 3 / 4;
	info[2].run_ns = busy_ns / 4;
	return ARRAY_LEN(threads);
}

unsigned int net_connections_max(size_t ram_bytes)
{
	return (unsigned int)(ram_bytes >> 17);
}

int net_wait_up(uint64_t deadline_ns)
{
	(void)deadline_ns;
	return 0;
}

void net_status(struct net_status *status)
{
	static uint64_t in, out;

	in += (uint64_t)rand() % 3000;
	out += (uint64_t)rand() % 9000;
	*status = (struct net_status){.interface_count = 1, .dns_count = 1};
	status->interface[0] = (struct net_interface_status){
	    .name = "net0",
	    .mac = {0x52, 0x54, 0, 0x12, 0x34, 0x56},
	    .mtu = 1500,
	    .link_up = true,
	    .dhcp = "bound",
	    .address_count = 2,
	    .address = {{"10.0.2.15", 24, false}, {"fe80::5054:ff:fe12:3456", 64, false}},
	    .gateway = "10.0.2.2",
	    .device = {.rx_frames = in / 300,
	               .rx_bytes = in,
	               .tx_frames = out / 900,
	               .tx_bytes = out},
	};
	strcpy(status->dns[0], "10.0.2.3");
	strcpy(status->hostname, "pith");
}
