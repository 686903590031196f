/* SPDX-License-Identifier: Apache-2.0 */
/* tests/target/seeds as a function. */
#define main seeds_main
#include "../../../target/seeds/main.c"
