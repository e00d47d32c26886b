/* SPDX-License-Identifier: MIT */
/* Reading a few bytes of a target, in all or not at all. */
#ifndef PROCSNAP_TARGET_MEMORY_H
#define PROCSNAP_TARGET_MEMORY_H
#include <sys/uio.h>
#include "procsnap.h"

static inline bool read_target(pid_t pid, uint64_t address, void *to, size_t length)
{
	struct iovec local = { to, length }, remote = { (void *)address, length };

	return process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)length;
}

#endif
