// SPDX-License-Identifier: MIT
/* Of two procsnaps one after the other: the first may still follow calls of the target (followed.c). */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "procsnap.h"

#define NAME		"procsnap-tracer"	/* 15 characters: as long as a name can be, prctl(2) */
#define TRIES		100
#define TRY_NS		(2 * 1000 * 1000L)

static bool is_tracer(pid_t tid)
{
	char path[32], name[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", tid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(name, sizeof(name), file))
		name[0] = 0;
	fclose(file);
	return !strncmp(name, NAME, strlen(NAME));
}

static struct ps_inheritance inherited[PS_MAX_THREADS];
static int inheritances;

const struct ps_inheritance *ps_inherited(pid_t tid)
{
	for (int i = 0; i < inheritances; i++)
		if (inherited[i].tid == tid)
			return &inherited[i];
	return NULL;
}

static void inherit(int fd)
{
	ssize_t got = pread(fd, inherited, sizeof(inherited), 0);

	inheritances = got > 0 ? got / (ssize_t)sizeof(*inherited) : 0;
}

bool ps_lets_go(pid_t tracer)
{
	struct ps_identity identity;

	/* One whose parent is still there is still asked for work (tracer.c, split()). */
	return is_tracer(tracer) && !ps_identify(tracer, &identity) && !is_tracer(identity.parent);
}

bool ps_ask_to_go(pid_t tid, pid_t tracer)
{
	struct ps_identity identity, of_tracer;
	bool gone = false;
	char path[48];
	int fd;

	if (!ps_lets_go(tracer) || ps_identify(tracer, &of_tracer) || ps_identify(tid, &identity))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", of_tracer.tgid, PS_INHERITANCE_FD);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	for (int i = 0; i < TRIES && !gone; i++) {
		sigqueue(of_tracer.tgid, SIGUSR1, (union sigval){ .sival_int = identity.tgid });
		ps_sleep(TRY_NS);
		gone = ps_identify(tid, &identity) || identity.tracer != tracer;
	}
	if (gone && fd >= 0)
		inherit(fd);
	if (fd >= 0)
		close(fd);
	return gone;
}
