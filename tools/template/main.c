/* SPDX-License-Identifier: Apache-2.0 */
/* An app is an ordinary C program: libc, POSIX, and what <pith/...> has beyond them. */
#include <stdio.h>

int main(int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		printf("argv[%d] = %s\n", i, argv[i]);
	printf("Replace main.c by your program.\n");
	return 0; /* the machine powers off; the exit status is in the console's last line */
}
