// SPDX-License-Identifier: GPL-2.0
/* Registers of threads that are asleep or stopped: those that ptrace sees in the target. */
#include <elf.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "registers.h"

/* void doze(void): every register has a value of its own, asleep in pause() */
asm(".text\n"
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

extern void doze(void);

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

/* Of a thread, in whichever process; -1 if it is in none. */
static long call_of(pid_t tid)
{
	char text[256] = "";

	/* the call's number; or "running" */
	return slurp_of(tid, "syscall", text, sizeof(text)) > 0 && *text >= '0' && *text <= '9' ? atol(text) : -1;
}

void test_asleep(bool stopped)
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
	for (i = 0; i < 3; i++)
		if (!UNTIL(call_of(word[TID + i]) == calls[i]))
			die("thread %u does not come to its call", i);
	if (stopped)
		kill(target, SIGSTOP);
	for (i = 0; stopped && i < 3; i++)
		await_state(word[TID + i], "T");
	dup = snap_figures(target, &args, taken, THREADS_MOST);
	if (dup < 0)
		die("no duplicate");
	is(args.nr_threads, 3, "%s: three threads", how);
	for (i = 0; i < 3; i++) {
		if (index_of(taken[i].target_tid, 3) < 0)
			die("thread %d is none of the target's", taken[i].target_tid);
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

void test_room(void)
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
