// SPDX-License-Identifier: GPL-2.0
/*
 * Each thread's registers are those of the moment of the memory. The threads
 * count in registers and in private memory; at each instruction of the loop it
 * is known which of them are ahead by one, so that nothing is left to chance:
 * a register read a microsecond before or after the memory's moment shows.
 */
#include <elf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "registers.h"

struct wrongs {
	long mapping, place, general, memory, sse, avx, tls, name;
};

static void check_thread(pid_t dup, const struct proc_snap_thread *thread, int threads,
			 struct wrongs *wrong)
{
	unsigned char xstate[16384] = { };
	struct user_regs_struct regs = { };
	long value, expected[STEPS + 1], memory[9], wide[2];
	char path[64], comm[32], name[32];
	int index = index_of(thread->target_tid, threads), at, i;

	if (index < 0 || trace_stop(thread->snap_tid) < 0) {
		wrong->mapping++;
		return;
	}
	get_regs(thread->snap_tid, &regs);
	get_regset(thread->snap_tid, NT_X86_XSTATE, xstate, sizeof(xstate));
	trace_detach(thread->snap_tid);
	wrong->mapping += (int)regs.r15 != thread->target_tid ||
			  (long)regs.r14 != word[PAGES + index];
	wrong->tls += (long)regs.fs_base != word[SELF + index];
	snprintf(path, sizeof(path), "task/%d/comm", thread->snap_tid);
	snprintf(name, sizeof(name), "thread-%d\n", index);
	wrong->name += slurp_of(dup, path, comm, sizeof(comm)) < 0 || strcmp(comm, name);
	for (at = 1; at <= STEPS && (long)regs.rip != (long)step(at); at++)
		;
	if (at > STEPS) {
		wrong->place++;
		return;
	}
	/* what a step before the next one has made is of this round */
	for (i = 1; i <= STEPS; i++)
		expected[i] = at == 1 || i < at ? (long)regs.r12 : (long)regs.r12 - 1;
	if (read_memory(dup, (void *)word[PAGES + index], memory, sizeof(memory)) != sizeof(memory))
		die("no memory of the duplicate");
	wrong->memory += !shared && (memory[0] != expected[2] || memory[8] != expected[6]);
	wrong->general += (long)regs.r13 != expected[3];
	memcpy(&value, xstate + 160 + 7 * 16, sizeof(value));
	wrong->sse += value != expected[4];
	if (!avx)
		return;
	/* upper halves begin at 576 in the standard format */
	memcpy(&value, xstate + 160 + 8 * 16, sizeof(value));
	memcpy(wide, xstate + 576 + 8 * 16, sizeof(wide));
	wrong->avx += value != expected[5] || wide[0] != expected[5] || wide[1] != expected[5];
}

static void test_running(long threads, long snapshots)
{
	struct proc_snap_thread taken[THREADS_MOST];
	struct proc_snap_args args;
	struct wrongs wrong = { };
	long running = 0, times = 0, counts = 0, distinct = 0, last = -1;
	uint64_t before, after, latest, skew_most = 0, locked_most = 0;
	pid_t target, dup;
	unsigned int i;
	long n;

	word[READY] = 0;
	target = spawn(counting, (void *)threads);
	wait_word(READY, threads);
	pause_ms(50);
	for (n = 0; n < snapshots; n++) {
		before = now_ns();
		dup = snap_figures(target, &args, taken, THREADS_MOST);
		after = now_ns();
		if (dup < 0)
			die("no duplicate: %d", dup);
		counts += args.nr_threads != threads || taken[0].target_tid != target ||
			  taken[0].snap_tid != dup;
		latest = args.moment_ns;
		for (i = 0; i < args.nr_threads; i++) {
			check_thread(dup, &taken[i], threads, &wrong);
			running += taken[i].flags & PROC_SNAP_RUNNING;
			times += taken[i].registers_ns < before || taken[i].registers_ns > after;
			if (taken[i].registers_ns > latest)
				latest = taken[i].registers_ns;
		}
		times += args.moment_ns < before || args.moment_ns > after ||
			 args.locked_ns > after - before ||
			 args.registers_skew_ns != latest - args.moment_ns;
		if (args.registers_skew_ns > skew_most)
			skew_most = args.registers_skew_ns;
		if (args.locked_ns > locked_most)
			locked_most = args.locked_ns;
		distinct += last != peek(dup, (void *)word[PAGES]);
		last = peek(dup, (void *)word[PAGES]);
		if (snap_end(dup))
			die("no end");
	}
	is(counts, 0, "%ld threads: all are there, first first", threads);
	is(wrong.mapping, 0, "%ld threads: each task has its thread's registers", threads);
	is(wrong.name, 0, "%ld threads: and its name", threads);
	is(wrong.tls, 0, "%ld threads: and its thread pointer", threads);
	is(wrong.place, 0, "%ld threads: instruction pointer within the loop", threads);
	is(wrong.memory, 0, "%ld threads: memory is as of the registers", threads);
	is(wrong.general, 0, "%ld threads: general registers agree", threads);
	is(wrong.sse, 0, "%ld threads: SSE registers agree", threads);
	if (avx)
		is(wrong.avx, 0, "%ld threads: AVX registers agree", threads);
	is(times, 0, "%ld threads: times are within the call, and the skew is their difference", threads);
	ok(distinct > snapshots / 10, "%ld threads: the target ran between snapshots", threads);
	/*
	 * With one CPU the caller has it. With more, who writes to private memory
	 * soon waits for the end of the snapshot, and who does not is met running.
	 */
	if (sysconf(_SC_NPROCESSORS_ONLN) == 1)
		is(running, 0, "%ld threads: none was on a CPU", threads);
	else if (shared)
		ok(running >= snapshots / 2, "%ld threads: they were read on their CPUs", threads);
	note("%ld threads, %s memory, %ld snapshots: %ld found running, skew at most %lu us, lock held at most %lu us",
	     threads, shared ? "shared" : "private", snapshots, running, skew_most / 1000, locked_most / 1000);
	end_target(target);
}

int main(int argc, char **argv)
{
	long snapshots;

	tap_begin(argc, argv);
	hurry();
	/* the target's first thread has another one, if there is one */
	on_cpu(-1);
	avx = __builtin_cpu_supports("avx2");
	if (!avx)
		skip("AVX registers", "this CPU has no AVX2");
	snapshots = option("snapshots", 200);
	test_running(1, snapshots);
	test_running(2, snapshots);
	test_running(4, snapshots);
	shared = true;
	test_running(1, snapshots);
	test_running(4, snapshots);
	shared = false;
	if (avx) {
		avx = false;
		test_running(2, snapshots / 4);
	}
	test_asleep(false);
	test_asleep(true);
	test_room();
	return tap_end();
}
