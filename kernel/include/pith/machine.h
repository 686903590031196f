/* SPDX-License-Identifier: Apache-2.0 */
/* The machine: ending and restarting it, what it is, why it was reset. */
#ifndef PITH_MACHINE_H
#define PITH_MACHINE_H

#include <stddef.h>
#include <stdint.h>

#define BUILD_ID_BYTES 20u

/* How to end or restart this machine, registered by a driver (PSCI, a watchdog). */
struct machine_power {
	const char *name;
	void (*off)(void);   /* may return: not possible */
	void (*reset)(void); /* the same */
};
void machine_power_register(const struct machine_power *p);
/*
 * These never return: if nothing can, they say so and WFI for ever with interrupts masked.
 *
 * machine_restart() is a reset that was asked for: where resets are counted (pith/health.h), it is no
 * failure. Thread context, as machine_off(); both may write to the disk. machine_reset() is for when
 * things went wrong: any context, at once.
 */
void machine_off(void) __attribute__((noreturn));
void machine_restart(void) __attribute__((noreturn));
void machine_reset(void) __attribute__((noreturn));
/* The program has ended: say "exit status N" (the low 8 bits, as a parent would see) and power off. */
void machine_exit(int status) __attribute__((noreturn));

const char *machine_model(void);        /* /model, or /compatible, or "unknown machine" */
const char *machine_reset_reason(void); /* "power-on", "watchdog", ..., or "unknown" */
void machine_set_reset_reason(const char *reason);

/* What image this is (set at build time). */
extern const char image_name[], image_version[];
const char *image_build_id(void); /* 40 hex digits of the linker's build id */
/* The same as bytes; *offset: where they are in the Image file. */
const uint8_t *image_build_id_bytes(uint32_t *offset);

#endif
