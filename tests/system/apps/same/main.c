/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One image that proves itself on every machine: it runs the target tests that make sense on all of
 * them, then answers what is typed on its console and, where there is a network, who asks by HTTP. End
 * of file on the console ends it.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <pith/dt.h>
#include <pith/http.h>
#include <pith/machine.h>
#include "check.h"

int tables_main(void);
int seeds_main(void);
int epoll_main(void);
int sockets_main(void);
int sd_main(int argc, char **argv);
int pi_main(int argc, char **argv);

static int who(struct http_request *rq)
{
	http_printf(rq, "%s, build %s\n", machine_model(), image_build_id());
	return http_reply(rq, 200, "text/plain");
}

static const struct http_route routes[] = {{.path = "/", .respond = who}, {}};

static void *serve(void *arg)
{
	while (http_step(arg, -1) == 0)
		;
	return NULL;
}

static void answer(void)
{
	struct http_server *server = http_open(&(struct http_config){.port = 80, .routes = routes});
	pthread_t thread;
	char line[80];

	CHECK("the server listens", server && pthread_create(&thread, NULL, serve, server) == 0);
	printf("ready\n");
	while (fgets(line, sizeof(line), stdin))
		printf("line <%.*s>\n", (int)strcspn(line, "\n"), line);
}

int main(void)
{
	/* The end of the disk is the app's part of a card (tools/disk.py). */
	char *disk[] = {"sd", "end", "threads"}, *firmware[] = {"pi", "firmware"};

	printf("running on %s, build %s\n", machine_model(), image_build_id());
	CHECK("translation tables", tables_main() == 0);
	if (dt_prop(dt_find("/chosen"), "rng-seed").data)
		CHECK("seeds", seeds_main() == 0);
	CHECK("epoll", epoll_main() == 0);
	CHECK("sockets", sockets_main() == 0);
	CHECK("disk", sd_main(3, disk) == 0);
	if (dt_find_compatible(DT_NONE, "raspberrypi,bcm2835-firmware") != DT_NONE)
		CHECK("a Pi's firmware", pi_main(2, firmware) == 0);
	answer();
	return checks_failed != 0;
}
