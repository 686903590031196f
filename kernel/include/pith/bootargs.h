/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line (/chosen/bootargs).
 *
 * Words are split at blanks, "..." keeps them together. Words that the kernel knows (nokaslr, panic=,
 * ip=, everything with a dot before '=': pith.slot=) are its own; another key=value goes into the
 * environment; another word, and everything after "--", into argv. As Linux does for init.
 */
#ifndef PITH_BOOTARGS_H
#define PITH_BOOTARGS_H

#include <stdbool.h>
#include <stddef.h>

/* The value of key=..., "" for a bare key, NULL if absent; the last one wins. */
const char *bootarg(const char *key);
/*
 * Words that go before the line's (boot only, before others read the environment): each key=value into
 * the environment, and found first by bootarg().
 *
 * list     words, each ended by a NUL; stays in use
 * Returns  0 or -ENOMEM (the environment may have some of them)
 */
int bootargs_override(char *list, size_t bytes);
/* Copy and split the tree's bootargs (boot only). */
void bootargs_init(const char *line);
extern int bootargs_argc;
extern char **bootargs_argv; /* argv[0] is the app's name */

#endif
