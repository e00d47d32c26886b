// SPDX-License-Identifier: MIT
/*
 * What protecting a page costs on this machine: some 0.3 us, or 15 where a
 * hypervisor shadows page tables. Tried by the very calls that a copy makes, on
 * memory of a child that writes there meanwhile, since the same costs a third in
 * memory that nobody else uses: no other CPU has to be told.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/features.h"
#include "scan.h"

#define TRIAL_PAGES	512
#define STEP_PAGES	32		/* as many as a step of a copy usually has */
#define ROUNDS		4
#define STEPS		(ROUNDS * TRIAL_PAGES / STEP_PAGES)
#define NAP_NS		(50 * 1000LL)
#define PATIENCE_NS	(PS_NSEC_PER_SEC / 2)
#define CHILD_NS	(2 * PS_NSEC_PER_SEC)

struct trial {
	pid_t	child;
	uint8_t	*memory;		/* at the same address in both processes, and each has its own */
	int32_t	*made;			/* shared: the child's userfaultfd, or a negative errno; 0: not yet */
	int	uffd, pagemap;
	int64_t	protect_ns[STEPS], unprotect_ns[STEPS];
};

/* Never returns. An ordinary process; it ends with the thread that started it, or soon. */
static void be_child(const struct trial *trial)
{
	struct sched_param ordinary = { 0 };
	int64_t until_ns = ps_now_ns() + CHILD_NS;
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sched_setscheduler(0, SCHED_OTHER, &ordinary);
	fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	__atomic_store_n(trial->made, fd < 0 ? -errno : fd, __ATOMIC_RELEASE);
	/* Whoever started it may have been killed before this process could ask to be killed with it. */
	for (uint64_t turn = 0; fd >= 0 && (turn % TRIAL_PAGES || ps_now_ns() < until_ns); turn++)
		((volatile uint8_t *)trial->memory)[turn % TRIAL_PAGES * PAGE]++;
	_exit(0);
}

static int fetch(struct trial *trial)
{
	int64_t until_ns = ps_now_ns() + PATIENCE_NS;
	int pidfd = syscall(SYS_pidfd_open, trial->child, 0), made, err = 0;
	char path[32];

	while (!(made = __atomic_load_n(trial->made, __ATOMIC_ACQUIRE)) && ps_now_ns() < until_ns)
		ps_sleep(NAP_NS);
	snprintf(path, sizeof(path), "/proc/%d/pagemap", trial->child);
	trial->pagemap = open(path, O_RDONLY | O_CLOEXEC);
	if (made > 0)
		trial->uffd = syscall(SYS_pidfd_getfd, pidfd, made, 0);
	if (made <= 0 || trial->uffd < 0 || trial->pagemap < 0)
		err = made < 0 ? made : made ? -errno : -ETIMEDOUT;
	if (pidfd >= 0)
		close(pidfd);
	return err;
}

static int try_step(struct trial *trial, int step)
{
	uint64_t start = (uintptr_t)trial->memory + step * STEP_PAGES % TRIAL_PAGES * PAGE;
	uint64_t end = start + STEP_PAGES * PAGE, walked;
	struct uffdio_writeprotect back = { .range = { .start = start, .len = end - start } };
	struct scan_run runs[STEP_PAGES];
	int64_t begun = ps_now_ns(), protected;
	int got = ps_scan(trial->pagemap, SCAN_ARM, start, end, runs, STEP_PAGES, &walked);

	protected = ps_now_ns();
	if (got < 0)
		return got;
	if (ioctl(trial->uffd, UFFDIO_WRITEPROTECT, &back))
		return -errno;
	trial->unprotect_ns[step] = (ps_now_ns() - protected) / STEP_PAGES;
	trial->protect_ns[step] = (protected - begun) / STEP_PAGES;
	ps_sleep(NAP_NS);
	return 0;
}

static int try_all(struct trial *trial)
{
	struct uffdio_api api = { .api = UFFD_API, .features = PS_UFFD_FEATURES };
	struct uffdio_register ask = {
		.range = { .start = (uintptr_t)trial->memory, .len = TRIAL_PAGES * PAGE }, .mode = UFFDIO_REGISTER_MODE_WP,
	};
	int err = 0;

	if (ioctl(trial->uffd, UFFDIO_API, &api) || ioctl(trial->uffd, UFFDIO_REGISTER, &ask))
		return -errno;
	for (int step = 0; step < STEPS && !err; step++)
		err = try_step(trial, step);
	return err;
}

static int in_order(const void *a, const void *b)
{
	int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;

	return (one > other) - (one < other);
}

/* What kept us from the CPU now and then is in the longest ones. */
static int64_t median(int64_t *numbers)
{
	qsort(numbers, STEPS, sizeof(*numbers), in_order);
	return numbers[STEPS / 2];
}

static int start_child(struct trial *trial)
{
	if (trial->memory == MAP_FAILED || trial->made == MAP_FAILED)
		return -ENOMEM;
	madvise(trial->memory, TRIAL_PAGES * PAGE, MADV_NOHUGEPAGE);
	memset(trial->memory, 1, TRIAL_PAGES * PAGE);
	trial->child = fork();
	if (!trial->child)
		be_child(trial);
	return trial->child < 0 ? -errno : 0;
}

int ps_precopy_calibrate(int64_t *protect_ns, int64_t *unprotect_ns)
{
	static struct trial trial;
	int err;

	trial = (struct trial){
		.memory = mmap(NULL, TRIAL_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
		.made = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0),
		.uffd = -1, .pagemap = -1,
	};
	err = start_child(&trial);
	if (!err)
		err = fetch(&trial);
	if (!err)
		err = try_all(&trial);
	if (trial.child > 0) {
		kill(trial.child, SIGKILL);
		waitpid(trial.child, NULL, 0);
	}
	if (trial.memory != MAP_FAILED)
		munmap(trial.memory, TRIAL_PAGES * PAGE);
	if (trial.made != MAP_FAILED)
		munmap(trial.made, PAGE);
	if (trial.pagemap >= 0)
		close(trial.pagemap);
	if (trial.uffd >= 0)
		close(trial.uffd);
	if (err)
		return ps_fail(err, "what it costs to protect a page cannot be tried: %s", strerror(-err));
	*protect_ns = median(trial.protect_ns);
	*unprotect_ns = median(trial.unprotect_ns);
	return 0;
}
