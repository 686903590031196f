/* SPDX-License-Identifier: Apache-2.0 */
/* Instead of a trap (net/arch/cc.h): which of lwIP's assertions has failed. */
#ifndef TESTS_HOST_LWIP_ASSERT_H
#define TESTS_HOST_LWIP_ASSERT_H

_Noreturn void lwip_assertion_failed(const char *message, const char *file, int line);
#define LWIP_PLATFORM_ASSERT(message) lwip_assertion_failed(message, __FILE__, __LINE__)

#endif
