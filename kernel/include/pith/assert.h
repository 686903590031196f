/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assert() of Pith's own code, always on: a bug of ours ends in a panic that names file and line. What
 * <assert.h>, the app's, tells besides would take 90 bytes an assertion, and stands in that line.
 */
#ifndef PITH_ASSERT_H
#define PITH_ASSERT_H

#define assert(condition) ((condition) ? (void)0 : assertion_failed(__FILE__, __LINE__))
#define static_assert _Static_assert

void assertion_failed(const char *file, int line) __attribute__((noreturn, cold));

#endif
