// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "faults.h"
#include "ring.h"

#define RING_BYTES	(256UL << 10)	/* of each CPU, for 16,384 faults; more needs CAP_IPC_LOCK */
#define MOST_LISTINGS	64

struct log {				/* of one CPU: events of all threads write there */
	struct ring ring;
	int	fd;			/* the event that it belongs to */
};

static struct {
	int	cpus;
	struct log *log;
	int	events, room;
	int	*event;
} faults;

static int open_event(pid_t tid, int cpu)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .config = PERF_COUNT_SW_PAGE_FAULTS, .sample_period = 1,
		.sample_type = PERF_SAMPLE_ADDR, .inherit = 1, .inherit_thread = 1, .exclude_hv = 1,
		/* Nobody is woken: the log is read when it is wanted. */
		.watermark = 1, .wakeup_watermark = RING_BYTES,
	};

	return syscall(SYS_perf_event_open, &attr, tid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

static int note_event(int fd)
{
	int room = faults.room ? 2 * faults.room : 256, *events;

	if (faults.events == faults.room) {
		events = realloc(faults.event, room * sizeof(*events));
		if (!events) {
			close(fd);
			return -ENOMEM;
		}
		faults.event = events;
		faults.room = room;
	}
	faults.event[faults.events++] = fd;
	return 0;
}

static int watch_on(pid_t tid, int cpu)
{
	struct log *log = &faults.log[cpu];
	int fd = open_event(tid, cpu), err;

	if (fd < 0)	/* the CPU is not there; or the thread has ended, which the next listing will tell */
		return errno == ENODEV || errno == ESRCH ? 0 : -errno;
	err = note_event(fd);
	if (err)
		return err;
	if (log->ring.head)
		return ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, log->fd) ? -errno : 0;
	log->fd = fd;
	return ps_map_ring(&log->ring, fd, RING_BYTES);
}

static int watch(pid_t tid)
{
	int err = 0;

	for (int cpu = 0; cpu < faults.cpus && !err; cpu++)
		err = watch_on(tid, cpu);
	return err;
}

static bool is_in(const pid_t *tids, int count, pid_t tid)
{
	for (int i = 0; i < count; i++)
		if (tids[i] == tid)
			return true;
	return false;
}

/* A thread that one without a log started meanwhile has none: so until a listing shows nobody new. */
static int watch_all(pid_t pid)
{
	static pid_t seen[PS_MAX_THREADS], now[PS_MAX_THREADS];
	int count = 0, found, err = 0;
	bool more = true;

	for (int i = 0; more && !err; i++) {
		if (i == MOST_LISTINGS)
			return -EAGAIN;
		more = false;
		found = ps_list_threads(pid, now, PS_MAX_THREADS);
		if (found < 0)
			return found;
		for (int i = 0; i < found && !err; i++)
			if (!is_in(seen, count, now[i])) {
				err = watch(now[i]);
				more = true;
			}
		memcpy(seen, now, found * sizeof(*now));
		count = found;
	}
	return err;
}

int ps_open_faults(pid_t pid)
{
	struct rlimit files;
	int err;

	faults.cpus = sysconf(_SC_NPROCESSORS_CONF);
	faults.log = calloc(faults.cpus, sizeof(*faults.log));
	if (!faults.log) {
		faults.cpus = 0;
		return ps_fail(-ENOMEM, "there is no memory for a log of page faults");
	}
	if (!getrlimit(RLIMIT_NOFILE, &files)) {	/* one descriptor for each thread and CPU */
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	err = watch_all(pid);
	if (!err)
		return 0;
	ps_close_faults();
	if (err == -EAGAIN)
		return ps_fail(err, "process %d starts threads so fast that they could not be listed: try again later", pid);
	return ps_fail(err, "the page faults of process %d cannot be logged: perf_event_open(2) says %s%s", pid,
		       strerror(-err), err == -EMFILE ? "; one descriptor is needed for each thread and CPU (ulimit -n)" : "");
}

void ps_close_faults(void)
{
	for (int cpu = 0; cpu < faults.cpus; cpu++)
		ps_unmap_ring(&faults.log[cpu].ring);
	for (int i = 0; i < faults.events; i++)
		close(faults.event[i]);
	free(faults.log);
	free(faults.event);
	memset(&faults, 0, sizeof(faults));
}

struct visitor { void (*visit)(uint64_t address); };

static void pass_on(const struct perf_event_header *header, uint64_t address, void *arg)
{
	const struct visitor *visitor = arg;

	if (header->type == PERF_RECORD_SAMPLE)
		visitor->visit(address);
}

bool ps_drain_faults(void (*visit)(uint64_t address))
{
	struct visitor visitor = { visit };
	bool all = true;

	for (int cpu = 0; cpu < faults.cpus; cpu++)
		if (faults.log[cpu].ring.head)
			all &= ps_drain_ring(&faults.log[cpu].ring, pass_on, &visitor);
	return all;
}
