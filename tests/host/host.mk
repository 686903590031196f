# SPDX-License-Identifier: Apache-2.0
# The host tests: HOST_TESTS += name, name_SRCS := the files tested (paths from the root of the
# repository); optionally name_CFLAGS and name_LIBS. The test itself is tests/host/test_<name>.c.
