/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The promises of test_genet.c, kept with kernel/dma_debug.c under the driver: it never looks at
 * what the controller has, nor leaves it anything that it has not given.
 */
#include "../../kernel/dma_debug.c"

/* Tests begin with new memory; the buffers of the last one's device are gone with the old. */
#define forget_copies() (copies = NULL)
#include "test_genet.c"
