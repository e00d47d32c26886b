// SPDX-License-Identifier: MIT
#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "ring.h"
#include "switches.h"

#define MOST_THREADS	64		/* all of them are looked at before each step */
#define RING_BYTES	4096UL		/* of each thread, for 255 switches: where there were more, the latest are lost */
#define SPARE_FILES	64		/* descriptors that are left for what a copy needs */

static struct {
	int	threads;
	struct watched {
		int	fd;
		struct ring ring;
		struct rhythm rhythm;
	} thread[MOST_THREADS];
} switches;

static int open_event(pid_t tid)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .config = PERF_COUNT_SW_DUMMY,
		.context_switch = 1, .sample_id_all = 1, .sample_type = PERF_SAMPLE_TIME,
		/* The clock of ps_now_ns(). */
		.use_clockid = 1, .clockid = CLOCK_MONOTONIC_RAW,
		/* With them, perf_event_paranoid up to 2 allows it to who may trace the process; they leave out nothing. */
		.exclude_kernel = 1, .exclude_hv = 1,
		/* Nobody is woken. */
		.watermark = 1, .wakeup_watermark = RING_BYTES,
	};

	return syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

/* False: none is to be watched. */
static bool watch(pid_t tid)
{
	struct watched *thread = &switches.thread[switches.threads];
	struct rlimit files;

	*thread = (struct watched){ .fd = open_event(tid) };
	if (thread->fd < 0)
		return errno == ESRCH;		/* it has ended */
	if (!getrlimit(RLIMIT_NOFILE, &files) && (rlim_t)thread->fd + SPARE_FILES > files.rlim_cur) {
		close(thread->fd);
		return false;
	}
	if (ps_map_ring(&thread->ring, thread->fd, RING_BYTES)) {
		close(thread->fd);
		return false;
	}
	switches.threads++;
	return true;
}

void ps_open_switches(pid_t pid)
{
	pid_t tids[MOST_THREADS + 1];
	int count = ps_list_threads(pid, tids, MOST_THREADS + 1);

	if (count > MOST_THREADS)
		return;
	for (int i = 0; i < count; i++)
		if (!watch(tids[i])) {
			ps_close_switches();
			return;
		}
}

void ps_close_switches(void)
{
	for (int i = 0; i < switches.threads; i++) {
		ps_unmap_ring(&switches.thread[i].ring);
		close(switches.thread[i].fd);
	}
	switches.threads = 0;
}

static void note(const struct perf_event_header *header, uint64_t at_ns, void *arg)
{
	bool out = header->misc & PERF_RECORD_MISC_SWITCH_OUT;
	struct rhythm *rhythm = arg;

	if (header->type != PERF_RECORD_SWITCH)
		return;
	/* Awake and in again: it was kept from its CPU, or its going to sleep was lost. The first one tells nothing. */
	if (!out && rhythm->asleep)
		ps_rhythm_woke(rhythm, at_ns);
	if (out && !(header->misc & PERF_RECORD_MISC_SWITCH_OUT_PREEMPT))
		ps_rhythm_slept(rhythm, at_ns);
}

void ps_note_switches(void)
{
	for (int i = 0; i < switches.threads; i++)
		ps_drain_ring(&switches.thread[i].ring, note, &switches.thread[i].rhythm);
}

int64_t ps_switches_wait_ns(int64_t now_ns, int64_t length_ns)
{
	int64_t longest_ns = 0;

	for (int i = 0; i < switches.threads; i++) {
		int64_t wait_ns = ps_rhythm_wait_ns(&switches.thread[i].rhythm, now_ns, length_ns);

		longest_ns = wait_ns > longest_ns ? wait_ns : longest_ns;
	}
	return longest_ns;
}

int64_t ps_longest_period_ns(int64_t now_ns)
{
	int64_t longest_ns = 0;

	for (int i = 0; i < switches.threads; i++) {
		const struct rhythm *rhythm = &switches.thread[i].rhythm;

		if (ps_has_rhythm(rhythm, now_ns) && rhythm->period_ns > longest_ns)
			longest_ns = rhythm->period_ns;
	}
	return longest_ns;
}

bool ps_any_was_awake(int64_t since_ns, int64_t now_ns)
{
	for (int i = 0; i < switches.threads; i++) {
		const struct rhythm *rhythm = &switches.thread[i].rhythm;

		if (ps_has_rhythm(rhythm, now_ns) && (!rhythm->asleep || rhythm->slept_ns >= since_ns))
			return true;
	}
	return false;
}
