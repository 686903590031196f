/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs under tests/target/ have in common: "ok name" or "FAIL name" for each promise
 * on a line of its own, and an exit status that says whether any failed.
 */
#ifndef TESTS_TARGET_CHECK_H
#define TESTS_TARGET_CHECK_H

#include <stdio.h>

static int checks_failed;

#define CHECK(name, condition)                                                                 \
	do {                                                                                   \
		if (condition) {                                                               \
			printf("ok %s\n", name);                                               \
		} else {                                                                       \
			printf("FAIL %s (%s:%d: %s)\n", name, __FILE__, __LINE__, #condition); \
			checks_failed++;                                                       \
		}                                                                              \
	} while (0)

#endif
