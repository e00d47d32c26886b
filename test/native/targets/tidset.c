// SPDX-License-Identifier: MIT
/* tidset: what native/duplicate/tids.c must do. Says "ok", or what it did instead. */
#include <stdio.h>
#include "duplicate/tids.h"

#define MANY	PS_MAX_THREADS

static struct tids set;

static int failed(const char *what, int tid)
{
	printf("%s %d\n", what, tid);
	return 0;
}

/* @step: ids in a row, or far apart so that they meet in the same slots. */
static int try(int step)
{
	tids_clear(&set);
	for (int i = 1; i <= MANY; i++) {
		if (tids_has(&set, i * step))
			return failed("has what was not added:", i * step);
		tids_add(&set, i * step);
		tids_add(&set, i * step);
	}
	for (int i = 1; i <= MANY; i++)
		if (!tids_has(&set, i * step))
			return failed("has not what was added:", i * step);
	if (set.used != MANY)
		return failed("counts what is added twice:", set.used);
	for (int i = 1; i <= MANY; i += 2)
		tids_remove(&set, i * step);
	tids_remove(&set, step * (MANY + 1));
	for (int i = 1; i <= MANY; i++)
		if (tids_has(&set, i * step) != (i % 2 == 0))
			return failed("after some were removed, is wrong about", i * step);
	for (int i = 1; i <= MANY; i += 2)
		tids_add(&set, i * step);
	for (int i = 1; i <= MANY; i++)
		if (!tids_has(&set, i * step))
			return failed("has not what was added again:", i * step);
	tids_clear(&set);
	return tids_has(&set, step) ? failed("has after it was cleared:", step) : 1;
}

int main(void)
{
	if (try(1) && try(7) && try(TIDS_SLOTS))
		puts("ok");
}
