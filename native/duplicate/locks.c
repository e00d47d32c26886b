// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <string.h>
#include "locks.h"

struct lock { char kind[16]; int pid; uint32_t major, minor; uint64_t inode; };

/* Call @visit for each lock until it returns true. */
static bool for_locks(bool (*visit)(const struct lock *, void *), void *arg)
{
	FILE *locks = fopen("/proc/locks", "re");
	struct lock lock;
	char line[256];
	bool found = false;

	while (locks && !found && fgets(line, sizeof(line), locks))
		if (sscanf(line, "%*d: %15s %*s %*s %d %x:%x:%lu", lock.kind, &lock.pid, &lock.major, &lock.minor,
				&lock.inode) == 5)
			found = visit(&lock, arg);
	if (locks)
		fclose(locks);
	return found;
}

static bool note_file(const struct lock *lock, void *arg)
{
	struct locked_files *locked = arg;

	if (strcmp(lock->kind, "FLOCK") && strcmp(lock->kind, "OFDLCK"))
		return false;
	locked->file[locked->count].major = lock->major;
	locked->file[locked->count].minor = lock->minor;
	locked->file[locked->count++].inode = lock->inode;
	return locked->count == MAX_LOCKED;
}

void ps_find_locked_files(struct locked_files *locked)
{
	locked->count = 0;
	for_locks(note_file, locked);
}

bool ps_is_locked(const struct locked_files *locked, const struct ps_region *region)
{
	for (int i = 0; region->inode && i < locked->count; i++)
		if (locked->file[i].inode == region->inode && locked->file[i].major == region->major &&
		    locked->file[i].minor == region->minor)
			return true;
	return false;
}

static bool is_posix_of(const struct lock *lock, void *arg)
{
	return lock->pid == *(pid_t *)arg && !strcmp(lock->kind, "POSIX");
}

bool ps_holds_posix_locks(pid_t pid)
{
	return for_locks(is_posix_of, &pid);
}
