/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a Raspberry Pi has of its own. The first word of the command line says what to try:
 * tests/target/test_pi.py has the other half, with the values that its machine must show.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pith/dt.h>
#include <pith/entropy.h>
#include <pith/firmware.h>
#include <pith/gpio.h>
#include <pith/io.h>
#include <pith/machine.h>
#include <pith/supply.h>
#include <pith/watchdog.h>
#include "check.h"

static void show_firmware(void)
{
	uint32_t revision, start, bytes, freq_hz;
	int32_t temperature;
	uint64_t serial;
	uint8_t mac[6];

	CHECK("MAC", firmware_mac(mac) == 0);
	printf("mac %02x:%02x:%02x:%02x:%02x:%02x\n", mac[0], mac[1], mac[2], mac[3], mac[4],
	       mac[5]);
	CHECK("serial number", firmware_serial(&serial) == 0);
	printf("serial %016" PRIx64 "\n", serial);
	CHECK("board revision", firmware_board_revision(&revision) == 0);
	CHECK("memory", firmware_arm_memory(&start, &bytes) == 0);
	printf("revision %" PRIx32 ", memory %" PRIx32 "+%" PRIx32 "\n", revision, start, bytes);
	CHECK("temperature", firmware_temperature(&temperature) == 0);
	printf("temperature %" PRId32 "\n", temperature);
	CHECK("core clock", firmware_clock_hz(FIRMWARE_CLOCK_CORE, &freq_hz) == 0);
	CHECK("the tree leads to the same",
	      clock_rate_hz(dt_find("/soc/aux@7e215000"), 0) == freq_hz);
	printf("core %" PRIu32 " Hz, uart %" PRIu32 " Hz\n", freq_hz,
	       clock_rate_hz(dt_find("serial0"), 0));
	CHECK("a fixed clock", clock_rate_hz(dt_find("/soc/usb@7e980000"), 0) == 480000000);
	for (int i = 0; i < 1000; i++)
		if (firmware_clock_hz(FIRMWARE_CLOCK_CORE, &revision) || revision != freq_hz)
			CHECK("a thousand calls", false);
}

static void try_lines(void)
{
	struct gpio g;

	CHECK("a line by its name", gpio_find("GPIO17", &g) == 0 && g.line == 17);
	CHECK("no such line", gpio_find("GPIO170", &g) == -ENOENT);
	CHECK("output", gpio_find("GPIO17", &g) == 0 && gpio_output(&g, true) == 0);
	CHECK("reads back high", gpio_get(&g) == 1);
	CHECK("set low", gpio_set(&g, false) == 0 && gpio_get(&g) == 0);
	CHECK("input", gpio_input(&g) == 0);
	if (gpio_of(dt_find("/leds/led-act"), "gpios", 0, &g) == 0)
		printf("led ACT begins %d\n", gpio_get(&g));
	printf("led ACT: %d\n", led_set("ACT", true));
	CHECK("no such LED", led_set("SHINY", true) == -ENOENT);
}

static void try_random(void)
{
	uint8_t a[32] = {0}, b[32] = {0};

	CHECK("random bytes", random_bytes(a, sizeof(a), false) == 0);
	CHECK("others", random_bytes(b, sizeof(b), false) == 0 && memcmp(a, b, sizeof(a)) != 0);
}

/* A register at an address of the command line. */
static void probe(const char *address)
{
	uint8_t *regs = io_map(strtoull(address, NULL, 16), 4);
	int64_t value = regs ? io_probe_read32(regs) : -EINVAL;

	printf("probe %s: %d, 0x%" PRIx32 "\n", address, value < 0 ? (int)-value : 0,
	       value < 0 ? 0 : (uint32_t)value);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "firmware";

	printf("%s, reset reason %s\n", machine_model(), machine_reset_reason());
	if (!strcmp(what, "firmware")) {
		show_firmware();
		try_lines();
	} else if (!strcmp(what, "random")) {
		try_random();
	} else if (!strcmp(what, "probe")) {
		for (int i = 2; i < argc; i++)
			probe(argv[i]);
	} else if (!strcmp(what, "read")) {
		read32(io_map(strtoull(argv[2], NULL, 16), 4));
		printf("read\n");
	} else if (!strcmp(what, "watchdog")) {
		printf("running %d\n", watchdog_running());
		printf("watchdog %d\n", watchdog_start(2000));
		sleep(1);
	} else {
		printf("FAIL no such test\n");
	}
	return checks_failed != 0;
}
