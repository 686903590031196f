/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's own page: www/index.html draws what /status.json says; /metrics is for Prometheus;
 * updates come to /update, and /crash is about the last one that did not go well.
 */
#include <stdio.h>
#include <stdlib.h>
#include <pith/health.h>
#include <pith/http.h>
#include <pith/machine.h>
#include <pith/net.h>
#include <pith/page.h>
#include <pith/push.h>
#include "status.h"
#include "update.h"

#define ALIVE_MS ((int)HEALTH_ALIVE_MS / 3)

static const struct http_route routes[] = {
    {.path = "/status.json", .respond = status_json},
    {.path = "/metrics", .respond = status_metrics},
    {.path = "/crash", .respond = update_crash},
    PUSH_ROUTE,
    {.path = "/", .prefix = true, .directory = "www"},
    {},
};

static unsigned int port(void)
{
	const char *port = getenv("PORT");

	return port ? (unsigned int)strtoul(port, NULL, 10) : 80;
}

int main(void)
{
	struct memory_info memory;
	struct http_server *server;

	memory_info(&memory);
	server = http_open(&(struct http_config){
	    .port = (uint16_t)port(),
	    .routes = routes,
	    .etag = image_build_id(),
	    .connections_max = net_connections_max(memory.total_bytes),
	});
	if (!server) {
		perror("web: cannot listen");
		return EXIT_FAILURE;
	}
	status_init(server);
	printf("web: listening on port %u\n", http_port(server));
	update_start(http_port(server));
	while (http_step(server, ALIVE_MS) == 0)
		health_alive();
	perror("web: cannot wait");
	return EXIT_FAILURE;
}
