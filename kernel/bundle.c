/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bundled files: read-only, their bytes used where they lie in the image.
 *
 * They are sorted by path, so a file is found by halving, and what lies below a directory is
 * consecutive: '/' follows the directory's name in all of them. A directory exists by what is below.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pith/compiler.h>
#include <pith/file.h>
#include <pith/page.h>
#include <pith/result.h>
#include "names.h"

struct bundled {
	struct file file;
	const struct bundle_file *b;
};

/* --- Finding --- */

/* The first file whose path is not before this one; bundle_file_count if there is none. */
static size_t lower_bound(const char *path)
{
	size_t low = 0, high = bundle_file_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(bundle_files[middle].path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct bundle_file *bundle_find(const char *path)
{
	size_t i = lower_bound(path);

	return i < bundle_file_count && !strcmp(bundle_files[i].path, path) ? &bundle_files[i]
	                                                                    : NULL;
}

/* The first file that may be below a directory. */
static size_t first_below(const char *dir)
{
	char prefix[PATH_MAX + 1];

	strcpy(prefix, dir);
	return lower_bound(strcat(prefix, "/"));
}

/* File i's name relative to dir; NULL if it is not below. */
static const char *name_below(const char *dir, size_t i)
{
	size_t length = strlen(dir);

	if (i >= bundle_file_count || strncmp(bundle_files[i].path, dir, length) ||
	    bundle_files[i].path[length] != '/')
		return NULL;
	return bundle_files[i].path + length + 1;
}

bool bundle_is_dir(const char *path)
{
	return !*path || name_below(path, first_below(path));
}

/* --- A file --- */

void bundle_stat(const struct bundle_file *b, struct stat *st)
{
	*st = (struct stat){.st_ino = (ino_t)(b - bundle_files + 2),
	                    .st_mode = S_IFREG | 0444,
	                    .st_nlink = 1,
	                    .st_size = (off_t)b->bytes,
	                    .st_blksize = PAGE_BYTES,
	                    .st_blocks = (blkcnt_t)((b->bytes + 511) / 512)};
}

static const struct bundle_file *of_file(struct file *f)
{
	return container_of(f, struct bundled, file)->b;
}

static ssize_t bundled_read_at(struct file *f, const struct iovec *iov, int iov_count, off_t offset)
{
	const struct bundle_file *b = of_file(f);

	if ((size_t)offset >= b->bytes)
		return 0;
	return (ssize_t)iov_put(iov, iov_count, 0, b->data + offset, b->bytes - (size_t)offset);
}

static off_t bundled_seek(struct file *f, off_t offset, int whence)
{
	off_t base, position;

	switch (whence) {
	case SEEK_SET:
		base = 0;
		break;
	case SEEK_CUR:
		base = f->position;
		break;
	case SEEK_END:
		base = (off_t)of_file(f)->bytes;
		break;
	default:
		return -EINVAL;
	}
	if (__builtin_add_overflow(base, offset, &position))
		return -EOVERFLOW;
	return position >= 0 ? position : -EINVAL;
}

static int bundled_stat(struct file *f, struct stat *st)
{
	bundle_stat(of_file(f), st);
	return 0;
}

static void bundled_release(struct file *f)
{
	free(container_of(f, struct bundled, file));
}

static const struct file_ops bundled_ops = {
    .read_at = bundled_read_at,
    .seek = bundled_seek,
    .stat = bundled_stat,
    .release = bundled_release,
};

int bundle_open(const struct bundle_file *b, int flags)
{
	struct bundled *open;
	int fd;

	if (flags & O_DIRECTORY)
		return -ENOTDIR;
	if ((flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC))
		return -EROFS;
	open = malloc(sizeof(*open));
	if (!open)
		return -ENOMEM;
	file_init(&open->file, &bundled_ops, flags & ~O_CLOEXEC);
	open->b = b;
	fd = fd_install(&open->file, 0, flags & O_CLOEXEC);
	if (fd < 0)
		free(open);
	return fd;
}

/* --- Directories --- */

struct __dir {
	char path[PATH_MAX];
	size_t next; /* the file to look at next */
	struct dirent entry;
};

DIR *opendir(const char *name)
{
	DIR *d = malloc(sizeof(*d));
	int err = d ? name_path(name, d->path) : -ENOMEM;

	if (!err && !bundle_is_dir(d->path))
		err = bundle_find(d->path) || device_file_find(d->path) ? -ENOTDIR : -ENOENT;
	if (err) {
		free(d);
		libc_result(err);
		return NULL;
	}
	rewinddir(d);
	return d;
}

/* One entry for each first part of a name: the files below a directory in here are skipped. */
struct dirent *readdir(DIR *d)
{
	const char *name = name_below(d->path, d->next);
	size_t length;

	if (!name)
		return NULL;
	length = strcspn(name, "/");
	if (length > NAME_MAX) {
		libc_result(-ENAMETOOLONG);
		return NULL;
	}
	d->entry.d_ino = (ino_t)(d->next + 2);
	d->entry.d_type = name[length] ? DT_DIR : DT_REG;
	memcpy(d->entry.d_name, name, length);
	d->entry.d_name[length] = '\0';
	do {
		d->next++;
		name = name_below(d->path, d->next);
	} while (d->entry.d_type == DT_DIR && name && !strncmp(name, d->entry.d_name, length) &&
	         name[length] == '/');
	return &d->entry;
}

void rewinddir(DIR *d)
{
	d->next = first_below(d->path);
}

int closedir(DIR *d)
{
	free(d);
	return 0;
}
