/* SPDX-License-Identifier: Apache-2.0 */
/* gethostbyname(), for programs that have not heard of getaddrinfo(). */
#include <netdb.h>
#include <stdio.h>

_Thread_local int h_errno;

static int error_of(int eai)
{
	return eai == EAI_AGAIN ? TRY_AGAIN : eai == EAI_MEMORY ? NO_RECOVERY : HOST_NOT_FOUND;
}

struct hostent *gethostbyname(const char *name)
{
	static _Thread_local struct {
		struct hostent entry;
		char name[256];
		char *aliases[1], *list[2];
		struct in_addr address;
	} h;
	const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	int error = getaddrinfo(name, NULL, &hints, &found);

	if (error) {
		h_errno = error_of(error);
		return NULL;
	}
	snprintf(h.name, sizeof(h.name), "%s", name);
	h.address = ((struct sockaddr_in *)found->ai_addr)->sin_addr;
	freeaddrinfo(found);
	h.list[0] = (char *)&h.address;
	h.entry = (struct hostent){.h_name = h.name,
	                           .h_aliases = h.aliases,
	                           .h_addrtype = AF_INET,
	                           .h_length = sizeof(h.address),
	                           .h_addr_list = h.list};
	return &h.entry;
}
