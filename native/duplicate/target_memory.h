/* SPDX-License-Identifier: MIT */
/* Reading a few bytes of a target, in all or not at all. */
#ifndef PROCSNAP_TARGET_MEMORY_H
#define PROCSNAP_TARGET_MEMORY_H
#include <errno.h>
#include <sys/uio.h>
#include "core/living.h"

static inline bool read_target(pid_t pid, uint64_t address, void *to, size_t length)
{
	struct iovec local = { to, length }, remote = { (void *)address, length };
	ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);

	/* A first thread that has ended has no memory: by another one. */
	if (got < 0 && errno == ESRCH)
		got = process_vm_readv(ps_living_thread(pid), &local, 1, &remote, 1, 0);
	return got == (ssize_t)length;
}

#endif
