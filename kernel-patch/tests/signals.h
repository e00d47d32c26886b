/* SPDX-License-Identifier: GPL-2.0 */
/* Signals: what its files share. */
#ifndef SIGNALS_H
#define SIGNALS_H

#include "lib/snap.h"

enum {
	READY = 1, RETURNED, CHILD_SIGNALS, DONE, ALARMS, QUEUED, STARTING_NS, STARTED_NS, BEFORE_NS, AFTER_NS, WAITED,
	SEMAPHORE,
};

/* --- signals-unnoticed.c --- */

void test_sleepers(void);
void test_alarms(void);

#endif
