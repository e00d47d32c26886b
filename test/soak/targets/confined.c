// SPDX-License-Identifier: MIT
/* Kinds that may do little: by a seccomp filter, or as another user. */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include "kinds.h"

#define LOAD(field)	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(what)	BPF_STMT(BPF_RET | BPF_K, what)

static void install(const struct sock_filter *filter, int length)
{
	const struct sock_fprog program = { length, (struct sock_filter *)filter };

	need(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
	need(!syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), "seccomp");
}

/* May not clone or wait: what an injected duplicate needs. */
static void no_clone(const char *argument)
{
	static const int forbidden[] = { SYS_clone, SYS_wait4, SYS_close_range, SYS_clone3, SYS_fork };
	struct sock_filter filter[32] = { LOAD(nr) };
	int length = 1;

	(void)argument;
	for (unsigned int i = 0; i < sizeof(forbidden) / sizeof(*forbidden); i++) {
		filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, forbidden[i], 0, 1);
		filter[length++] = (struct sock_filter)RETURN(SECCOMP_RET_KILL_PROCESS);
	}
	filter[length++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	install(filter, length);
	ready();
	for (;; turn()) {
		int64_t began_ns = now_ns(), asked_ns = (1 + draw(60)) * MS_NS;
		const struct timespec time = { .tv_nsec = asked_ns };
		uint64_t before = excuse();

		if (checked_call("nanosleep", SYS_nanosleep, (long)&time, 0, 3, 4, 5, 6))
			HARM_UNLESS_EXCUSED(before, "nanosleep failed");
		check_time("nanosleep", began_ns, asked_ns, before);
	}
}

/* May do what it does, and nothing else: epoll_pwait2() and not epoll_pwait(), no restart_syscall(). */
static void narrow(const char *argument)
{
	static const int allowed[] = { SYS_epoll_pwait2, SYS_clock_gettime, SYS_getpid, SYS_exit_group, SYS_write };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct sock_filter filter[32] = { LOAD(nr) };
	int length = 1;

	(void)argument;
	for (unsigned int i = 0; i < sizeof(allowed) / sizeof(*allowed); i++) {
		filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], 0, 1);
		filter[length++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	}
	filter[length++] = (struct sock_filter)RETURN(SECCOMP_RET_KILL_PROCESS);
	need(epoll >= 0, "epoll_create1");
	install(filter, length);
	ready();
	for (;; turn()) {
		int64_t began_ns = now_ns(), asked_ns = (1 + draw(60)) * MS_NS;
		const struct timespec time = { .tv_nsec = asked_ns };
		struct epoll_event event;
		uint64_t before = excuse();
		long result = checked_call("epoll_pwait2", SYS_epoll_pwait2, epoll, (long)&event, 1, (long)&time, 0, 8);

		if (result == -EINTR)
			HARM_UNLESS_EXCUSED(before, "epoll_pwait2 returned EINTR");
		else if (result)
			harm("epoll_pwait2 failed: %s", strerror(-result));
		check_time("epoll_pwait2", began_ns, asked_ns, before);
	}
}

#define NOBODY	65534

static void other_user(const char *argument)
{
	(void)argument;
	need(!setresgid(NOBODY, NOBODY, NOBODY) && !setresuid(NOBODY, NOBODY, NOBODY), "setresuid");
	prctl(PR_SET_PDEATHSIG, SIGKILL);	/* the change of user cleared it */
	ready();
	for (;; turn()) {
		int64_t began_ns = now_ns(), asked_ns = (1 + draw(60)) * MS_NS;
		const struct timespec time = { .tv_nsec = asked_ns };
		uint64_t before = excuse();

		if (checked_call("nanosleep", SYS_nanosleep, (long)&time, 0, 3, 4, 5, 6))
			HARM_UNLESS_EXCUSED(before, "nanosleep failed");
		check_time("nanosleep", began_ns, asked_ns, before);
		if (getuid() != NOBODY || geteuid() != NOBODY || getgid() != NOBODY)
			harm("the user changed");
		if (prctl(PR_GET_DUMPABLE) != 0)
			harm("the process became dumpable");
	}
}

/* As Wine does: all calls but those of a few instructions are the program's own business, by SIGSYS. */
extern char gate[], gate_end[];
asm(".text\ngate: mov %rdi, %rax\n mov %rsi, %rdi\n mov %rdx, %rsi\n syscall\n ret\ngate_end:\n");
static volatile char selector;

static void dispatched(const char *argument)
{
	long (*by_gate)(long, long, long) = (void *)gate;
	const struct timespec time = { .tv_nsec = 20 * MS_NS };

	(void)argument;
	need(!prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, gate, gate_end - gate, &selector),
		"syscall user dispatch");
	ready();
	for (;; turn()) {
		uint64_t before = excuse();

		selector = SYSCALL_DISPATCH_FILTER_BLOCK;
		long result = by_gate(SYS_nanosleep, (long)&time, 0);

		selector = SYSCALL_DISPATCH_FILTER_ALLOW;
		if (result)
			HARM_UNLESS_EXCUSED(before, "nanosleep under syscall user dispatch failed");
	}
}

/*
 * A supervisor acts in place of each getppid(), and counts: it acts once for each
 * call. What ends the wait for it, and has the call made again, has it act twice.
 */
static void supervise(int listener)
{
	for (;;) {
		struct seccomp_notif notification = { 0 };
		struct seccomp_notif_resp response = { 0 };

		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notification)) {
			if (errno == EINTR || errno == ENOENT)
				continue;
			_exit(0);
		}
		__atomic_add_fetch(&page->state[0], 1, __ATOMIC_SEQ_CST);
		nap_ms(5 + draw(10));
		response.id = notification.id;
		response.val = page->state[0];
		ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
	}
}

static void notified(const char *argument)
{
	const struct sock_filter filter[] = {
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1), RETURN(SECCOMP_RET_USER_NOTIF),
		RETURN(SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { sizeof(filter) / sizeof(*filter), (struct sock_filter *)filter };
	uint64_t calls = 0;
	int listener, process;
	pid_t supervisor;

	(void)argument;
	supervisor = fork();
	need(supervisor >= 0, "fork");
	if (!supervisor) {
		born();
		while (!(listener = __atomic_load_n(&page->state[1], __ATOMIC_ACQUIRE)))
			nap_ms(1);
		process = syscall(SYS_pidfd_open, page->state[2], 0);
		listener = syscall(SYS_pidfd_getfd, process, listener, 0);
		supervise(listener);
	}
	need(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
	listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	need(listener >= 0, "seccomp user notification");
	page->state[2] = self;
	__atomic_store_n(&page->state[1], listener, __ATOMIC_RELEASE);
	ready();
	for (;; turn()) {
		uint64_t before = excuse();
		long result = checked_call("a supervised call", SYS_getppid, 1, 2, 3, 4, 5, 6);

		calls++;
		if (page->state[0] != calls) {
			HARM_UNLESS_EXCUSED(before, "a supervisor acted more than once for one call");
			calls = page->state[0];
		}
		if (result != (long)calls)
			HARM_UNLESS_EXCUSED(before, "a supervised call did not get its supervisor's answer");
		nap_ms(draw(10));
	}
}

const struct kind confined_kinds[] = { { "dispatched", dispatched }, { "notified", notified },
	{ "seccomp-no-clone", no_clone }, { "seccomp-narrow", narrow }, { "other-user", other_user }, { 0 } };
