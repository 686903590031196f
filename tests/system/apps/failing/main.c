/* SPDX-License-Identifier: Apache-2.0 */
/* As an update: PATCH 1 crashes at once; PATCH 2 answers, is alive, and never confirms. */
#include <stdio.h>
#include <stdlib.h>
#include <pith/health.h>
#include <pith/http.h>
#include <pith/ota.h>
#include <pith/push.h>

static const struct http_route routes[] = {PUSH_ROUTE, {}};

int main(void)
{
	struct http_server *server;
	struct ota_status s;

	ota_status(&s);
	if ((s.slot[s.running == 'B'].version & 0xfff) == 1)
		abort();
	server = http_open(&(struct http_config){.port = 80, .routes = routes});
	printf("failing: does not confirm\n");
	while (server && http_step(server, 1000) == 0)
		health_alive();
	return EXIT_FAILURE;
}
