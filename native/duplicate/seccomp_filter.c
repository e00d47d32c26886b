// SPDX-License-Identifier: MIT
#include <errno.h>
#include <linux/audit.h>
#include <string.h>
#include <sys/ptrace.h>
#include "seccomp_filter.h"

#define MAX_FILTERS	1024		/* the kernel allows 32,768 instructions in all */

static uint32_t compute(uint16_t code, uint32_t a, uint32_t b)
{
	switch (BPF_OP(code)) {
	case BPF_ADD: return a + b;
	case BPF_SUB: return a - b;
	case BPF_MUL: return a * b;
	case BPF_DIV: return b ? a / b : 0;
	case BPF_MOD: return b ? a % b : 0;
	case BPF_OR:  return a | b;
	case BPF_AND: return a & b;
	case BPF_XOR: return a ^ b;
	case BPF_LSH: return b < 32 ? a << b : 0;
	case BPF_RSH: return b < 32 ? a >> b : 0;
	default:      return -a;	/* BPF_NEG */
	}
}

static bool holds(uint16_t code, uint32_t a, uint32_t b)
{
	switch (BPF_OP(code)) {
	case BPF_JEQ: return a == b;
	case BPF_JGT: return a > b;
	case BPF_JGE: return a >= b;
	default:      return a & b;	/* BPF_JSET */
	}
}

uint32_t ps_filter_result(const struct sock_filter *program, unsigned int length, const struct seccomp_data *data)
{
	uint32_t a = 0, x = 0, memory[BPF_MEMWORDS] = { 0 };

	for (unsigned int i = 0; i < length; i++) {
		const struct sock_filter *op = &program[i];
		uint32_t operand = BPF_SRC(op->code) == BPF_X ? x : op->k, value = 0;

		switch (BPF_CLASS(op->code)) {
		case BPF_LD:
		case BPF_LDX:
			if (BPF_MODE(op->code) == BPF_ABS && op->k <= sizeof(*data) - sizeof(value))
				memcpy(&value, (const char *)data + op->k, sizeof(value));
			else if (BPF_MODE(op->code) == BPF_IMM)
				value = op->k;
			else if (BPF_MODE(op->code) == BPF_LEN)
				value = sizeof(*data);
			else if (BPF_MODE(op->code) == BPF_MEM && op->k < BPF_MEMWORDS)
				value = memory[op->k];
			else
				return SECCOMP_RET_KILL_PROCESS;
			*(BPF_CLASS(op->code) == BPF_LD ? &a : &x) = value;
			break;
		case BPF_ST:
		case BPF_STX:
			if (op->k >= BPF_MEMWORDS)
				return SECCOMP_RET_KILL_PROCESS;
			memory[op->k] = BPF_CLASS(op->code) == BPF_ST ? a : x;
			break;
		case BPF_ALU:
			a = compute(op->code, a, operand);
			break;
		case BPF_JMP:
			if (BPF_OP(op->code) == BPF_JA)
				i += op->k;
			else
				i += holds(op->code, a, operand) ? op->jt : op->jf;
			break;
		case BPF_MISC:
			if (BPF_MISCOP(op->code) == BPF_TAX)
				x = a;
			else
				a = x;
			break;
		default:
			return BPF_RVAL(op->code) == BPF_A ? a : op->k;
		}
	}
	return SECCOMP_RET_KILL_PROCESS;
}

uint32_t ps_stricter(uint32_t a, uint32_t b)
{
	/* As numbers with a sign: SECCOMP_RET_KILL_PROCESS is the least of them. */
	return (int32_t)(b & SECCOMP_RET_ACTION_FULL) < (int32_t)(a & SECCOMP_RET_ACTION_FULL) ? b : a;
}

/* What all filters together say to a call; false: they cannot be read. */
static bool filters_result(pid_t tid, long number, const struct user_regs_struct *regs, uint32_t *action)
{
	static struct sock_filter program[BPF_MAXINSNS];
	const struct seccomp_data data = {
		.nr = number, .arch = AUDIT_ARCH_X86_64, .instruction_pointer = regs->rip,
		.args = { regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9 },
	};
	uint32_t result = SECCOMP_RET_ALLOW;

	for (long i = 0; i < MAX_FILTERS; i++) {
		long length = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, i, NULL);

		if (length < 0 && errno == ENOENT && i)
			break;
		if (length < 0 || length > BPF_MAXINSNS || ptrace(PTRACE_SECCOMP_GET_FILTER, tid, i, program) != length)
			return false;
		result = ps_stricter(result, ps_filter_result(program, length, &data));
	}
	*action = result & SECCOMP_RET_ACTION_FULL;
	return true;
}

bool ps_filters_allow(pid_t tid, long number, const struct user_regs_struct *regs)
{
	uint32_t action;

	return filters_result(tid, number, regs, &action) && (action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG);
}

bool ps_filters_notify(pid_t tid, long number, const struct user_regs_struct *regs)
{
	uint32_t action;

	return filters_result(tid, number, regs, &action) && action == SECCOMP_RET_USER_NOTIF;
}
