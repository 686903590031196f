/* SPDX-License-Identifier: Apache-2.0 */
/* The program of tests/target/sockets as a function (test_sockets.c). */
#undef _GNU_SOURCE
#define main sockets_main
#include "../target/sockets/main.c"
