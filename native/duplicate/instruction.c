// SPDX-License-Identifier: MIT
/* Where a process has a "syscall" instruction: one that it already has is used, nothing is written to its memory. */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "core/living.h"
#include "instruction.h"

int ps_changing(pid_t pid)
{
	return ps_fail(-EAGAIN, "process %d changed its program again and again: try later", pid);
}

struct search {
	pid_t	 pid;
	bool	 vdso_only;
	int	 regions, unread;
	uint64_t found;
};

static int search_region(const struct ps_region *region, void *arg)
{
	struct search *search = arg;
	uint8_t bytes[8192];

	search->regions++;
	if (!region->executable || !region->readable || !strcmp(region->name, "[vsyscall]") ||
	    (search->vdso_only && strcmp(region->name, "[vdso]")))
		return 0;
	for (uint64_t at = region->start; at < region->end; at += sizeof(bytes) - 1) {
		size_t want = region->end - at < sizeof(bytes) ? region->end - at : sizeof(bytes);
		struct iovec local = { bytes, want }, remote = { (void *)at, want };
		ssize_t got = process_vm_readv(search->pid, &local, 1, &remote, 1, 0);

		search->unread += got < 0;
		for (ssize_t i = 0; i + 1 < got; i++)
			if (bytes[i] == 0x0f && bytes[i + 1] == 0x05) {
				search->found = at + i;
				return 1;
			}
	}
	return 0;
}

/* The vDSO first: it is in memory in any case, so that looking does not page anything in. */
int ps_find_instruction(pid_t pid, uint64_t *address)
{
	struct search search = { 0 };
	int found = 0;

	/* Again if nothing is found: it may be in the midst of exec(). */
	for (int pass = 0; pass < 2 * MAX_TRIES; pass++) {
		if (pass > 1)
			ps_sleep(1000 * 1000);
		search = (struct search){ .pid = ps_living_thread(pid), .vdso_only = pass % 2 == 0 };
		found = search.pid < 0 ? search.pid : ps_for_regions(search.pid, search_region, &search);
		*address = search.found;
		if (found > 0)
			return 0;
		if (found < 0 && found != -ENOENT && found != -ESRCH)
			return found;
	}
	if (search.pid < 0)
		return search.pid;
	if (found || !search.regions)
		return ps_fail(-ESRCH, "process %d ended", pid);
	if (search.unread)
		return ps_changing(pid);
	return ps_fail(-ENOEXEC, "process %d has no syscall instruction in executable memory that may be read", pid);
}
