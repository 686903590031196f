/* SPDX-License-Identifier: Apache-2.0 */
/* tests/target/sockets as a function. */
#define main sockets_main
#include "../../../target/sockets/main.c"
