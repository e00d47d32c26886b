// SPDX-License-Identifier: GPL-2.0
/* A duplicate under ptrace: everything can be read, and nothing makes it run. */
#include <elf.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/snap.h"

enum { READY = 1, ADDRESS, SECOND };
static volatile long *counter;

static void *count_second(void *unused)
{
	(void)unused;
	for (;;)
		counter[1]++;
	return NULL;
}

/* If the duplicate ran, its copy of the counters would go on. */
static void counting(void *unused)
{
	pthread_t thread;

	(void)unused;
	counter = map_private(PAGE);
	counter[2] = 0x736e6170;
	word[ADDRESS] = (long)counter;
	pthread_create(&thread, NULL, count_second, NULL);
	while (!counter[1])
		;
	word[READY] = 1;
	for (;;)
		counter[0]++;
}

static pid_t target, copy;
static struct proc_snap_thread threads[4];

static bool same_registers(const struct user_regs_struct *a, const struct user_regs_struct *b)
{
	return !memcmp(a, b, sizeof(*a));
}

struct still {
	struct user_regs_struct regs;
	long counts[3];
};

static void look(pid_t tid, struct still *still)
{
	memset(still, 0, sizeof(*still));
	get_regs(tid, &still->regs);
	read_memory(copy, (void *)word[ADDRESS], still->counts, sizeof(still->counts));
}

static bool still_parked(pid_t tid, const struct still *before)
{
	struct still after;

	look(tid, &after);
	return same_registers(&before->regs, &after.regs) &&
	       !memcmp(before->counts, after.counts, sizeof(after.counts));
}

/* Let go by @request, given 10 ms, stopped again: it must be as it was. */
static void try_resume(pid_t tid, int request, int signal, const char *what)
{
	struct still before;
	int status;

	look(tid, &before);
	is(ptrace(request, tid, 0, signal), 0, "%s: accepted", what);
	pause_ms(10);
	is(waitpid(tid, &status, __WALL | WNOHANG), 0, "%s: no stop of its own", what);
	is(trace_again(tid) >= 0, 1, "%s: stops again", what);
	ok(still_parked(tid, &before), "%s: not one instruction was run", what);
}

static void test_reading(pid_t tid)
{
	unsigned char xstate[16384];
	struct user_fpregs_struct fp;
	struct user_regs_struct regs;
	long value;

	is(get_regs(tid, &regs), sizeof(regs), "GETREGSET PRSTATUS");
	ok(regs.rip && regs.rsp && (regs.cs & 3) == 3, "registers of user mode");
	is(get_regset(tid, NT_FPREGSET, &fp, sizeof(fp)), sizeof(fp), "GETREGSET FPREGSET");
	value = get_regset(tid, NT_X86_XSTATE, xstate, sizeof(xstate));
	ok(value >= 576, "GETREGSET XSTATE, %ld bytes", value);
	ok(!memcmp(xstate, &fp, 24), "both say the same");
	errno = 0;
	value = ptrace(PTRACE_PEEKTEXT, tid, (void *)word[ADDRESS] + 16, 0);
	is(value, 0x736e6170, "PEEKTEXT of memory");
	errno = 0;
	value = ptrace(PTRACE_PEEKTEXT, tid, (void *)regs.rip, 0);
	ok(!errno && value == peek(target, (void *)regs.rip), "PEEKTEXT of code");
	errno = 0;
	value = ptrace(PTRACE_PEEKUSER, tid, offsetof(struct user, regs.rip), 0);
	ok(!errno && value == (long)regs.rip, "PEEKUSER");
}

static void test_resuming(pid_t tid, const char *which)
{
	static const struct { int request, signal; const char *name; } ways[] = {
		{ PTRACE_CONT, 0, "CONT" },
		{ PTRACE_CONT, SIGUSR1, "CONT with SIGUSR1" },
		{ PTRACE_CONT, SIGSEGV, "CONT with SIGSEGV" },
		{ PTRACE_SYSCALL, 0, "SYSCALL" },
		{ PTRACE_SINGLESTEP, 0, "SINGLESTEP" },
		{ PTRACE_SYSEMU, 0, "SYSEMU" },
		{ PTRACE_SINGLEBLOCK, 0, "SINGLEBLOCK" },
	};
	char name[64];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		snprintf(name, sizeof(name), "%s, %s", which, ways[i].name);
		try_resume(tid, ways[i].request, ways[i].signal, name);
	}
}

static void test_changing(pid_t tid)
{
	struct still before;
	struct user_regs_struct regs;
	struct iovec vector = { &regs, sizeof(regs) };

	/* an ordinary debugger's call of a function: registers are set, it is let go */
	get_regs(tid, &regs);
	regs.rip += 1;
	regs.rax = 39;
	if (ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &vector))
		note("registers cannot be set");
	ptrace(PTRACE_SETOPTIONS, tid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXIT);
	look(tid, &before);
	ptrace(PTRACE_CONT, tid, 0, 0);
	pause_ms(10);
	trace_again(tid);
	ok(still_parked(tid, &before), "changed registers do not make it run");
}

static void test_attach(pid_t tid)
{
	struct still before;
	int status;

	is(ptrace(PTRACE_ATTACH, tid, 0, 0), 0, "ATTACH");
	is(waitpid(tid, &status, __WALL), tid, "it stops");
	ok(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP, "by SIGSTOP");
	look(tid, &before);
	is(ptrace(PTRACE_CONT, tid, 0, 0), 0, "CONT");
	pause_ms(10);
	/* how a debugger stops again what it has not seized */
	kill(tid, SIGSTOP);
	ok(UNTIL(waitpid(tid, &status, __WALL | WNOHANG) == tid) && WIFSTOPPED(status) &&
	   WSTOPSIG(status) == SIGSTOP, "SIGSTOP stops it for its tracer");
	ok(still_parked(tid, &before), "not one instruction was run");
	ptrace(PTRACE_DETACH, tid, 0, SIGUSR2);
	ok(at_rest(tid), "detached, it is parked");
}

static void tracer_that_dies(void *unused)
{
	(void)unused;
	trace_stop(copy);
	word[SECOND] = 1;
	sleep_for_ever();
}

static void test_tracers_death(void)
{
	pid_t tracer = spawn(tracer_that_dies, NULL);

	wait_word(SECOND, 1);
	end_target(tracer);
	ok(at_rest(copy), "its tracer's death leaves it parked");
	is(status_number(copy, "TracerPid"), 0, "and without a tracer");
}

static void test_gdb(void)
{
	char command[512], text[8192] = "", line[512];
	size_t length = 0;
	long count;
	FILE *out;

	if (!option("gdb", 1)) {
		skip("gdb", "not asked for");
		return;
	}
	if (system("command -v gdb >/dev/null")) {
		skip("gdb", "gdb is not there");
		return;
	}
	count = peek(copy, (void *)word[ADDRESS]);
	snprintf(command, sizeof(command),
		 "timeout %.0f gdb -nx -batch -p %d -ex 'set auto-solib-add off' -ex 'info threads' "
		 "-ex 'x/gd 0x%lx' -ex 'p/x $rip' -ex detach 2>&1 </dev/null",
		 patience_s(), copy, word[ADDRESS]);
	out = popen(command, "r");
	while (out && fgets(line, sizeof(line), out))
		if (length + strlen(line) < sizeof(text))
			length += sprintf(text + length, "%s", line);
	if (out)
		pclose(out);
	snprintf(line, sizeof(line), "0x%lx:\t%ld", word[ADDRESS], count);
	ok(strstr(text, line) != NULL, "gdb reads its memory");
	snprintf(line, sizeof(line), "LWP %d", threads[1].snap_tid);
	ok(strstr(text, line) != NULL, "gdb sees its second thread");
	if (!strstr(text, line))
		for (char *at = strtok(text, "\n"); at; at = strtok(NULL, "\n"))
			note("%s", at);
	ok(at_rest(copy), "after gdb it is parked");
	is(peek(copy, (void *)word[ADDRESS]), count, "and has not run");
}

int main(int argc, char **argv)
{
	struct proc_snap_args args;
	long count;

	tap_begin(argc, argv);
	target = spawn(counting, NULL);
	wait_word(READY, 1);
	copy = snap_figures(target, &args, threads, 4);
	ok(copy > 0 && args.nr_threads == 2, "a duplicate with two tasks");
	count = peek(copy, (void *)word[ADDRESS]);

	ok(trace_stop(copy) >= 0, "SEIZE and INTERRUPT");
	ok(trace_stop(threads[1].snap_tid) >= 0, "the second task's too");
	test_reading(copy);
	test_reading(threads[1].snap_tid);
	test_resuming(copy, "first");
	test_resuming(threads[1].snap_tid, "second");
	test_changing(threads[1].snap_tid);
	trace_detach(threads[1].snap_tid);
	trace_detach(copy);
	ok(at_rest(copy), "detached, it is parked");
	test_attach(copy);
	test_tracers_death();
	test_gdb();
	is(peek(copy, (void *)word[ADDRESS]), count, "in all this its memory has not changed");
	ok(UNTIL(peek(target, (void *)word[ADDRESS]) > count), "the target went on");

	is(trace_stop(copy) >= 0, 1, "stopped once more");
	is(snap_end(copy), 0, "SIGKILL ends a traced one");
	end_target(target);
	return tap_end();
}
