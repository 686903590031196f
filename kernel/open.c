/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX calls with names. The working directory is the root and stays it; nothing can be created,
 * changed or removed (EROFS).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <pith/page.h>
#include <pith/result.h>
#include "names.h"

int name_path(const char *name, char *path)
{
	size_t length = 0;

	if (!*name)
		return -ENOENT;
	while (*name) {
		size_t part = strcspn(name, "/");

		if (part == 2 && !strncmp(name, "..", 2)) {
			while (length > 0 && path[--length] != '/')
				;
		} else if (part > 0 && !(part == 1 && *name == '.')) {
			if (length + 1 + part >= PATH_MAX)
				return -ENAMETOOLONG;
			path[length] = '/';
			memcpy(path + length + 1, name, part);
			length += 1 + part;
		}
		name += part + (name[part] == '/');
	}
	path[length] = '\0';
	return 0;
}

static int find_stat(const char *path, struct stat *st)
{
	const struct bundle_file *b = bundle_find(path);

	if (b)
		bundle_stat(b, st);
	else if (bundle_is_dir(path))
		*st = (struct stat){.st_ino = 1, .st_mode = S_IFDIR | 0555, .st_nlink = 1};
	else if (device_file_find(path))
		*st = (struct stat){.st_ino = 1, .st_mode = S_IFCHR | 0666, .st_nlink = 1};
	else
		return -ENOENT;
	return 0;
}

static int open_path(const char *path, int flags)
{
	const struct device_file *device = device_file_find(path);
	const struct bundle_file *b = bundle_find(path);
	bool dir = bundle_is_dir(path);

	if ((b || device || dir) && (flags & O_CREAT) && (flags & O_EXCL))
		return -EEXIST;
	if (b)
		return bundle_open(b, flags);
	if (device)
		return flags & O_DIRECTORY ? -ENOTDIR : device->open(flags & ~(O_CREAT | O_TRUNC));
	if (dir)
		return -EISDIR; /* opendir() reads it */
	return flags & O_CREAT ? -EROFS : -ENOENT;
}

int open(const char *name, int flags, ...)
{
	char path[PATH_MAX];
	int err = name_path(name, path);

	return (int)libc_result(err ? err : open_path(path, flags));
}

int stat(const char *__restrict name, struct stat *__restrict st)
{
	char path[PATH_MAX];
	int err = name_path(name, path);

	return (int)libc_result(err ? err : find_stat(path, st));
}

int lstat(const char *__restrict name, struct stat *__restrict st)
{
	return stat(name, st);
}

int access(const char *name, int mode)
{
	struct stat st;

	if (stat(name, &st))
		return -1;
	if ((mode & W_OK) && !(st.st_mode & S_IWUSR))
		return (int)libc_result(-EROFS);
	if ((mode & X_OK) && !(st.st_mode & S_IXUSR))
		return (int)libc_result(-EACCES);
	return 0;
}

int unlink(const char *name)
{
	struct stat st;

	return stat(name, &st) ? -1 : (int)libc_result(-EROFS);
}

char *getcwd(char *buf, size_t bytes)
{
	if (bytes < sizeof("/")) {
		libc_result(bytes ? -ERANGE : -EINVAL);
		return NULL;
	}
	return strcpy(buf, "/");
}
