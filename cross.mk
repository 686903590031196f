# SPDX-License-Identifier: Apache-2.0
# The toolchain: which compiler, which flags, and why each of them.

CROSS   := aarch64-linux-gnu-
CC      := $(CROSS)gcc
NM      := $(CROSS)nm
HOSTCC  := gcc
qemu    := qemu-system-aarch64

# Ask the compiler once, and only when something is built: it may have just been installed.
once = $(eval $(1) := $(or $(shell test -d $(picolibc) && $(2) 2>/dev/null),$(error $(CC) or \
	picolibc is not installed: `make setup` installs what is missing)))$($(1))

# picolibc, as Debian builds it. Its `release` build has Arm's own memcpy; the default one copies
# byte by byte.
picolibc := /usr/lib/picolibc/aarch64-linux-gnu
libs      = $(picolibc)/lib/release/libc.a $(libgcc)
libgcc    = $(call once,libgcc,$(CC) -print-libgcc-file-name)

# -nostdinc: without it the cross compiler silently finds glibc's headers.
gcc_include     = $(call once,gcc_include,$(CC) -print-file-name=include)
system_includes = -nostdinc -Ikernel/include -Ikernel/include/posix -isystem $(gcc_include) \
	-isystem $(picolibc)/include

warnings := -Wall -Wextra -Werror

# One image for every machine: position independent, armv8-a without the later atomics, and built
# around the Cortex-A53's errata (Arm EPM048406: 835769 by the compiler, 843419 by the linker).
arch_flags = -fPIE -mcmodel=$(model) -mno-outline-atomics -mfix-cortex-a53-835769
# How far a symbol may be from what uses it, bss included: `tiny` reaches 1 MiB by one instruction,
# `small` 4 GiB by two (3 % of the code). The Makefile takes small where an image is too large for tiny.
model := tiny
# Most code runs once, at boot, where each 10 KB of image costs as much as they gain: it is compiled for
# size. What runs for every packet or switch is compiled for speed: the functions marked FAST
# (pith/compiler.h), and the files that their folder's files.mk gives optimize := -O2.
# Backtraces follow the frame records. Alignment of functions and loops costs bytes, and nops that
# are executed.
# Of what -Os still turns on, four passes make code larger (together 1 % of an image).
optimize   := -Os -fno-shrink-wrap -fno-move-loop-invariants -fno-thread-jumps -fno-tree-pre
code_flags  = $(optimize) -g -fno-omit-frame-pointer -fvisibility=hidden -ffunction-sections -fdata-sections \
	-fno-align-functions -fno-align-loops -fno-align-jumps -fno-align-labels \
	-fstack-protector-strong -ftls-model=local-exec -fno-common

# Link-time optimization: 6 % of the bytes, and of what a connection executes. Not for what runs with the
# MMU off, where each function must stay as it is written, nor for apps, whose objects are looked into
# (tools/doubles): the Makefile says which. Strict aliasing: a cast's other uses are now in sight, too.
lto = -flto -fno-fat-lto-objects -fno-strict-aliasing

# The folder that a build happens in leaves no trace in its output.
repro_flags = $(addprefix -ffile-prefix-map=,$(app_dir)=app $(CURDIR)=. $(CURDIR)/=)

c_flags   = -std=gnu11 $(arch_flags) $(code_flags) $(repro_flags) $(system_includes) \
	-include kernel/include/pith/hidden.h
asm_flags = -D__ASSEMBLY__ -g $(arch_flags) $(repro_flags) $(system_includes)

# Only relative relocations may be left (-z text), which the image applies itself. The sections that
# are read-only after relocation are protected by our page tables, so the linker's own layout for
# it (relro) is off.
#
# $(1) is how the linker works around erratum 843419: `adr` turns an ADRP into an ADR, which costs
# nothing but reaches 1 MiB only; `full` may branch to stubs instead, padded to a page.
comma := ,
link_flags = $(arch_flags) $(code_flags) $(lto) $(repro_flags) -flto-partition=one \
	-nostdlib -static-pie -Wl,--no-dynamic-linker -Wl,-z,text -Wl,-z,norelro \
	-Wl,--no-undefined -Wl,--gc-sections -Wl,-z,max-page-size=4096 -Wl,--build-id=sha1 \
	-mfix-cortex-a53-835769 -Wl,--fix-cortex-a53-843419=$(1) -Wl,--fatal-warnings
# stdio's calls that hold their stream's lock as a whole (kernel/stdio.c).
link_flags += $(addprefix -Wl$(comma)--wrap=,vfprintf vfscanf fputc fputs puts fwrite fread fgets \
	setvbuf)

# Host tests: the same sources, natively, with every check that GCC has. -fno-sanitize-recover makes
# undefined behaviour fail the test instead of printing about it.
host_flags := -std=gnu11 -O1 -g -Wall -Wextra -Werror -D_GNU_SOURCE \
	-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer \
	-Itests/host/include -Ikernel/include
