/* SPDX-License-Identifier: Apache-2.0 */
/* Streams: every call that moves more than a character holds the stream's lock (kernel/stdio.c). */
#ifndef PITH_POSIX_STDIO_H
#define PITH_POSIX_STDIO_H

#include_next <stdio.h>
#include <sys/cdefs.h>
#include <sys/types.h>

#ifndef __ASSEMBLER__
__BEGIN_DECLS
/* The lock for more than one call; nests. */
void flockfile(FILE *f);
int ftrylockfile(FILE *f);
void funlockfile(FILE *f);

int dprintf(int fd, const char *fmt, ...) __PRINTF_ATTRIBUTE__(2, 3);
int vdprintf(int fd, const char *fmt, va_list args) __PRINTF_ATTRIBUTE__(2, 0);
ssize_t getdelim(char **__restrict line, size_t *__restrict size, int delimiter, FILE *f);
ssize_t getline(char **__restrict line, size_t *__restrict size, FILE *f);
__END_DECLS

/* Characters under a lock that the caller may hold; taking it again is cheap. */
#define getc_unlocked(f)    fgetc(f)
#define getchar_unlocked()  fgetc(stdin)
#define putc_unlocked(c, f) fputc(c, f)
#define putchar_unlocked(c) fputc(c, stdout)
#endif

#endif
