# SPDX-License-Identifier: Apache-2.0
# The host tests: HOST_TESTS += name, name_SRCS := the files tested (paths from the root of the
# repository); optionally name_CFLAGS and name_LIBS. The test itself is tests/host/test_<name>.c.

HOST_TESTS  += http
http_SRCS   := net/http.c $(http-parser)/http_parser.c
http_CFLAGS := -isystem $(http-parser)
http_LIBS   := -Wl,--wrap=malloc -Wl,--wrap=realloc

# Memory. test_page.c includes page.c itself.
HOST_TESTS += page
page_SRCS := kernel/runtree.c

HOST_TESTS     += virtqueue
virtqueue_SRCS := drivers/virtqueue.c
