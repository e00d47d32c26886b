// SPDX-License-Identifier: GPL-2.0
/* Memory to have, and memory of another process. */
#include <sys/mman.h>
#include <sys/uio.h>

#include "snap.h"

void *map_private(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		die("no memory for %zu bytes", bytes);
	return at;
}

void *map_aligned_huge(size_t bytes)
{
	uintptr_t at = (uintptr_t)map_private(bytes + HUGE_PAGE);

	return (void *)((at + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));
}

long read_memory(pid_t pid, const void *address, void *into, size_t bytes)
{
	struct iovec local = { into, bytes }, remote = { (void *)address, bytes };
	ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);

	return got < 0 ? -errno : got;
}

long peek(pid_t pid, const void *address)
{
	long value, got = read_memory(pid, address, &value, sizeof(value));

	if (got != sizeof(value))
		die("cannot read %p of process %d: %ld", address, pid, got);
	return value;
}
