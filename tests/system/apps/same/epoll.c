/* SPDX-License-Identifier: Apache-2.0 */
/* tests/target/epoll as a function. */
#define main epoll_main
#include "../../../target/epoll/main.c"
