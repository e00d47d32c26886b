// SPDX-License-Identifier: MIT
/*
 * refused ERRNO COMMAND ...: COMMAND, under a seccomp filter that gives ERRNO for create_proc_snap(), as a
 * container's may.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include "target.h"

int main(int argc, char **argv)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 600, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 601, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (argc > 2 ? atoi(argv[1]) : 0)),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(*filter), filter };

	need(argc > 2, "refused ERRNO COMMAND");
	need(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
	need(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), "seccomp");
	execvp(argv[2], argv + 2);
	need(false, argv[2]);
}
