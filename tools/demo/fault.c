/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong with the updates of `make demo-ota`, which are web and this file: from MINOR 2 on they
 * fail before they could prove themselves.
 */
#include <pith/init.h>
#include <pith/irq.h>
#include <pith/machine.h>
#include <pith/netdev.h>
#include <pith/version.h>

static int fault(void)
{
	static int *volatile nowhere;

	switch (version_parse(image_version) >> 12 & 1023) {
	case 2:
		*nowhere = 1;
		break;
	case 3:
		irq_save();
		for (;;)
			;
	case 4:
		netdev_first()->link_up = false;
		break;
	default:
		break;
	}
	return 0;
}
INIT(fault);
