// SPDX-License-Identifier: MIT
/*
 * restricted KIND: seccomp filters that make something of how a call goes on.
 * nanosleep, poll, futex, epoll_pwait2: restart_syscall() and epoll_pwait() end
 * the process; prints "RESULT NANOSECONDS" of one call that lasts 800 ms.
 * notified: a supervisor answers every getppid(), after the milliseconds of word
 * 3, -1: never. Words: 1 calls, 2 answers, 4 answers that came to nothing.
 */
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "target.h"

#define MS	800

static int filter(struct sock_filter *program, int length, int flags)
{
	struct sock_fprog all = { length, program };

	need(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &all);
}

static void forbid(void)
{
	struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_restart_syscall, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_pwait, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_filter harmless[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };

	need(!filter(program, 5, 0) && !filter(harmless, 1, 0), "seccomp");
}

static void wait_once(const char *kind)
{
	struct timespec time = { 0, MS * 1000000 }, rest;
	struct epoll_event event;
	struct pollfd none;
	uint32_t word = 0;
	int epoll = epoll_create1(0);
	int64_t start;
	long result = -1;

	forbid();
	ready();
	start = now_ns();
	if (!strcmp(kind, "nanosleep"))
		result = syscall(SYS_nanosleep, &time, &rest);
	if (!strcmp(kind, "poll"))
		result = syscall(SYS_poll, &none, 0, MS);
	if (!strcmp(kind, "futex"))
		result = syscall(SYS_futex, &word, FUTEX_WAIT, 0, &time, NULL, 0);
	if (!strcmp(kind, "epoll_pwait2"))
		result = syscall(SYS_epoll_pwait2, epoll, &event, 1, &time, NULL, 0);
	printf("%ld %lld\n", result < 0 ? -errno : result, (long long)(now_ns() - start));
}

static void supervise(int listener)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		struct seccomp_notif request = { 0 };
		struct seccomp_notif_resp answer = { 0 };

		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request))
			continue;
		while (word[3] < 0)
			usleep(1000);
		usleep(word[3] * 1000);
		answer.id = request.id;
		answer.val = 4711;
		add(2, 1);
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer))
			add(4, 1);
	}
}

static int pass(int sock, int fd)
{
	char room[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 0;
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room) };
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	if (fd < 0) {
		need(recvmsg(sock, &message, 0) == 1, "recvmsg");
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
		return fd;
	}
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	need(sendmsg(sock, &message, 0) == 1, "sendmsg");
	return fd;
}

static void ask_for_ever(void)
{
	struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	int sock[2], listener;

	need(!socketpair(AF_UNIX, SOCK_STREAM, 0, sock), "socketpair");
	if (!fork())
		supervise(pass(sock[1], -1));
	listener = filter(program, 4, SECCOMP_FILTER_FLAG_NEW_LISTENER);
	need(listener >= 0, "seccomp");
	pass(sock[0], listener);
	close(listener);
	ready();
	for (;;) {
		long got = syscall(SYS_getppid);

		add(1, 1);
		if (got != 4711)
			add(5, 1);
	}
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "notified"))
		ask_for_ever();
	else if (argc > 1)
		wait_once(argv[1]);
	return 0;
}
