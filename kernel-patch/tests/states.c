// SPDX-License-Identifier: GPL-2.0
/* Targets in unusual states: a duplicate, and no harm. */
#include <elf.h>
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

#include "sound.h"

enum { CHILD = FREE, ADDRESS, RESULT };

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
	for (i = 0; i < REGIONS; i += 2) {
		mprotect(at + i * PAGE, PAGE, PROT_READ);
		word[RESULT] = i + 2;
	}
	turning(NULL);
}

static void test_many_regions(void)
{
	struct proc_snap_args args;
	pid_t target, dup;
	long made;

	word[READY] = word[RESULT] = 0;
	target = spawn(many_regions, NULL);
	/* a debug kernel takes minutes for all of them: they need not be there at once */
	for (made = 1000; made <= REGIONS; made += 1000)
		wait_word(RESULT, made);
	wait_word(READY, 1);
	dup = snap_figures(target, &args, NULL, 0);
	ok(dup > 0 && args.regions_taken >= REGIONS - 1, "%d regions", REGIONS);
	note("%lld regions: lock held %lld us", (long long)args.regions_taken,
	     (long long)args.locked_ns / 1000);
	is(snap_end(dup), 0, "%d regions: it ends", REGIONS);
	end_target(target);
}

/* --- Node --- */

static const char script[] =
	"const {Worker,isMainThread,workerData}=require('node:worker_threads');"
	"let ticks=0,sum=0,list=[],told=false;"
	"process.on('SIGUSR2',()=>{told=true});"
	"const timer=setInterval(()=>{ticks++;for(let i=0;i<2000;i++)list.push({i,s:'x'+i});"
	"if(list.length>20000)list=[];for(const e of list)sum+=e.i;"
	"if(told&&ticks>5){told=false;for(const x of w)x.postMessage(0)}},5);"
	"const w=[1,2].map(n=>new Worker("
	"\"const {parentPort}=require('node:worker_threads');let n=0;"
	"const t=setInterval(()=>{n+=[...Array(2000).keys()].map(x=>x*2).length},3);"
	"parentPort.on('message',()=>{const e=setInterval(()=>{if(!n)return;"
	"clearInterval(e);clearInterval(t);parentPort.postMessage(n);parentPort.close()},3)})\","
	"{eval:true}));let left=2;"
	"for(const x of w){x.on('error',()=>process.exit(3));x.on('message',n=>{if(!(n>0))process.exit(4);"
	"if(!--left){clearInterval(timer);process.exit(0)}})}";

static void node(void *unused)
{
	(void)unused;
	execlp("node", "node", "-e", script, NULL);
	_exit(127);
}

static bool catches(pid_t pid, int signal)
{
	return strtoul(status_of(pid, "SigCgt"), NULL, 16) >> (signal - 1) & 1;
}

static void test_node(void)
{
	double begun, least, most_s;
	pid_t target, dup;
	long taken = 0, refused = 0, most = 0, threads;
	int status = 0;
	bool told = false;

	if (system("command -v node >/dev/null")) {
		skip("Node", "node is not in PATH");
		return;
	}
	target = spawn(node, NULL);
	least = now() + option("node-ms", 4000) / 1e3;
	most_s = least + patience_s();
	while (waitpid(target, &status, WNOHANG) == 0) {
		begun = now();
		if (!told && begun > least && taken > 10 && most > 4 && catches(target, SIGUSR2))
			told = !kill(target, SIGUSR2);
		if (begun > most_s)
			kill(target, SIGKILL);
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
	test_vfork();
	test_leaderless();
	test_sharing();
	test_stopped();
	test_traced();
	test_seccomp();
	test_many_threads();
	test_many_regions();
	test_node();
	return tap_end();
}
