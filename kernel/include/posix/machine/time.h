/* SPDX-License-Identifier: Apache-2.0 */
/* clock() counts microseconds, as POSIX has it; picolibc's own header says 100 a second. */
#define _CLOCKS_PER_SEC_ 1000000
