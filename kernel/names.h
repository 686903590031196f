/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What open() and its kin find by name: bundled files (bundle.c) and devices (devfile.c). A path
 * here starts at the root and has no "//", ".", ".." and no slash at its end; the root is "".
 */
#ifndef KERNEL_NAMES_H
#define KERNEL_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <pith/bundle.h>

/* The path that name stands for. 0; -ENOENT: the empty name; -ENAMETOOLONG (PATH_MAX). */
int name_path(const char *name, char *path);

/* The file of that path, or NULL. */
const struct bundle_file *bundle_find(const char *path);
/* Is there a file below it? (The root is a directory in any case.) */
bool bundle_is_dir(const char *path);
void bundle_stat(const struct bundle_file *b, struct stat *st);
/* Returns a descriptor, or a negative errno. */
int bundle_open(const struct bundle_file *b, int flags);

struct device_file {
	const char *path;
	int (*open)(int flags); /* returns a descriptor, or a negative errno */
};
const struct device_file *device_file_find(const char *path);

#endif
