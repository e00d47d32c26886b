// SPDX-License-Identifier: GPL-2.0
/*
 * Each thread's registers are those of the moment of the memory. The threads
 * count in registers and in private memory; at each instruction of the loop it
 * is known which of them are ahead by one, so that nothing is left to chance:
 * a register read a microsecond before or after the memory's moment shows.
 */
#include <elf.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/snap.h"

#define THREADS_MOST	4
enum { READY = 1, PAGES = 10, SELF = 20, TID = 30 };

/* void hot(page, tid): the steps of one round, each of one instruction. */
#define PROLOGUE(name)							\
	".globl " name "\n" name ":\n"					\
	"	mov %rdi, %r14\n"					\
	"	mov %rsi, %r15\n"					\
	"	xor %r12, %r12\n"					\
	"	xor %r13, %r13\n"					\
	"	pxor %xmm7, %xmm7\n"

asm(".text\n"
PROLOGUE("hot")
"hot_1:	add $1, %r12\n"
"hot_2:	mov %r12, (%r14)\n"
"hot_3:	mov %r12, %r13\n"
"hot_4:	movq %r12, %xmm7\n"
"hot_5:	nop\n"
"hot_6:	mov %r13, 64(%r14)\n"
"hot_7:	jmp hot_1\n"
PROLOGUE("hot_avx")
"	vpxor %ymm8, %ymm8, %ymm8\n"
"hot_avx_1:	add $1, %r12\n"
"hot_avx_2:	mov %r12, (%r14)\n"
"hot_avx_3:	mov %r12, %r13\n"
"hot_avx_4:	vmovq %r12, %xmm7\n"
"hot_avx_5:	vpbroadcastq %xmm7, %ymm8\n"
"hot_avx_6:	mov %r13, 64(%r14)\n"
"hot_avx_7:	jmp hot_avx_1\n"
/* void doze(void): every register has a value of its own, asleep in pause() */
".globl doze\n"
"doze:\n"
"	fldpi\n"
"	fldl2e\n"
"	fld1\n"
"	movl $0x9fc0, -8(%rsp)\n"
"	ldmxcsr -8(%rsp)\n"
"	mov $0x1111, %rbx\n	mov $0x2222, %rbp\n	mov $0x3333, %rdi\n"
"	mov $0x4444, %rsi\n	mov $0x5555, %rdx\n	mov $0x6666, %r8\n"
"	mov $0x7777, %r9\n	mov $0x8888, %r10\n	mov $0x9999, %r12\n"
"	mov $0xaaaa, %r13\n	mov $0xbbbb, %r14\n	mov $0xcccc, %r15\n"
"	movq %rbx, %xmm0\n	movq %rbp, %xmm3\n	movq %r15, %xmm15\n"
"1:	mov $34, %eax\n"
"	syscall\n"
"	jmp 1b\n");

#define STEPS 7
#define LABELS(name) extern char name[], name##_1[], name##_2[], name##_3[], name##_4[], \
	name##_5[], name##_6[], name##_7[]
LABELS(hot);
LABELS(hot_avx);
extern void doze(void);

static bool avx;
/* The loop writes to shared memory: then nothing ever takes a thread off its CPU. */
static bool shared;

static char *step(int number)
{
	char *const plain[] = { hot_1, hot_2, hot_3, hot_4, hot_5, hot_6, hot_7 };
	char *const wide[] = { hot_avx_1, hot_avx_2, hot_avx_3, hot_avx_4, hot_avx_5, hot_avx_6,
			       hot_avx_7 };

	return (avx ? wide : plain)[number - 1];
}

/* Where the C library has it, since 2.35. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));

/*
 * The kernel writes to a thread's rseq area when it has preempted it: to private
 * memory, for which the thread then waits until the snapshot is done.
 */
static void without_rseq(void)
{
	if (&__rseq_offset && syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset,
				      32, 1 /* RSEQ_FLAG_UNREGISTER */, 0x53053053))
		note("rseq stays registered (errno %d)", errno);
}

static void begin_thread(long index)
{
	char name[16];

	snprintf(name, sizeof(name), "thread-%ld", index);
	prctl(PR_SET_NAME, name);
	word[PAGES + index] = (long)(shared ? (char *)word + PAGE * (1 + index) : map_private(PAGE));
	word[SELF + index] = pthread_self();
	word[TID + index] = syscall(SYS_gettid);
}

static void *count(void *index)
{
	void (*run)(void *, long) = (void *)(avx ? hot_avx : hot);

	begin_thread((long)index);
	on_cpu((long)index);
	if (shared)
		without_rseq();
	__sync_fetch_and_add(&word[READY], 1);
	run((void *)word[PAGES + (long)index], word[TID + (long)index]);
	return NULL;
}

static void counting(void *threads)
{
	pthread_t thread;
	long i;

	for (i = 1; i < (long)threads; i++)
		pthread_create(&thread, NULL, count, (void *)i);
	count(0);
}

static int index_of(pid_t tid, int threads)
{
	int i;

	for (i = 0; i < threads; i++)
		if (word[TID + i] == tid)
			return i;
	return -1;
}

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
	read_memory(dup, (void *)word[PAGES + index], memory, sizeof(memory));
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

/* --- asleep --- */

static void *doze_thread(void *index)
{
	begin_thread((long)index);
	syscall(SYS_arch_prctl, 0x1001 /* ARCH_SET_GS */, 0x123456000 + (long)index);
	__sync_fetch_and_add(&word[READY], 1);
	doze();
	return NULL;
}

static void *read_thread(void *index)
{
	int ends[2];
	char c;

	begin_thread((long)index);
	if (pipe(ends))
		die("pipe");
	__sync_fetch_and_add(&word[READY], 1);
	return read(ends[0], &c, 1) ? NULL : index;
}

static void asleep(void *unused)
{
	pthread_t thread;

	(void)unused;
	pthread_create(&thread, NULL, doze_thread, (void *)1);
	pthread_create(&thread, NULL, read_thread, (void *)2);
	begin_thread(0);
	__sync_fetch_and_add(&word[READY], 1);
	pause_ms(100000000);
}

struct state {
	struct user_regs_struct regs;
	unsigned char fp[512];
	unsigned char xstate[16384];
	long xstate_bytes;
};

static void read_state(pid_t tid, struct state *state)
{
	memset(state, 0, sizeof(*state));
	get_regs(tid, &state->regs);
	get_regset(tid, NT_FPREGSET, state->fp, sizeof(state->fp));
	state->xstate_bytes = get_regset(tid, NT_X86_XSTATE, state->xstate, sizeof(state->xstate));
}

static void test_asleep(bool stopped)
{
	static const long calls[] = { SYS_clock_nanosleep, SYS_pause, SYS_read };
	const char *how = stopped ? "stopped" : "asleep";
	struct proc_snap_thread taken[THREADS_MOST];
	static struct state ours, theirs;
	struct proc_snap_args args;
	pid_t target, dup;
	unsigned int i;

	word[READY] = 0;
	target = spawn(asleep, NULL);
	wait_word(READY, 3);
	pause_ms(50);
	if (stopped) {
		kill(target, SIGSTOP);
		await_state(target, "T");
		pause_ms(20);
	}
	dup = snap_figures(target, &args, taken, THREADS_MOST);
	is(args.nr_threads, 3, "%s: three threads", how);
	for (i = 0; i < 3; i++) {
		if (trace_stop(taken[i].snap_tid) < 0 || trace_stop(taken[i].target_tid) < 0)
			die("no trace of thread %u", i);
		read_state(taken[i].snap_tid, &ours);
		read_state(taken[i].target_tid, &theirs);
		is(ours.regs.orig_rax, calls[index_of(taken[i].target_tid, 3)],
		   "%s, thread %u: in its system call", how, i);
		is(taken[i].flags & PROC_SNAP_RUNNING, 0, "%s, thread %u: not running", how, i);
		/* an interrupted call says to ptrace how it is restarted */
		if (!stopped) {
			is(ours.regs.rax, -ENOSYS, "%s, thread %u: rax is of a call's beginning", how, i);
			ours.regs.rax = theirs.regs.rax;
		}
		ok(!memcmp(&ours.regs, &theirs.regs, sizeof(ours.regs)),
		   "%s, thread %u: registers are those ptrace sees in the target", how, i);
		ok(!memcmp(ours.fp, theirs.fp, sizeof(ours.fp)), "%s, thread %u: FP registers", how, i);
		ok(ours.xstate_bytes > 0 && ours.xstate_bytes == theirs.xstate_bytes &&
		   !memcmp(ours.xstate, theirs.xstate, ours.xstate_bytes),
		   "%s, thread %u: all %ld bytes of XSTATE", how, i, ours.xstate_bytes);
		if (calls[index_of(taken[i].target_tid, 3)] == SYS_pause)
			ok(ours.regs.gs_base == 0x123456001 && ours.regs.r15 == 0xcccc &&
			   ours.regs.rbx == 0x1111 && ours.fp[24] == 0xc0 && ours.fp[25] == 0x9f,
			   "%s: the values it had set, GS base and MXCSR among them", how);
		trace_detach(taken[i].snap_tid);
		trace_detach(taken[i].target_tid);
	}
	is(args.registers_skew_ns <= args.locked_ns, 1, "%s: skew is within the lock's time", how);
	is(snap_end(dup), 0, "%s: it ends", how);
	end_target(target);
}

static void test_room(void)
{
	struct proc_snap_thread taken[3], untouched;
	struct proc_snap_args args;
	pid_t target, dup;

	word[READY] = 0;
	target = spawn(asleep, NULL);
	wait_word(READY, 3);
	memset(taken, 0x5a, sizeof(taken));
	untouched = taken[2];
	dup = snap_figures(target, &args, taken, 1);
	ok(dup > 0 && args.nr_threads == 3, "room for one of three: all are taken and counted");
	ok(taken[0].snap_tid == dup && !memcmp(&taken[2], &untouched, sizeof(untouched)) &&
	   !memcmp(&taken[1], &untouched, sizeof(untouched)), "and one is told of");
	is(threads_of(dup), 3, "three tasks");
	is(snap_end(dup), 0, "they end as one");
	/* any thread's id stands for its process */
	dup = snap_figures(word[TID + 2], &args, taken, 3);
	ok(dup > 0 && args.nr_threads == 3 && taken[0].target_tid == target,
	   "by another thread's id: the whole process, first thread first");
	is(snap_end(dup), 0, "it ends");
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
