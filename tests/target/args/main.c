/* SPDX-License-Identifier: Apache-2.0 */
/* What bootargs become: argv and environment; and the ways for a program to end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const char *last = argv[argc - 1], *name = getenv("NAME");

	printf("argv: ");
	for (int i = 0; i < argc; i++)
		printf("%s%s", i ? "|" : "", argv[i]);
	printf("\nNAME: %s\n", name ? name : "(unset)");
	if (!strcmp(last, "exit"))
		exit(4);
	fflush(stdout);
	if (!strcmp(last, "_exit"))
		_exit(5);
	return !strcmp(last, "return") ? 3 : 0;
}
