// SPDX-License-Identifier: GPL-2.0
/* Both calls with random arguments. */
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fuzz.h"

static char *edge;	/* end of a page, then nothing; a page that cannot be written */
static char *readonly;

void begin_calls(void)
{
	edge = (char *)map_private(2 * PAGE) + PAGE;
	munmap(edge, PAGE);
	readonly = map_private(PAGE);
	mprotect(readonly, PAGE, PROT_READ);
}

/* @own: to be closed again. */
static int some_pidfd(bool *own)
{
	*own = chance(4) != 0;
	if (!*own)
		return (int)chance(2) ? (int)chance(0) : (int)chance(8);
	return syscall(SYS_pidfd_open, (pid_t)word[PIDS + chance(HOSTILE)], 0);
}

static pid_t some_pid(void)
{
	switch (chance(16)) {
	case 0: return chance(0);
	case 1: return 0;
	case 2: return -1;
	case 3: return getpid();
	case 4: return chance(300);
	case 5: return word[LAST + chance(CALLERS)];
	case 6: return word[PIDS + chance(HOSTILE)] + chance(20);
	}
	return word[PIDS + chance(HOSTILE)];
}

pid_t random_call(void)
{
	struct proc_snap_thread threads[16];
	struct proc_snap_args args = { }, *at = &args;
	size_t size = sizeof(args);
	bool own = false;
	int fd = -1;
	pid_t result;

	if (chance(3) == 0)
		return snap(some_pid());
	args.target = some_pid();
	if (chance(3) == 0) {
		args.flags = PROC_SNAP_PIDFD;
		args.target = fd = some_pidfd(&own);
	}
	if (chance(10) == 0)
		args.flags |= 1UL << chance(64);
	switch (chance(8)) {
	case 0: args.threads = 8; args.nr_threads = 1; break;
	case 1: args.threads = (long)edge - chance(64); args.nr_threads = chance(4); break;
	case 2: args.threads = chance(0); args.nr_threads = chance(0); break;
	case 3: args.threads = (long)readonly; args.nr_threads = 4; break;
	case 4: case 5: args.threads = (long)threads; args.nr_threads = chance(17); break;
	}
	if (chance(4) == 0)
		args.max_wait_ns = chance(2) ? chance(100000) : ~0ULL >> chance(64);
	if (chance(4) == 0)
		args.max_pinned = chance(2) ? chance(64) : ~0ULL >> chance(64);
	switch (chance(16)) {
	case 0: size = chance(256); break;
	case 1: size = chance(0); break;
	case 2: size = PAGE + chance(2); break;
	}
	switch (chance(16)) {
	case 0: at = NULL; break;
	case 1: at = (void *)chance(0); break;
	case 2: at = (void *)(edge - chance(200)); break;
	case 3:
		mprotect(readonly, PAGE, PROT_READ | PROT_WRITE);
		memcpy(readonly, &args, sizeof(args));
		mprotect(readonly, PAGE, PROT_READ);
		at = (void *)readonly;
		break;
	}
	if (size > sizeof(args) && at == &args)
		size = sizeof(args);
	result = snap2(at, size);
	if (own && fd >= 0)
		close(fd);
	return result;
}
