/* SPDX-License-Identifier: MIT */
/* A set of thread ids, for targets with ten thousand of them: looking one up costs the same whatever their number. */
#ifndef PROCSNAP_TIDS_H
#define PROCSNAP_TIDS_H
#include "procsnap.h"

#define TIDS_SLOTS	(4 * PS_MAX_THREADS)	/* a power of two, never more than half full */

struct tids {
	int32_t	used;			/* slots that are not 0, those of removed ids too */
	int32_t	slot[TIDS_SLOTS];	/* 0: empty, -1: removed */
};

void tids_clear(struct tids *set);
bool tids_has(const struct tids *set, pid_t tid);
void tids_add(struct tids *set, pid_t tid);
void tids_remove(struct tids *set, pid_t tid);

#endif
