/* SPDX-License-Identifier: Apache-2.0 */
/* The machine: what it is, why it was reset, ending and restarting it; what image this is. */
#include <stddef.h>
#include <arch/image.h>
#include <pith/console.h>
#include <pith/dt.h>
#include <pith/irq.h>
#include <pith/log.h>
#include <pith/machine.h>
#include "hooks.h"

#define MAX_POWER 4 /* firmware and watchdogs */

static const struct machine_power *powers[MAX_POWER];
static const char *reset_reason = "unknown";

void machine_power_register(const struct machine_power *p)
{
	for (size_t i = 0; i < MAX_POWER; i++) {
		if (!powers[i]) {
			powers[i] = p;
			return;
		}
	}
	klog("%s: too many ways to end this machine", p->name);
}

static void __attribute__((noreturn)) stop(const char *why)
{
	klog("%s", why);
	irq_save();
	for (;;)
		__asm__ volatile("wfi");
}

bool __attribute__((weak)) health_end(enum machine_end how)
{
	(void)how;
	return false;
}

static void __attribute__((noreturn)) power_off(void)
{
	console_seize(); /* from a thread that will not write on */
	for (size_t i = 0; i < MAX_POWER && powers[i]; i++)
		if (powers[i]->off)
			powers[i]->off();
	stop("this machine cannot power itself off; stopped");
}

void machine_reset(void)
{
	console_seize();
	for (size_t i = 0; i < MAX_POWER && powers[i]; i++)
		if (powers[i]->reset)
			powers[i]->reset();
	stop("this machine cannot reset itself; stopped");
}

void machine_off(void)
{
	health_end(MACHINE_OFF);
	power_off();
}

void machine_restart(void)
{
	health_end(MACHINE_RESTART);
	machine_reset();
}

void machine_exit(int status)
{
	health_end(MACHINE_EXIT);
	irq_save(); /* nobody else is to say anything after this line */
	klog("exit status %d", status & 0xff);
	power_off();
}

const char *machine_model(void)
{
	const char *name = dt_string(0, "model", 0);

	if (!name)
		name = dt_string(0, "compatible", 0);
	return name ? name : "unknown machine";
}

const char *machine_reset_reason(void)
{
	return reset_reason;
}

void machine_set_reset_reason(const char *reason)
{
	reset_reason = reason;
}

/* ELF note with the linker's sha1 build id (System V ABI, "Note Section"; GNU ld --build-id). */
extern const struct {
	uint32_t name_bytes, id_bytes, type;
	char name[4]; /* "GNU" */
	uint8_t id[BUILD_ID_BYTES];
} __build_id_note;

const char *image_build_id(void)
{
	static char hex[2 * sizeof(__build_id_note.id) + 1];

	for (size_t i = 0; i < sizeof(__build_id_note.id); i++) {
		hex[2 * i] = "0123456789abcdef"[__build_id_note.id[i] >> 4];
		hex[2 * i + 1] = "0123456789abcdef"[__build_id_note.id[i] & 15];
	}
	return hex;
}

const uint8_t *image_build_id_bytes(uint32_t *offset)
{
	*offset = image_file_offset(__build_id_note.id);
	return __build_id_note.id;
}
