// SPDX-License-Identifier: MIT
/*
 * filtered: a seccomp filter that kills the process on clone(), fork(), wait4()
 * and close_range(), and makes getppid() fail. filtered strict: strict mode.
 * Words: 1 turns, 2 getppid() calls that were let through, 3 set by the test:
 * call clone() now.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include "target.h"

#define ON(call, action) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1), BPF_STMT(BPF_RET | BPF_K, (action))

int main(int argc, char **argv)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ON(SYS_clone, SECCOMP_RET_KILL_PROCESS),
		ON(SYS_clone3, SECCOMP_RET_KILL_PROCESS),
		ON(SYS_fork, SECCOMP_RET_KILL_PROCESS),
		ON(SYS_vfork, SECCOMP_RET_KILL_PROCESS),
		ON(SYS_wait4, SECCOMP_RET_KILL_PROCESS),
		ON(SYS_waitid, SECCOMP_RET_KILL_PROCESS),
		ON(SYS_close_range, SECCOMP_RET_KILL_PROCESS),
		ON(SYS_getppid, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(*filter), filter };
	bool strict = argc > 1 && !strcmp(argv[1], "strict");

	ready();
	need(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
	need(!prctl(PR_SET_SECCOMP, strict ? SECCOMP_MODE_STRICT : SECCOMP_MODE_FILTER, &program), "seccomp");
	while (!word[3]) {
		add(1, 1);
		if (!strict && syscall(SYS_getppid) > 0)
			add(2, 1);
	}
	syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	puts("still here");
	return 0;
}
