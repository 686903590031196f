/* SPDX-License-Identifier: Apache-2.0 */
/* pith/assert.h for host tests: the host's. */
#include <assert.h>
