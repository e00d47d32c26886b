// SPDX-License-Identifier: MIT
/* Of two procsnaps one after the other: the first may still follow calls of the target (followed.c). */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "procsnap.h"

#define NAME		"procsnap-tracer"	/* 15 characters: as long as a name can be, prctl(2) */
#define TRIES		100
#define TRY_NS		(2 * 1000 * 1000L)

bool ps_ask_to_go(pid_t tid, pid_t tracer)
{
	const struct timespec turn = { .tv_nsec = TRY_NS };
	struct ps_identity identity, of_tracer;
	char path[32], name[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", tracer);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(name, sizeof(name), file))
		name[0] = 0;
	fclose(file);
	if (strncmp(name, NAME, strlen(NAME)) || ps_identify(tracer, &of_tracer))
		return false;
	/* One that is still asked for work takes no notice; it may be about to end. */
	for (int i = 0; i < TRIES && !kill(of_tracer.tgid, SIGUSR1); i++) {
		if (ps_identify(tid, &identity) || identity.tracer != tracer)
			return true;
		nanosleep(&turn, NULL);
	}
	return false;
}
