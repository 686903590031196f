/* SPDX-License-Identifier: Apache-2.0 */
/* tests/target/pi as a function. */
#define main pi_main
#include "../../../target/pi/main.c"
