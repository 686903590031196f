/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stdin, stdout and stderr; and streams locked for a whole call.
 *
 * picolibc locks a stream for each character. POSIX wants each call to be one (flockfile()), so that
 * two threads' lines never mix: the calls that move more than a character are wrapped by the linker
 * (--wrap in cross.mk), and take the stream's lock around picolibc's own. Streams without a
 * descriptor, those of snprintf() for one, belong to their caller and have no lock.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdio-bufio.h>
#include <stdlib.h>
#include <unistd.h>
#include <pith/console.h>
#include "libc.h"

/* Of our own, in struct __file_bufio's bflags: stderr, which keeps nothing back beyond a call. */
#define FLUSH_EACH 0x80

static struct __lock in_lock = {MUTEX_INIT(in_lock.mutex), 0};
/* Of both output streams, so that their lines do not mix either. */
static struct __lock out_lock = {MUTEX_INIT(out_lock.mutex), 0};

static char in_buf[BUFSIZ], out_buf[BUFSIZ], err_buf[BUFSIZ / 4];

static ssize_t write_console(int fd, const void *bytes, size_t count)
{
	(void)fd;
	console_take();
	console_put(bytes, count);
	console_give();
	return (ssize_t)count;
}

static ssize_t (*stdio_write)(int fd, const void *bytes, size_t count) = write_console;

/* What cannot be written is lost, as in picolibc's own. */
static int flush_out(FILE *f)
{
	struct __file_bufio *s = (struct __file_bufio *)f;
	int result = 0;

	flockfile(f);
	for (const char *from = s->buf; s->len > 0;) {
		ssize_t n = stdio_write(s->fd, from, (size_t)s->len);

		if (n <= 0) {
			result = EOF;
			n = s->len;
		}
		from += n;
		s->len -= (int)n;
	}
	__bufio_unlock(f);
	return result;
}

/* Whoever calls has the stream's lock. */
static int put_out(char c, FILE *f)
{
	struct __file_bufio *s = (struct __file_bufio *)f;

	s->buf[s->len++] = c;
	return s->len >= s->size || (c == '\n' && (s->bflags & __BLBF)) ? flush_out(f) : 0;
}

/* Closing frees nothing: the three are static. */
static int close_in(FILE *f)
{
	return close(((struct __file_bufio *)f)->fd);
}

static int close_out(FILE *f)
{
	int result = flush_out(f);

	return close(((struct __file_bufio *)f)->fd) ? EOF : result;
}

static struct __file_bufio in = {
    .xfile = FDEV_SETUP_EXT(__bufio_put, __bufio_get, __bufio_flush, close_in, __bufio_seek,
                            __bufio_setvbuf, __SRD | __SBUF),
    .fd = STDIN_FILENO,
    .bflags = __BLBF,
    .buf = in_buf,
    .size = sizeof(in_buf),
    .read = read,
    .write = write,
    .lseek = lseek,
    .close = close,
    .lock = &in_lock,
};

/* Like in, but with operations that are a fifth of picolibc's: these streams cannot seek. */
#define OUTPUT(fd_, buf_, bflags_)                                                              \
	{                                                                                       \
		.xfile.cfile =                                                                  \
		    FDEV_SETUP_CLOSE(put_out, NULL, flush_out, flush_out, __SWR | __SBUF),      \
		.fd = (fd_), .bflags = __BLBF | (bflags_), .buf = (buf_), .size = sizeof(buf_), \
		.lock = &out_lock                                                               \
	}

static struct __file_bufio out = OUTPUT(STDOUT_FILENO, out_buf, 0);
static struct __file_bufio err = OUTPUT(STDERR_FILENO, err_buf, FLUSH_EACH);

FILE *const stdin = &in.xfile.cfile.file;
FILE *const stdout = &out.xfile.cfile.file;
FILE *const stderr = &err.xfile.cfile.file;

void stdio_use_descriptors(void)
{
	stdio_write = write;
	out.xfile.cfile.close = err.xfile.cfile.close = close_out;
}

/* exit() runs it after the program's own: 101 is the first priority that is not reserved. */
static void __attribute__((destructor(101))) flush_stdout(void)
{
	flush_out(stdout);
}

/* --- Locking --- */

static bool has_lock(const FILE *f)
{
	return f->flags & __SBUF;
}

void flockfile(FILE *f)
{
	if (has_lock(f))
		__bufio_lock(f);
}

int ftrylockfile(FILE *f)
{
	return has_lock(f) ? !__retarget_lock_try_acquire(((struct __file_bufio *)f)->lock) : 0;
}

void funlockfile(FILE *f)
{
	if (!has_lock(f))
		return;
	if (((struct __file_bufio *)f)->bflags & FLUSH_EACH)
		flush_out(f);
	__bufio_unlock(f);
}

/* --- The wrapped calls --- */

int __real_vfprintf(FILE *f, const char *fmt, va_list args);
int __real_vfscanf(FILE *f, const char *fmt, va_list args);
int __real_fputc(int c, FILE *f);
int __real_fputs(const char *s, FILE *f);
int __real_puts(const char *s);
size_t __real_fwrite(const void *items, size_t bytes, size_t count, FILE *f);
size_t __real_fread(void *items, size_t bytes, size_t count, FILE *f);
char *__real_fgets(char *s, int size, FILE *f);

int __wrap_vfprintf(FILE *f, const char *fmt, va_list args)
{
	int n;

	flockfile(f);
	n = __real_vfprintf(f, fmt, args);
	funlockfile(f);
	return n;
}

/*
 * In place of picolibc's (1.8), which frees the buffer that it goes on to use when it is asked for none
 * after one that it had allocated. What is there goes out first.
 */
int __wrap_setvbuf(FILE *f, char *buf, int mode, size_t bytes)
{
	struct __file_bufio *s = (struct __file_bufio *)f;
	uint8_t flags = mode == _IOLBF ? __BLBF : 0;

	if (!has_lock(f))
		return 0;
	if (mode == _IONBF || !buf) {
		bytes = mode == _IONBF ? 1 : bytes ? bytes : BUFSIZ;
		buf = malloc(bytes);
		flags |= __BALL;
	}
	if (!buf || !bytes || bytes > INT_MAX) {
		if (flags & __BALL)
			free(buf);
		return EOF;
	}
	flockfile(f);
	fflush(f);
	if (s->bflags & __BALL)
		free(s->buf);
	s->bflags = (s->bflags & FLUSH_EACH) | flags;
	s->buf = buf;
	s->size = (int)bytes;
	funlockfile(f);
	return 0;
}

int __wrap_vfscanf(FILE *f, const char *fmt, va_list args)
{
	int n;

	flockfile(f);
	n = __real_vfscanf(f, fmt, args);
	funlockfile(f);
	return n;
}

int __wrap_fputc(int c, FILE *f)
{
	flockfile(f);
	c = __real_fputc(c, f);
	funlockfile(f);
	return c;
}

int __wrap_fputs(const char *s, FILE *f)
{
	int n;

	flockfile(f);
	n = __real_fputs(s, f);
	funlockfile(f);
	return n;
}

int __wrap_puts(const char *s)
{
	int n;

	flockfile(stdout);
	n = __real_puts(s);
	funlockfile(stdout);
	return n;
}

size_t __wrap_fwrite(const void *items, size_t bytes, size_t count, FILE *f)
{
	size_t n;

	flockfile(f);
	n = __real_fwrite(items, bytes, count, f);
	funlockfile(f);
	return n;
}

size_t __wrap_fread(void *items, size_t bytes, size_t count, FILE *f)
{
	size_t n;

	flockfile(f);
	n = __real_fread(items, bytes, count, f);
	funlockfile(f);
	return n;
}

char *__wrap_fgets(char *s, int size, FILE *f)
{
	flockfile(f);
	s = __real_fgets(s, size, f);
	funlockfile(f);
	return s;
}

/* --- What picolibc lacks of POSIX --- */

int vdprintf(int fd, const char *fmt, va_list args)
{
	size_t done = 0;
	char *text;
	int bytes = vasprintf(&text, fmt, args);

	if (bytes < 0)
		return -1;
	while (done < (size_t)bytes) {
		ssize_t n = write(fd, text + done, (size_t)bytes - done);

		if (n < 0) {
			bytes = -1;
			break;
		}
		done += (size_t)n;
	}
	free(text);
	return bytes;
}

int dprintf(int fd, const char *fmt, ...)
{
	va_list args;
	int bytes;

	va_start(args, fmt);
	bytes = vdprintf(fd, fmt, args);
	va_end(args);
	return bytes;
}

/* Put one more byte into a line that has `used` already; false without memory. */
static bool append(char **line, size_t *size, size_t used, char c)
{
	if (used + 1 >= *size) {
		size_t more = *size < 64 ? 128 : 2 * *size;
		char *larger = realloc(*line, more);

		if (!larger)
			return false;
		*line = larger;
		*size = more;
	}
	(*line)[used] = c;
	(*line)[used + 1] = '\0';
	return true;
}

ssize_t getdelim(char **__restrict line, size_t *__restrict size, int delimiter, FILE *f)
{
	size_t used = 0;
	bool memory = true;
	int c = EOF;

	if (!*line)
		*size = 0;
	flockfile(f);
	while (memory && used < SSIZE_MAX && (c = fgetc(f)) != EOF) {
		memory = append(line, size, used, (char)c);
		used++;
		if (c == delimiter)
			break;
	}
	funlockfile(f);
	return memory && used > 0 ? (ssize_t)used : -1;
}

ssize_t getline(char **__restrict line, size_t *__restrict size, FILE *f)
{
	return getdelim(line, size, '\n', f);
}
