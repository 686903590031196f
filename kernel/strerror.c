/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strerror() and its family, with picolibc's messages, whose own function is a switch with 12 bytes of code
 * for each of them. Here they lie one after the other, each behind its number.
 */
#include <errno.h>
#include <locale.h>
#include <stdint.h>
#include <string.h>

#define MESSAGES(M)                                                        \
	M(0, "Success")                                                    \
	M(EPERM, "Not owner")                                              \
	M(ENOENT, "No such file or directory")                             \
	M(ESRCH, "No such process")                                        \
	M(EINTR, "Interrupted system call")                                \
	M(EIO, "I/O error")                                                \
	M(ENXIO, "No such device or address")                              \
	M(E2BIG, "Arg list too long")                                      \
	M(ENOEXEC, "Exec format error")                                    \
	M(EBADF, "Bad file number")                                        \
	M(ECHILD, "No children")                                           \
	M(EAGAIN, "No more processes")                                     \
	M(ENOMEM, "Not enough space")                                      \
	M(EACCES, "Permission denied")                                     \
	M(EFAULT, "Bad address")                                           \
	M(EBUSY, "Device or resource busy")                                \
	M(EEXIST, "File exists")                                           \
	M(EXDEV, "Cross-device link")                                      \
	M(ENODEV, "No such device")                                        \
	M(ENOTDIR, "Not a directory")                                      \
	M(EISDIR, "Is a directory")                                        \
	M(EINVAL, "Invalid argument")                                      \
	M(ENFILE, "Too many open files in system")                         \
	M(EMFILE, "File descriptor value too large")                       \
	M(ENOTTY, "Not a character device")                                \
	M(ETXTBSY, "Text file busy")                                       \
	M(EFBIG, "File too large")                                         \
	M(ENOSPC, "No space left on device")                               \
	M(ESPIPE, "Illegal seek")                                          \
	M(EROFS, "Read-only file system")                                  \
	M(EMLINK, "Too many links")                                        \
	M(EPIPE, "Broken pipe")                                            \
	M(EDOM, "Mathematics argument out of domain of function")          \
	M(ERANGE, "Result too large")                                      \
	M(ENOMSG, "No message of desired type")                            \
	M(EIDRM, "Identifier removed")                                     \
	M(EDEADLK, "Deadlock")                                             \
	M(ENOLCK, "No lock")                                               \
	M(ENOSTR, "Not a stream")                                          \
	M(ENODATA, "No data")                                              \
	M(ETIME, "Stream ioctl timeout")                                   \
	M(ENOSR, "No stream resources")                                    \
	M(ENOLINK, "Virtual circuit is gone")                              \
	M(EPROTO, "Protocol error")                                        \
	M(EMULTIHOP, "Multihop attempted")                                 \
	M(EBADMSG, "Bad message")                                          \
	M(ENOSYS, "Function not implemented")                              \
	M(ENOTEMPTY, "Directory not empty")                                \
	M(ENAMETOOLONG, "File or path name too long")                      \
	M(ELOOP, "Too many symbolic links")                                \
	M(EOPNOTSUPP, "Operation not supported on socket")                 \
	M(ECONNRESET, "Connection reset by peer")                          \
	M(ENOBUFS, "No buffer space available")                            \
	M(EAFNOSUPPORT, "Address family not supported by protocol family") \
	M(EPROTOTYPE, "Protocol wrong type for socket")                    \
	M(ENOTSOCK, "Socket operation on non-socket")                      \
	M(ENOPROTOOPT, "Protocol not available")                           \
	M(ECONNREFUSED, "Connection refused")                              \
	M(EADDRINUSE, "Address already in use")                            \
	M(ECONNABORTED, "Software caused connection abort")                \
	M(ENETUNREACH, "Network is unreachable")                           \
	M(ENETDOWN, "Network interface is not configured")                 \
	M(ETIMEDOUT, "Connection timed out")                               \
	M(EHOSTDOWN, "Host is down")                                       \
	M(EHOSTUNREACH, "Host is unreachable")                             \
	M(EINPROGRESS, "Connection already in progress")                   \
	M(EALREADY, "Socket already connected")                            \
	M(EDESTADDRREQ, "Destination address required")                    \
	M(EMSGSIZE, "Message too long")                                    \
	M(EPROTONOSUPPORT, "Unknown protocol")                             \
	M(EADDRNOTAVAIL, "Address not available")                          \
	M(ENETRESET, "Connection aborted by network")                      \
	M(EISCONN, "Socket is already connected")                          \
	M(ENOTCONN, "Socket is not connected")                             \
	M(ENOTSUP, "Not supported")                                        \
	M(EILSEQ, "Illegal byte sequence")                                 \
	M(EOVERFLOW, "Value too large for defined data type")              \
	M(ECANCELED, "Operation canceled")                                 \
	M(ENOTRECOVERABLE, "State not recoverable")                        \
	M(EOWNERDEAD, "Previous owner died")

static const struct {
#define MEMBERS(number, text)    \
	uint8_t number_##number; \
	char text_##number[sizeof(text)];
	MESSAGES(MEMBERS)
} messages = {
#define VALUES(number, text) number, text,
    MESSAGES(VALUES)};

char *strerror(int number)
{
	const char *m = (const char *)&messages, *end = m + sizeof(messages);

	while (m < end && (uint8_t)*m != number)
		m += strlen(m + 1) + 2;
	return m < end ? (char *)m + 1 : "";
}

/* What strerror_r() calls. */
char *_strerror_r(int number, int internal, int *error)
{
	(void)internal, (void)error;
	return strerror(number);
}

char *strerror_l(int number, locale_t locale)
{
	(void)locale;
	return strerror(number);
}
