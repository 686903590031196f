/* SPDX-License-Identifier: Apache-2.0 */
/* tests/target/sd as a function. */
#define main sd_main
#include "../../../target/sd/main.c"
