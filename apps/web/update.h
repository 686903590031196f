/* SPDX-License-Identifier: Apache-2.0 */
/* What web does for updates: it finds out whether it works, and says how the last image crashed. */
#ifndef WEB_UPDATE_H
#define WEB_UPDATE_H

#include <pith/http.h>

/*
 * Say what a working network is. In a trial, start a thread that waits for it, asks the server on this
 * port for /status.json as a browser does, and confirms the image when that answers.
 */
void update_start(uint16_t port);

/*
 * /crash: cause, image offsets and build id of the last crash (tools/symbolize takes them); the last
 * lines of the log, too, for who has the token of pith/push.h.
 */
int update_crash(struct http_request *rq);

#endif
