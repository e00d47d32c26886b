// SPDX-License-Identifier: MIT
/*
 * precopy: the target's memory is copied while it runs, and what it has changed
 * since is read in a short stop. Two stops: in the first, the target makes a
 * userfaultfd(2), which is fetched from it (pidfd_getfd(2)), and closes it.
 * Everything else is done from outside.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/userfaultfd.h>
#include "core/living.h"
#include "core/features.h"
#include "precopy.h"
#include "switches.h"

/* Passes until the stop, however little they help; and how often an ambiguous image is taken again. */
#define MOST_PASSES	12
#define MOST_ATTEMPTS	8
#define FEW_PAGES	64

static int begin_further_pass(void)
{
	if (ps_part_under_way() != PS_PART_FURTHER_PASSES)
		ps_begin_part(PS_PART_FURTHER_PASSES, ps_now_ns());
	return ps_begin_pass();
}

static int open_file(pid_t tid, const char *name, int *fd)
{
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/%s", tid, name);
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*fd < 0 && (errno == ENOENT || errno == ESRCH))
		return ps_fail(-ESRCH, "process %d has ended", precopy.target);
	return *fd >= 0 ? 0 : ps_fail(-errno, "%s cannot be opened: %s", path, strerror(errno));
}

/* Somebody else's protection would be taken for ours, and ours for theirs. */
static int check_free(void)
{
	const struct spans *spans = &precopy.spans;
	struct scan_run run;
	uint64_t walked;

	if (!spans->count || ps_scan(precopy.pagemap, SCAN_REGISTERED, spans->span[0].start,
				     spans->span[spans->count - 1].end, &run, 1, &walked) <= 0)
		return 0;
	return ps_fail(-EBUSY,
		"memory of process %d is write-protected by a userfaultfd already, its own or another procsnap's: take a copy "
		"by inject, or later",
		precopy.target);
}

int ps_precopy_begin(pid_t target, const char *folder, int64_t most_bytes, int64_t timeout_ns, int64_t limit_ns,
		     struct ps_precopy *told)
{
	struct uffdio_api api = { .api = UFFD_API, .features = PS_UFFD_FEATURES };
	struct ps_preflight preflight;
	char why[256];
	pid_t living;
	int err;

	*told = (struct ps_precopy){ .phase = PS_PRECOPY_PASSES, .begun_ns = ps_now_ns() };
	precopy.told = told;
	precopy.target = target;
	ps_pace_begin(&precopy.pace);
	precopy.found = 0;
	precopy.pidfd = syscall(SYS_pidfd_open, target, 0);
	err = ps_preflight(target, PS_FOR_PRECOPY, &preflight);
	if (err)
		goto fail;
	told->resident_bytes = preflight.resident_kib << 10;
	living = ps_living_thread(target);
	err = living < 0 ? living : open_file(living, "mem", &precopy.mem);
	if (!err)
		err = open_file(living, "pagemap", &precopy.pagemap);
	if (!err)
		err = open_file(living, "maps", &precopy.maps);
	if (!err)
		err = ps_image_open(&precopy.image, folder, most_bytes);
	told->image_file = precopy.image.file;
	if (!err)
		err = ps_open_faults(target);
	if (err)
		goto fail;
	ps_open_switches(target);
	ps_at(PS_STEP_CHECKED);
	err = ps_set_up(timeout_ns, limit_ns);
	if (!err && ioctl(precopy.uffd, UFFDIO_API, &api))
		err = ps_fail(-errno, "the userfaultfd of process %d does not do what is needed: %s", target, strerror(errno));
	if (!err)
		err = ps_begin_pass();
	if (!err)
		err = check_free();
	if (!err)
		return 0;
fail:
	snprintf(why, sizeof(why), "%s", ps_error());
	ps_precopy_end();
	return ps_fail(err, "%s", why);
}

/* What a pass has found was written to while the one before it lasted. */
static bool is_enough(void)
{
	struct ps_precopy *told = precopy.told;

	return told->passes > 1 && (precopy.found <= FEW_PAGES || told->passes >= MOST_PASSES ||
				    precopy.found * 4 > precopy.found_before * 3);
}

/* The next phase, when the one under way is over. */
static int next_phase(int64_t timeout_ns, int64_t limit_ns, struct ps_registers *registers, int max_registers)
{
	struct ps_precopy *told = precopy.told;
	struct ps_preflight preflight;
	int err;

	switch (told->phase) {
	case PS_PRECOPY_PASSES:
		if (!is_enough())
			return begin_further_pass();
		told->attempts++;
		told->stop_ns = 0;
		err = ps_prepare_moment();
		if (!err) {
			ps_hurry(&precopy.pace);
			err = ps_take_moment(timeout_ns, limit_ns, registers, max_registers);
			ps_take_turns(&precopy.pace);	/* where it was not to be stopped, too */
		}
		if (told->stop_ns) {
			ps_begin_part(PS_PART_SECOND_STOP, told->stop_ns);
			ps_begin_part(PS_PART_CHECK, told->stop_ns + told->pause_ns);
		}
		if (err == -E2BIG && told->attempts < MOST_ATTEMPTS)
			return begin_further_pass();
		if (err)
			return err;
		told->phase = PS_PRECOPY_CHECK;
		return ps_begin_check();
	case PS_PRECOPY_CHECK:
		if (!told->ambiguous_pages) {
			/* What was opened since the first look may have been used since. */
			err = ps_preflight(precopy.target, PS_FOR_PRECOPY, &preflight);
			if (err == -ENOTSUP)
				return err;
			ps_close_faults();
			ps_forget_moment();
			/* The layout of the moment: the clean-up is of what the target has mapped by then. */
			told->copy_bytes = (int64_t)ps_image_pages(&precopy.image) * PAGE;
			precopy.index = ps_write_index(&precopy.image, precopy.maps_text, precopy.maps_bytes);
			told->phase = PS_PRECOPY_CLEANUP;
			ps_begin_part(PS_PART_UNPROTECTING, ps_now_ns());
			return precopy.index < 0 ? precopy.index : ps_begin_cleanup();
		}
		if (told->attempts == MOST_ATTEMPTS)
			return ps_fail(-EAGAIN,
				"of %lld pages of process %d it cannot be told whether they changed before the moment or after it, "
				"in %d tries: it writes to ever other pages, gives memory up, or has the kernel write there",
				(long long)told->ambiguous_pages, precopy.target, told->attempts);
		told->phase = PS_PRECOPY_PASSES;
		return begin_further_pass();
	case PS_PRECOPY_CLEANUP:
		close(precopy.uffd);
		precopy.uffd = -1;
		ps_close_switches();
		ps_end_part(ps_now_ns());
		told->phase = PS_PRECOPY_DONE;
		told->take_ns = ps_now_ns() - told->begun_ns;
		told->index_file = precopy.index;
		return 0;
	default:
		return 0;
	}
}

/* Of the last pass that is over: the first one finds every page, and of one under way it is not known yet. */
static int64_t written_pages(void)
{
	const struct ps_precopy *told = precopy.told;
	bool under_way = told->phase == PS_PRECOPY_PASSES;

	if (told->passes - under_way < 2)
		return 0;
	return under_way ? precopy.found_before : precopy.found;
}

int ps_precopy_go_on(int64_t budget_ns, int64_t timeout_ns, int64_t limit_ns, struct ps_registers *registers,
		     int max_registers)
{
	static int (*const some_of[])(void) = {
		[PS_PRECOPY_PASSES] = ps_go_on_with_pass,
		[PS_PRECOPY_CHECK] = ps_go_on_with_check,
		[PS_PRECOPY_CLEANUP] = ps_go_on_with_cleanup,
	};
	int64_t until_ns = ps_now_ns() + budget_ns;
	struct ps_precopy *told = precopy.told;
	int got = 0;

	ps_take_turns(&precopy.pace);
	while (got >= 0 && told->phase != PS_PRECOPY_DONE && ps_now_ns() < until_ns) {
		got = some_of[told->phase]();
		if (got > 0)
			got = next_phase(timeout_ns, limit_ns, registers, max_registers);
		/* The clean-up goes over all regions twice. */
		if (told->phase == PS_PRECOPY_CLEANUP && ps_is_unregistering() && ps_part_under_way() == PS_PART_UNPROTECTING)
			ps_begin_part(PS_PART_UNREGISTERING, ps_now_ns());
		ps_see_to_others();
	}
	ps_hurry(&precopy.pace);	/* as it was: the next request may be for another target */
	if (precopy.pace.longest_ns > told->longest_step_ns)
		told->longest_step_ns = precopy.pace.longest_ns;
	told->steps = precopy.pace.steps;
	told->written_pages = written_pages();
	if (got >= 0 && told->phase < PS_PRECOPY_CLEANUP)	/* after that it is whole */
		got = ps_image_check(&precopy.image, precopy.target);
	return got < 0 ? got : 0;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void ps_precopy_end(void)
{
	ps_close_faults();
	if (precopy.uffd >= 0 && !ps_begin_cleanup())
		while (!ps_go_on_with_cleanup())
			ps_see_to_others();
	ps_close_switches();
	ps_hurry(&precopy.pace);
	close_one(&precopy.uffd);
	close_one(&precopy.mem);
	close_one(&precopy.pagemap);
	close_one(&precopy.maps);
	close_one(&precopy.pidfd);
	close_one(&precopy.index);
	ps_image_close(&precopy.image);
	ps_forget_moment();
	free(precopy.spans.span);
	free(precopy.maps_text);
	precopy.spans = (struct spans){ 0 };
	precopy.maps_text = NULL;
	precopy.maps_bytes = precopy.maps_room = 0;
	precopy.target = 0;
}
