/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pith/irq.h for host tests: the same declarations, but masking interrupts does nothing, since a
 * host test is one thread. The Arm versions are renamed away and never used, so never emitted.
 */
#ifndef PITH_HOST_IRQ_H
#define PITH_HOST_IRQ_H

#define irq_save          irq_save_arm
#define irq_restore       irq_restore_arm
#define irq_restore_quiet irq_restore_quiet_arm
#include_next <pith/irq.h>
#undef irq_save
#undef irq_restore
#undef irq_restore_quiet

static inline unsigned long irq_save(void)
{
	return 0;
}

static inline void irq_restore(unsigned long daif)
{
	(void)daif;
}

static inline void irq_restore_quiet(unsigned long daif)
{
	(void)daif;
}

#endif
