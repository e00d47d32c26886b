// SPDX-License-Identifier: MIT
/* stop - the classical way: stop the target, copy what can be read, let it go on. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "core/living.h"
#include "procsnap.h"

#ifndef MADV_POPULATE_WRITE	/* since Linux 5.14; C libraries are older */
#define MADV_POPULATE_WRITE	23
#endif

/* Room for regions that grow between the look and the stop. */
#define SLACK		(16UL << 20)
/* So much is copied, or made ready, before threads of other targets are seen to. */
#define BLOCK		(4UL << 20)

/* Device mappings are shared; [vvar] gives EIO, [vsyscall] is the kernel's. */
static bool wanted(const struct ps_region *region)
{
	return region->readable && !region->shared && strncmp(region->name, "[vvar", 5) &&
		strcmp(region->name, "[vsyscall]");
}

static int measure(const struct ps_region *region, void *arg)
{
	struct ps_copy *copy = arg;

	if (wanted(region)) {
		copy->size += region->end - region->start;
		copy->max_regions++;
	}
	return 0;
}

static int copy_region(const struct ps_region *region, void *arg)
{
	struct ps_copy *copy = ((void **)arg)[0];
	int fd = *(int *)((void **)arg)[1];
	size_t length = region->end - region->start, done = 0;

	if (!wanted(region))
		return 0;
	if (copy->used + length > copy->size || copy->regions == copy->max_regions)
		return ps_fail(
			-EAGAIN, "the target grew by more than 16 MiB, or called exec(), while it was being stopped: try again");
	while (done < length) {
		size_t wanted = length - done < BLOCK ? length - done : BLOCK;
		ssize_t got = pread(fd, copy->bytes + copy->used + done, wanted, region->start + done);

		if (got <= 0)
			break;
		done += got;
		ps_see_to_others();
	}
	copy->unreadable += length - done;
	if (done) {
		copy->region[copy->regions].address = region->start;
		copy->region[copy->regions].length = done;
		copy->region[copy->regions++].offset = copy->used;
	}
	copy->used += done;
	return 0;
}

/* A kernel before 5.14 has no MADV_POPULATE_WRITE: what is written to is there, too. */
static int populate(uint8_t *bytes, size_t length)
{
	long page = sysconf(_SC_PAGESIZE);

	if (!madvise(bytes, length, MADV_POPULATE_WRITE))
		return 0;
	if (errno != EINVAL)
		return -errno;
	for (size_t i = 0; i < length; i += page)
		((volatile uint8_t *)bytes)[i] = 0;
	return 0;
}

/*
 * Memory for the copy is made ready before the target is stopped. That may take
 * long, so others are seen to in between; and the out-of-memory killer spares
 * this process, so it asks for no more than there is.
 */
static int make_room(struct ps_copy *copy, pid_t target)
{
	int64_t available_kib = ps_proc_number("/proc/meminfo", "MemAvailable", 1);
	int err = 0;

	if (available_kib >= 0 && copy->size >> 10 > (size_t)available_kib)
		return ps_fail(-ENOMEM,
			"a copy of process %d needs %zu MiB, and %lld MiB of memory are available (MemAvailable): take a "
			"duplicate, which needs only what is written to meanwhile",
			target, copy->size >> 20, (long long)available_kib >> 10);
	copy->region = calloc(copy->max_regions, sizeof(*copy->region));
	copy->bytes = mmap(NULL, copy->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (copy->bytes == MAP_FAILED) {
		copy->bytes = NULL;
		err = -errno;
	}
	for (size_t done = 0; !err && done < copy->size; done += BLOCK) {
		err = populate(copy->bytes + done, copy->size - done < BLOCK ? copy->size - done : BLOCK);
		ps_see_to_others();
	}
	if (!copy->region || err)
		return ps_fail(-ENOMEM, "there is no memory for a copy of %zu MiB of process %d", copy->size >> 20, target);
	return 0;
}

void ps_copy_free(struct ps_copy *copy)
{
	if (copy->bytes)
		munmap(copy->bytes, copy->size);
	free(copy->region);
	*copy = (struct ps_copy){ 0 };
}

static int gone(pid_t target)
{
	return ps_fail(-ESRCH, "process %d ended, or called exec(), while it was being looked at", target);
}

int ps_stop_copy(pid_t target, int64_t timeout_ns, int64_t limit_ns, struct ps_copy *copy,
		 struct ps_registers *registers, int max_registers)
{
	static struct ps_thread room[PS_MAX_THREADS];
	struct ps_stop stop;
	int64_t start;
	int err, fd = -1, pidfd;
	struct ps_calls calls;
	pid_t living;
	char path[32];
	void *arg[] = { copy, &fd };

	*copy = (struct ps_copy){ 0 };
	/* Before it is looked at: so it is that process which is stopped, and no later one with its pid. */
	pidfd = syscall(SYS_pidfd_open, target, 0);
	err = ps_check_target(target);
	if (err)
		goto fail;
	living = ps_living_thread(target);
	err = living < 0 ? living : ps_for_regions(living, measure, copy);
	if (err == -ENOENT)
		err = gone(target);
	if (err)
		goto fail;
	copy->size += SLACK;
	copy->max_regions += 64;
	err = make_room(copy, target);
	if (err)
		goto fail;

	start = ps_now_ns();
	ps_prepare_stop(&stop, room, target, timeout_ns, limit_ns);
	stop.calls = &copy->calls;
	stop.pidfd = pidfd;
	err = ps_stop_all(&stop);
	if (err)
		goto fail;
	copy->threads = stop.threads;
	for (int i = 0; i < stop.threads; i++)
		ps_mend_call(target, &stop.thread[i], &copy->calls);
	if (registers)
		copy->registers = ps_read_registers(&stop, registers, max_registers);
	/* Opened only now: an exec() before the stop would leave us with the memory of the old program. */
	living = stop.thread[0].tid;
	snprintf(path, sizeof(path), "/proc/%d/mem", living);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	err = fd < 0
		? ps_fail(-errno, "%s cannot be opened: %s (run as root or with CAP_SYS_PTRACE)", path, strerror(errno))
		: ps_for_regions(living, copy_region, arg);
	ps_release(&stop, -1);
	copy->take_ns = ps_now_ns() - start;
	copy->pause_ns = start + copy->take_ns - stop.first_ns;
	if (err)
		goto fail;
	close(fd);
	if (pidfd >= 0)
		close(pidfd);
	return 0;
fail:
	if (pidfd >= 0)
		close(pidfd);
	if (fd >= 0)
		close(fd);
	calls = copy->calls;
	ps_copy_free(copy);
	copy->calls = calls;
	return err;
}
