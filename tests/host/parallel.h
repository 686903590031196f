/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instead of pith/irq.h (by -include), for host tests with real threads: masking interrupts takes
 * one lock for all, so that nobody else is between.
 */
#ifndef PITH_HOST_IRQ_H
#define PITH_HOST_IRQ_H

#define irq_save          irq_save_arm
#define irq_restore       irq_restore_arm
#define irq_restore_quiet irq_restore_quiet_arm
#include "../../kernel/include/pith/irq.h"
#undef irq_save
#undef irq_restore
#undef irq_restore_quiet

unsigned long irq_save(void);
void irq_restore(unsigned long flags);
void irq_restore_quiet(unsigned long flags);

#endif
