/* SPDX-License-Identifier: Apache-2.0 */
/* The environment and the machine's name, as the device's configuration on the card set them. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(void)
{
	const char *const names[] = {"hostname", "token", "update", "COLOUR"};
	char host[64] = "";

	for (int i = 0; i < 4; i++)
		printf("%s: %s\n", names[i], getenv(names[i]) ? getenv(names[i]) : "(unset)");
	gethostname(host, sizeof(host));
	printf("name: %s\n", host);
	return 0;
}
