// SPDX-License-Identifier: GPL-2.0
/* Memory to have, and memory of another process. */
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

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

char *map_sparse(long tables)
{
	char *at = map_aligned_huge(tables * HUGE_PAGE);
	long i;

	madvise(at, tables * HUGE_PAGE, MADV_NOHUGEPAGE);
	for (i = 0; i < tables; i++)
		at[i * HUGE_PAGE] = 1;
	return at;
}

long in_batches(void)
{
	/* several lists, of 31 pages at most */
	return (sysconf(_SC_NPROCESSORS_ONLN) - 1) * 3 * 31;
}

int pin(void *at, size_t bytes)
{
	struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
	struct io_uring_params params = { };
	struct iovec buffer = { at, bytes };
	int fd, error;

	setrlimit(RLIMIT_MEMLOCK, &none);
	fd = syscall(SYS_io_uring_setup, 4, &params);
	if (fd < 0)
		return -errno;
	if (!syscall(SYS_io_uring_register, fd, IORING_REGISTER_BUFFERS, &buffer, 1))
		return fd;
	error = errno;
	close(fd);
	return -error;
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
