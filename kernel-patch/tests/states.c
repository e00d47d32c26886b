// SPDX-License-Identifier: GPL-2.0
/* Targets in unusual states, and unusual callers: a duplicate, and no harm. */
#include <elf.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/snap.h"

enum { READY = 1, TURNS, CHILD, ADDRESS, DUP, STOP, RESULT };
static volatile long mark = 0x6d61726b;

static void turning(void *unused)
{
	(void)unused;
	word[READY] = 1;
	for (;;) {
		word[TURNS]++;
		pause_ms(1);
	}
}

static bool turns(void)
{
	long before = word[TURNS];

	return UNTIL(word[TURNS] > before + 2);
}

static pid_t begin(void (*run)(void *))
{
	pid_t pid;

	word[READY] = word[STOP] = word[CHILD] = 0;
	pid = spawn(run, NULL);
	wait_word(READY, 1);
	return pid;
}

/* A sound duplicate of @pid with @threads tasks. */
static pid_t sound(pid_t pid, unsigned int threads, const char *what)
{
	struct proc_snap_thread taken[8];
	struct proc_snap_args args;
	pid_t dup = snap_figures(pid, &args, taken, 8);

	if (!ok(dup > 0, "%s: a duplicate", what)) {
		note("errno %d", -dup);
		return -1;
	}
	is(args.nr_threads, threads, "%s: %u tasks", what, threads);
	is(threads_of(dup), threads, "%s: in /proc too", what);
	ok(at_rest(dup), "%s: parked", what);
	is(status_number(dup, "TracerPid"), 0, "%s: not traced", what);
	is(peek(dup, (void *)&mark), 0x6d61726b, "%s: with the target's memory", what);
	return dup;
}

static void sound_and_ended(pid_t pid, unsigned int threads, const char *what)
{
	pid_t dup = sound(pid, threads, what);

	is(dup > 0 ? snap_end(dup) : -1, 0, "%s: it ends", what);
}

static void test_32_bits(void)
{
	pid_t target = spawn_program("tiny32", NULL), dup;
	static char ours[65536], theirs[65536];
	unsigned int regs[17];
	unsigned long start;
	long got;

	if (target < 0) {
		skip("a program of 32 bits", "it could not be compiled, or this kernel does not run it");
		return;
	}
	if (!await_state(target, "S"))
		die("tiny32 does not sleep");
	dup = snap(target);
	ok(dup > 0, "32 bits: a duplicate");
	slurp_of(dup, "maps", ours, sizeof(ours));
	slurp_of(target, "maps", theirs, sizeof(theirs));
	ok(*ours && !strcmp(ours, theirs), "32 bits: same regions");
	ok(strstr(theirs, " rw-p") && sscanf(strstr(theirs, "tiny32\n") ? theirs : "", "%lx", &start) == 1,
	   "32 bits: it has data");
	trace_stop(dup);
	got = get_regset(dup, NT_PRSTATUS, regs, sizeof(regs));
	is(got, sizeof(regs), "32 bits: registers are those of a program of 32 bits");
	is(regs[0], 0x50616e53, "32 bits: ebx");
	is(regs[11], 29, "32 bits: it was in pause()");
	trace_detach(dup);
	is(snap_end(dup), 0, "32 bits: it ends");
	end_target(target);
}

static void test_own(void)
{
	sound_and_ended(getpid(), 1, "own process");
}

static void *own_from_thread(void *unused)
{
	(void)unused;
	word[RESULT] = snap(getpid());
	return NULL;
}

static long own_threads(void *unused)
{
	pthread_t thread;
	long tasks;

	(void)unused;
	add_threads(3);
	pthread_create(&thread, NULL, own_from_thread, NULL);
	pthread_join(thread, NULL);
	if (word[RESULT] <= 0)
		return word[RESULT];
	tasks = threads_of(word[RESULT]);
	return snap_end(word[RESULT]) ? -1 : tasks;
}

static void vforking(void *unused)
{
	(void)unused;
	if (!vfork()) {
		word[CHILD] = getpid();
		word[READY] = 1;
		while (!word[STOP])
			usleep(1000);
		_exit(0);
	}
	turning(NULL);
}

static void test_vfork(void)
{
	pid_t target = begin(vforking);

	await_state(target, "D");
	sound_and_ended(target, 1, "parent in vfork()");
	sound_and_ended(word[CHILD], 1, "child of vfork()");
	is(state_of(target), 'D', "parent in vfork(): still there");
	word[STOP] = 1;
	ok(turns(), "parent in vfork(): goes on when its child ends");
	end_target(target);
}

static void *turn_thread(void *unused)
{
	word[CHILD] = syscall(SYS_gettid);
	turning(unused);
	return NULL;
}

static void leaderless(void *unused)
{
	pthread_t thread;

	pthread_create(&thread, NULL, turn_thread, unused);
	pthread_exit(NULL);
}

static void test_leaderless(void)
{
	struct proc_snap_thread taken[4];
	struct proc_snap_args args;
	pid_t target = begin(leaderless), dup;

	await_state(target, "Z");
	sound_and_ended(target, 1, "first thread has ended");
	dup = snap_figures(target, &args, taken, 4);
	is(taken[0].target_tid, word[CHILD], "first thread has ended: the other is told of");
	is(taken[0].snap_tid, dup, "first thread has ended: it is the duplicate's first");
	is(snap_end(dup), 0, "first thread has ended: it ends");
	ok(turns(), "first thread has ended: the target goes on");
	end_target(target);
}

static void *own_memory;

static int sharing_child(void *unused)
{
	(void)unused;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		((volatile long *)own_memory)[0]++;
	return 0;
}

static void sharing(void *unused)
{
	(void)unused;
	own_memory = map_private(PAGE);
	word[ADDRESS] = (long)own_memory;
	word[CHILD] = clone(sharing_child, (char *)map_private(16 * PAGE) + 16 * PAGE,
			    CLONE_VM | SIGCHLD, NULL);
	turning(NULL);
}

static void test_sharing(void)
{
	pid_t target = begin(sharing), dup;
	long first;

	dup = sound(target, 1, "memory shared with another process");
	first = peek(dup, (void *)word[ADDRESS]);
	ok(UNTIL(peek(target, (void *)word[ADDRESS]) > first), "the other process goes on writing");
	is(peek(dup, (void *)word[ADDRESS]), first, "and the duplicate does not see it");
	is(snap_end(dup), 0, "it ends");
	sound_and_ended(word[CHILD], 1, "the other process");
	kill(word[CHILD], SIGKILL);
	end_target(target);
}

static void test_stopped(void)
{
	pid_t target = begin(turning);
	long before;

	kill(target, SIGSTOP);
	await_state(target, "T");
	before = word[TURNS];
	sound_and_ended(target, 1, "stopped");
	is(state_of(target), 'T', "stopped: it still is");
	is(word[TURNS], before, "stopped: it has not run");
	kill(target, SIGCONT);
	ok(turns(), "stopped: it goes on at SIGCONT");
	end_target(target);
}

static void tracing(void *target)
{
	int status;

	if (trace_stop((long)target) < 0)
		die("no trace");
	word[READY] = 2;
	wait_word(STOP, 1);
	ptrace(PTRACE_CONT, (pid_t)(long)target, 0, 0);
	word[READY] = 3;
	wait_word(STOP, 2);
	/* nothing has happened to the one it traces */
	word[RESULT] = waitpid((long)target, &status, __WALL | WNOHANG) == 0 ? 1 : 2;
	word[READY] = 4;
	sleep_for_ever();
}

static void test_traced(void)
{
	pid_t target = begin(turning), tracer;

	tracer = spawn(tracing, (void *)(long)target);
	wait_word(READY, 2);
	sound_and_ended(target, 1, "traced and stopped");
	is(state_of(target), 't', "traced and stopped: it still is");
	word[STOP] = 1;
	wait_word(READY, 3);
	sound_and_ended(target, 1, "traced and running");
	word[STOP] = 2;
	wait_word(READY, 4);
	is(word[RESULT], 1, "traced: its tracer sees nothing");
	is(status_number(target, "TracerPid"), tracer, "traced: by whom it was");
	end_target(tracer);
	end_target(target);
}

static void strict(void *unused)
{
	(void)unused;
	word[READY] = 1;
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
	for (;;)
		word[TURNS]++;
}

static void filtered(void *unused)
{
	struct sock_filter kill_all = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	struct sock_fprog program = { 1, &kill_all };

	(void)unused;
	word[READY] = 1;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
	for (;;)
		word[TURNS]++;
}

static void test_seccomp(void)
{
	pid_t target = begin(strict);

	UNTIL(status_number(target, "Seccomp") == 1);
	sound_and_ended(target, 1, "seccomp, strict");
	ok(turns(), "seccomp, strict: the target goes on");
	end_target(target);
	target = begin(filtered);
	UNTIL(status_number(target, "Seccomp") == 2);
	sound_and_ended(target, 1, "seccomp, no call allowed");
	ok(turns(), "seccomp, no call allowed: the target goes on");
	end_target(target);
}

/* --- pid namespaces --- */

static pid_t outer;

static void in_namespace(void *unused)
{
	struct proc_snap_thread taken;
	struct proc_snap_args args;
	pid_t target, dup;

	(void)unused;
	if (getpid() != 1)
		die("no namespace");
	target = fork();
	if (!target)
		sleep_for_ever();
	dup = snap_figures(target, &args, &taken, 1);
	word[10] = dup > 1 && dup < 100 && taken.target_tid == target && taken.snap_tid == dup;
	word[11] = snap_end(dup) == 0;
	word[12] = -snap(outer);
	word[13] = snap(1) > 1;
	/* its end takes the rest along */
	word[READY] = 9;
}

static void unsharing(void *unused)
{
	pid_t child;

	(void)unused;
	if (unshare(CLONE_NEWPID)) {
		word[READY] = -1;
		return;
	}
	child = fork();
	if (!child) {
		in_namespace(NULL);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

/* The caller's next child, so the duplicate, is the first of a new namespace. */
static long to_namespace(void *target)
{
	pid_t dup;
	long tasks;

	if (unshare(CLONE_NEWPID))
		return -ENOSYS;
	dup = snap((long)target);
	if (dup <= 0)
		return dup;
	tasks = threads_of(dup);
	return snap_end(dup) ? -1 : tasks;
}

static void two_threads(void *unused)
{
	add_threads(1);
	turning(unused);
}

static void test_new_namespace(void)
{
	pid_t target = begin(two_threads);
	long tasks = in_child(to_namespace, (void *)(long)target);

	if (tasks == -ENOSYS)
		skip("new pid namespace", "it cannot be made");
	else
		is(tasks, 2, "new pid namespace: the duplicate is its first process, with two tasks, and ends");
	end_target(target);
}

static void test_namespace(void)
{
	pid_t child;

	outer = spawn(sharing, NULL);
	word[READY] = 0;
	child = spawn(unsharing, NULL);
	UNTIL(word[READY] == 9 || word[READY] < 0);
	if (word[READY] < 0) {
		skip("pid namespace", "it cannot be made");
	} else {
		is(word[10], 1, "pid namespace: pids are the caller's");
		is(word[11], 1, "pid namespace: it ends");
		is(word[12], ESRCH, "pid namespace: nobody outside");
		is(word[13], 1, "pid namespace: its init can take itself, and its end ends that");
	}
	waitpid(child, NULL, 0);
	end_target(outer);
}

/* --- many --- */

#define MANY	200

static void many_threads(void *unused)
{
	add_threads(MANY - 1);
	turning(unused);
}

static void test_many_threads(void)
{
	static struct proc_snap_thread taken[MANY];
	struct proc_snap_args args;
	pid_t target = begin(many_threads), dup;
	int i, wrong = 0, other;

	UNTIL(threads_of(target) == MANY);
	dup = snap_figures(target, &args, taken, MANY);
	is(args.nr_threads, MANY, "%d threads", MANY);
	for (i = 0; i < MANY; i++)
		for (other = 0; other < i; other++)
			wrong += taken[i].target_tid == taken[other].target_tid ||
				 taken[i].snap_tid == taken[other].snap_tid;
	is(wrong, 0, "%d threads: each once", MANY);
	is(threads_of(dup), MANY, "%d threads: as many tasks", MANY);
	note("%d threads: lock held %lld us", MANY, (long long)args.locked_ns / 1000);
	is(snap_end(dup), 0, "%d threads: they end as one", MANY);
	ok(turns(), "%d threads: the target goes on", MANY);
	end_target(target);
}

#define REGIONS	10000

static void many_regions(void *unused)
{
	char *at = map_private(REGIONS * PAGE);
	long i;

	(void)unused;
	memset(at, 1, REGIONS * PAGE);
	for (i = 0; i < REGIONS; i += 2)
		mprotect(at + i * PAGE, PAGE, PROT_READ);
	turning(NULL);
}

static void test_many_regions(void)
{
	struct proc_snap_args args;
	pid_t target = begin(many_regions), dup;

	dup = snap_figures(target, &args, NULL, 0);
	ok(dup > 0 && args.regions_taken >= REGIONS - 1, "%d regions", REGIONS);
	note("%lld regions: lock held %lld us", (long long)args.regions_taken,
	     (long long)args.locked_ns / 1000);
	is(snap_end(dup), 0, "%d regions: it ends", REGIONS);
	end_target(target);
}

/* --- each other, at once --- */

static void *take_loop(void *target)
{
	long n, bad = 0;
	pid_t dup;

	for (n = 0; n < 100; n++) {
		dup = snap((long)target);
		bad += dup <= 0 || snap_end(dup);
	}
	return (void *)bad;
}

static void take_partner(void *index)
{
	long me = (long)index;

	/* one's own pid, where the other finds it */
	word[20 + me] = getpid();
	wait_word(20 + (me + 1) % 3, 1);
	word[30 + me] = 1 + (long)take_loop((void *)word[20 + (me + 1) % 3]);
	wait_word(STOP, 1);
}

static void test_each_other(void)
{
	pid_t partners[3];
	long i;

	word[STOP] = 0;
	for (i = 0; i < 3; i++)
		word[20 + i] = word[30 + i] = 0;
	for (i = 0; i < 3; i++)
		partners[i] = spawn(take_partner, (void *)i);
	for (i = 0; i < 3; i++)
		is(UNTIL(word[30 + i]) ? word[30 + i] : -1, 1, "three that take each other: %ld", i);
	word[STOP] = 1;
	for (i = 0; i < 3; i++)
		waitpid(partners[i], NULL, 0);
}

static long taking_threads(void *target)
{
	pthread_t threads[4];
	void *bad;
	long sum = 0;
	int i;

	for (i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, take_loop, target ? target : (void *)(long)getpid());
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], &bad);
		sum += (long)bad;
	}
	return sum;
}

static void test_threads_of_caller(void)
{
	pid_t target = begin(turning);

	is(in_child(taking_threads, (void *)(long)target), 0, "four threads of one caller");
	ok(turns(), "four threads of one caller: the target goes on");
	is(in_child(taking_threads, NULL), 0, "four threads that take themselves");
	end_target(target);
}

/* --- Node --- */

static const char script[] =
	"const {Worker,isMainThread,workerData}=require('node:worker_threads');"
	"let ticks=0,sum=0,list=[];"
	"const timer=setInterval(()=>{ticks++;for(let i=0;i<2000;i++)list.push({i,s:'x'+i});"
	"if(list.length>20000)list=[];for(const e of list)sum+=e.i},5);"
	"const w=[1,2].map(n=>new Worker("
	"\"const {parentPort}=require('node:worker_threads');let n=0;"
	"const t=setInterval(()=>{n+=[...Array(2000).keys()].map(x=>x*2).length},3);"
	"parentPort.on('message',()=>{clearInterval(t);parentPort.postMessage(n);parentPort.close()})\","
	"{eval:true}));let left=2;"
	"for(const x of w){x.on('error',()=>process.exit(3));x.on('message',n=>{if(!(n>0))process.exit(4);"
	"if(!--left){clearInterval(timer);process.exit(ticks>5?0:5)}})}"
	"setTimeout(()=>{for(const x of w)x.postMessage(0)},Number(process.argv[1]))";

static void node(void *milliseconds)
{
	execlp("node", "node", "-e", script, (char *)milliseconds, NULL);
	_exit(127);
}

static void test_node(void)
{
	char milliseconds[16];
	pid_t target, dup;
	long taken = 0, refused = 0, most = 0, threads;
	int status = 0;
	double begun;

	if (system("command -v node >/dev/null")) {
		skip("Node", "node is not in PATH");
		return;
	}
	snprintf(milliseconds, sizeof(milliseconds), "%ld", option("node-ms", 4000));
	target = spawn(node, milliseconds);
	while (waitpid(target, &status, WNOHANG) == 0) {
		begun = now();
		dup = snap(target);
		if (dup < 0) {
			refused += dup != -ESRCH;
			continue;
		}
		threads = threads_of(dup);
		if (threads > most)
			most = threads;
		taken += !snap_end(dup);
		/* it has to run, too */
		pause_ms(5 + (now() - begun) * 1000 * 2);
	}
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "Node exits 0, its timers and workers have run");
	if (status)
		note("Node: status %x", status);
	ok(taken > 10, "Node: snapshots while it ran");
	is(refused, 0, "Node: none refused");
	ok(most > 4, "Node: all its threads");
	note("Node: %ld snapshots, up to %ld threads", taken, most);
}

int main(int argc, char **argv)
{
	tap_begin(argc, argv);
	test_32_bits();
	test_own();
	is(in_child(own_threads, NULL), 5, "own process, by a thread: five tasks");
	test_vfork();
	test_leaderless();
	test_sharing();
	test_stopped();
	test_traced();
	test_seccomp();
	test_namespace();
	test_new_namespace();
	test_many_threads();
	test_many_regions();
	test_each_other();
	test_threads_of_caller();
	test_node();
	return tap_end();
}
