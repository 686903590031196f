/* SPDX-License-Identifier: Apache-2.0 */
/* What the device knows about itself, for people's pages and for monitoring. */
#ifndef WEB_STATUS_H
#define WEB_STATUS_H

#include <pith/http.h>

/* The server whose counters are shown, too. */
void status_init(const struct http_server *server);

int status_json(struct http_request *rq);    /* /status.json */
int status_metrics(struct http_request *rq); /* /metrics, Prometheus text format 0.0.4 */

#endif
