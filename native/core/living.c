// SPDX-License-Identifier: MIT
#include <errno.h>
#include "living.h"

static bool lives(pid_t tid)
{
	struct ps_identity identity;

	return !ps_look_at(tid, &identity) && identity.state != 'Z' && identity.state != 'X';
}

pid_t ps_living_thread(pid_t pid)
{
	pid_t tids[PS_MAX_THREADS];
	int count;

	if (lives(pid))
		return pid;
	count = ps_list_threads(pid, tids, PS_MAX_THREADS);
	for (int i = 0; i < count; i++)
		if (lives(tids[i]))
			return tids[i];
	return count < 0
		? count
		: ps_fail(-ESRCH, "process %d has ended, and is only kept until its parent takes note (a zombie)", pid);
}
