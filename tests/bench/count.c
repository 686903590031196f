/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts the guest's instructions, exactly, while it runs: a plugin of QEMU's TCG (QEMU's
 * docs/devel/tcg-plugins.rst, plugin interface 1: QEMU 4.2 to 8.1; one CPU, for its additions are
 * not atomic). The guest cannot tell that it is counted.
 *
 *   -plugin count.so,counters=FILE,image=IMAGE[,watch=OFFSET]...
 *
 * counters   is created and mapped, shared: whoever maps it sees the counts grow (struct counters)
 * image      the raw Image that the guest boots: how many counters there are, and how it is found
 * watch      an offset in the image, the entry of a function: what had been executed when it was
 *            entered for the first time; at most 8
 *
 * The image moves to a place that only the guest knows. It is found by what it executes: a block
 * whose place within a page and whose instructions are those of a watched function in the file.
 * Watch _start and the first function of the moved copy, and each instruction of either copy is
 * counted at its offset in the image.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <qemu-plugin.h>

#define WATCH_MAX  8
#define PAGE_BYTES 4096

/* bench.py reads this. */
struct counters {
	uint64_t instructions; /* all of them, wherever */
	uint64_t waits;        /* times the CPU went to sleep (WFI) */
	uint64_t
	    entered_at[14]; /* instructions before the watched function ran; in order of watch= */
	uint64_t at[];      /* how often the instruction at offset 4 * index of the image ran */
};

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static struct counters *counters;
static const char *image;
static size_t image_bytes;
static uint64_t image_start = UINT64_MAX; /* where it runs now; unknown at first */

static struct watch {
	uint64_t offset;
	bool found;
} watches[WATCH_MAX];
static unsigned int watch_count;

/* Does the block consist of the image's instructions from offset on? */
static bool is_at(const struct qemu_plugin_tb *block, uint64_t offset)
{
	size_t count = qemu_plugin_tb_n_insns(block);

	if ((qemu_plugin_tb_vaddr(block) - offset) % PAGE_BYTES || offset + 4 * count > image_bytes)
		return false;
	for (size_t i = 0; i < count; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, i);

		if (memcmp(qemu_plugin_insn_data(insn), image + offset + 4 * i, 4))
			return false;
	}
	return true;
}

static void entered(unsigned int cpu, void *number)
{
	uint64_t *at = &counters->entered_at[(uintptr_t)number];

	(void)cpu;
	if (!*at)
		*at = counters->instructions;
}

/* A watched function is about to run for the first time: then that is where the image is. */
static void look_for_watched(struct qemu_plugin_tb *block)
{
	for (uintptr_t i = 0; i < watch_count; i++) {
		struct watch *w = &watches[i];

		if (w->found || !is_at(block, w->offset))
			continue;
		w->found = true;
		image_start = qemu_plugin_tb_vaddr(block) - w->offset;
		qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_tb_get_insn(block, 0), entered,
		                                       QEMU_PLUGIN_CB_NO_REGS, (void *)i);
	}
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
	(void)id;
	look_for_watched(block);
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, i);
		uint64_t offset = qemu_plugin_insn_vaddr(insn) - image_start;

		qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64,
		                                           &counters->instructions, 1);
		if (offset < image_bytes)
			qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64,
			                                           &counters->at[offset / 4], 1);
	}
}

static void waiting(qemu_plugin_id_t id, unsigned int cpu)
{
	(void)id, (void)cpu;
	counters->waits++;
}

/* Map bytes of the file, shared; made that long first unless it is only read. NULL: errno. */
static void *map_file(const char *path, int flags, size_t *bytes)
{
	int fd = open(path, flags, 0600);
	struct stat status;
	void *mapped;

	if (fd < 0)
		return NULL;
	if (flags == O_RDONLY && !fstat(fd, &status))
		*bytes = status.st_size;
	else if (ftruncate(fd, *bytes))
		return NULL;
	mapped = mmap(NULL, *bytes, flags == O_RDONLY ? PROT_READ : PROT_READ | PROT_WRITE,
	              MAP_SHARED, fd, 0);
	close(fd);
	return mapped == MAP_FAILED ? NULL : mapped;
}

/* The value of an argument name=value, or NULL if this is another one. */
static const char *value_of(const char *argument, const char *name)
{
	size_t n = strlen(name);

	return !strncmp(argument, name, n) && argument[n] == '=' ? argument + n + 1 : NULL;
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
                                           char **argv)
{
	const char *counters_path = NULL, *value;
	size_t bytes;

	(void)info;
	for (int i = 0; i < argc; i++) {
		if ((value = value_of(argv[i], "counters")))
			counters_path = value;
		else if ((value = value_of(argv[i], "image")))
			image = map_file(value, O_RDONLY, &image_bytes);
		else if ((value = value_of(argv[i], "watch")) && watch_count < WATCH_MAX)
			watches[watch_count++].offset = strtoull(value, NULL, 0);
	}
	bytes = sizeof(*counters) + image_bytes / 4 * sizeof(counters->at[0]);
	if (counters_path)
		counters = map_file(counters_path, O_RDWR | O_CREAT | O_TRUNC, &bytes);
	if (!image || !counters) {
		perror("count.so: counters= and image=");
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_vcpu_idle_cb(id, waiting);
	return 0;
}
