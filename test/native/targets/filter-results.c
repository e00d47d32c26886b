// SPDX-License-Identifier: MIT
/*
 * Lets the kernel and native/duplicate/seccomp_filter.c judge the same calls by
 * the same random filters. Prints "JUDGED DIFFERENT STRICTER", the last for
 * chains of two filters.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include "../../../native/duplicate/seccomp_filter.h"
#include "target.h"

#define CALL	SYS_getppid		/* as the kernel sees it: with six arguments */
#define ROUNDS	400

static uint32_t state = 1;

static uint32_t random_number(uint32_t below)
{
	state = state * 1664525 + 1013904223;
	return (state >> 8) % below;
}

/* Results that can be told apart, and none that ends the process. */
static uint32_t random_result(void)
{
	const uint32_t results[] = { SECCOMP_RET_ALLOW, SECCOMP_RET_LOG, SECCOMP_RET_ERRNO | 1, SECCOMP_RET_ERRNO | 2,
		SECCOMP_RET_ERRNO | 3 };

	return results[random_number(5)];
}

/* Straight on, then a decision: loads, sums, memory and jumps of all kinds; only for CALL. */
static int random_filter(struct sock_filter *op)
{
	const uint16_t alu[] = { BPF_ADD, BPF_SUB, BPF_MUL, BPF_OR, BPF_AND, BPF_XOR, BPF_LSH, BPF_RSH, BPF_DIV, BPF_NEG };
	const uint16_t jumps[] = { BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET };
	int n = 0;

	op[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	op[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CALL, 1, 0);
	op[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	for (int i = 0; i < 4; i++)
		op[n++] = (struct sock_filter)BPF_STMT(BPF_ST, i);
	for (int i = 0; i < 12; i++)
		switch (random_number(6)) {
		case 0:
			op[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
				offsetof(struct seccomp_data, args) + 4 * random_number(12));
			break;
		case 1:
			op[n++] = (struct sock_filter)BPF_STMT(BPF_LDX | BPF_W | BPF_MEM, random_number(4));
			break;
		case 2:
			op[n++] = (struct sock_filter)BPF_STMT(BPF_ST, random_number(4));
			break;
		case 3:
			op[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | alu[random_number(10)] | BPF_K, 1 + random_number(31));
			break;
		case 4:
			op[n++] = (struct sock_filter)BPF_STMT(BPF_MISC | (random_number(2) ? BPF_TAX : BPF_TXA), 0);
			break;
		default:
			op[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | alu[random_number(6)] | BPF_X, 0);
		}
	for (int i = 0; i < 4; i++) {
		op[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | jumps[random_number(4)] | BPF_K, random_number(64), 0, 1);
		op[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, random_result());
	}
	op[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | jumps[random_number(4)] | BPF_X, 0, 1, 0);
	op[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, random_result());
	op[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, random_result());
	return n;
}

/* 0: it was made; otherwise the error it was answered with. */
static int kernel_says(struct sock_filter program[2][64], const int length[2], int filters, const uint64_t args[6])
{
	int status;
	pid_t child = fork();

	if (child) {
		waitpid(child, &status, 0);
		return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	}
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	for (int i = 0; i < filters; i++) {
		struct sock_fprog all = { length[i], program[i] };

		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all))
			_exit(99);
	}
	_exit(syscall(CALL, args[0], args[1], args[2], args[3], args[4], args[5]) < 0 ? errno : 0);
}

static int we_say(uint32_t result)
{
	uint32_t action = result & SECCOMP_RET_ACTION_FULL;

	return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG ? 0 : (int)(result & SECCOMP_RET_DATA);
}

int main(void)
{
	static struct sock_filter program[2][64];
	int length[2], different = 0, judged = 0, stricter = 0;

	for (int round = 0; round < ROUNDS; round++) {
		struct seccomp_data data = { .nr = CALL, .arch = AUDIT_ARCH_X86_64 };
		uint64_t args[6];
		uint32_t result;

		for (int i = 0; i < 6; i++)
			data.args[i] = args[i] = (uint64_t)random_number(64) << 32 | random_number(64);
		for (int i = 0; i < 2; i++)
			length[i] = random_filter(program[i]);
		result = ps_filter_result(program[0], length[0], &data);
		if (we_say(result) != kernel_says(program, length, 1, args))
			different++;
		/* Of two that are equally strict the later one's number counts. */
		if (ps_filter_result(program[1], length[1], &data) != result) {
			result = ps_stricter(ps_filter_result(program[1], length[1], &data), result);
			if (we_say(result) != kernel_says(program, length, 2, args))
				stricter++;
		}
		judged++;
	}
	printf("%d %d %d\n", judged, different, stricter);
	return 0;
}
