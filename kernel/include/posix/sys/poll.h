/* SPDX-License-Identifier: Apache-2.0 */
/* The older name of <poll.h>. */
#include <poll.h>
