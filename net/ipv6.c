/* SPDX-License-Identifier: Apache-2.0 */
/* That lwIP's IPv6 is linked; net/without_ipv6.c is in its place where an app omits it. */
#include <stdbool.h>
#include "internal.h"

const bool net_has_ipv6 = true;
