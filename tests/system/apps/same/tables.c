/* SPDX-License-Identifier: Apache-2.0 */
/* tests/target/tables as a function. */
#define main tables_main
#include "../../../target/tables/main.c"
