/* SPDX-License-Identifier: MIT */
/* What a thread's seccomp filters would do about a system call: for blocked.c. */
#ifndef PROCSNAP_SECCOMP_FILTER_H
#define PROCSNAP_SECCOMP_FILTER_H
#include <linux/filter.h>
#include <linux/seccomp.h>
#include "procsnap.h"

/*
 * What a filter returns for @data. The kernel has checked that it ends, and
 * reads nothing that is not there; one that does is answered by
 * SECCOMP_RET_KILL_PROCESS.
 */
uint32_t ps_filter_result(const struct sock_filter *program, unsigned int length, const struct seccomp_data *data);
/* Which of two results counts: the stricter one. */
uint32_t ps_stricter(uint32_t a, uint32_t b);
/*
 * May @tid, which is stopped, make the call @number with its arguments in @regs?
 * False where its filters cannot be read (PTRACE_SECCOMP_GET_FILTER wants
 * CAP_SYS_ADMIN), or where somebody is asked or told about it.
 */
bool ps_filters_allow(pid_t tid, long number, const struct user_regs_struct *regs);
/* Is a supervisor asked, seccomp_unotify(2)? False where the filters cannot be read. */
bool ps_filters_notify(pid_t tid, long number, const struct user_regs_struct *regs);

#endif
