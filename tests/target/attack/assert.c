/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

void assert_something(void);

void assert_something(void)
{
	volatile int two = 2;

	assert(two == 3);
}
