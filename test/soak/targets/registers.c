// SPDX-License-Identifier: MIT
/*
 * Kinds that look at every register: nothing but what the system call itself
 * may change (rax, rcx, r11) is different after it.
 */
#include "kinds.h"

enum { RAX, RBX, RCX, RDX, RSI, RDI, RBP, R8, R9, R10, R11, R12, R13, R14, R15, GENERAL };

static const char *const names[GENERAL] = {
	"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
};

struct registers {
	uint64_t general[GENERAL];	/* 0 */
	uint64_t flags;			/* 120 */
	uint64_t vector[16][2];		/* 128 */
};

/* Load all of them, do something, store all of them. */
#define AROUND(name, what)						\
	asm(".text\n.globl " name "\n.type " name ", @function\n" name ":\n"	\
	"push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n push %rdi\n"	\
	".set i, 0\n .irp x,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"	\
	"movdqu 128+16*\\x(%rdi), %xmm\\x\n .endr\n"			\
	"mov 0(%rdi), %rax\n mov 8(%rdi), %rbx\n mov 16(%rdi), %rcx\n mov 24(%rdi), %rdx\n"	\
	"mov 32(%rdi), %rsi\n mov 48(%rdi), %rbp\n mov 56(%rdi), %r8\n mov 64(%rdi), %r9\n"	\
	"mov 72(%rdi), %r10\n mov 80(%rdi), %r11\n mov 88(%rdi), %r12\n mov 96(%rdi), %r13\n"	\
	"mov 104(%rdi), %r14\n mov 112(%rdi), %r15\n mov 40(%rdi), %rdi\n"	\
	what								\
	"push %rdi\n mov 8(%rsp), %rdi\n"				\
	"mov %rax, 0(%rdi)\n mov %rbx, 8(%rdi)\n mov %rcx, 16(%rdi)\n mov %rdx, 24(%rdi)\n"	\
	"mov %rsi, 32(%rdi)\n popq 40(%rdi)\n mov %rbp, 48(%rdi)\n mov %r8, 56(%rdi)\n"	\
	"mov %r9, 64(%rdi)\n mov %r10, 72(%rdi)\n mov %r11, 80(%rdi)\n mov %r12, 88(%rdi)\n"	\
	"mov %r13, 96(%rdi)\n mov %r14, 104(%rdi)\n mov %r15, 112(%rdi)\n"	\
	"pushfq\n popq 120(%rdi)\n"					\
	".irp x,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"		\
	"movdqu %xmm\\x, 128+16*\\x(%rdi)\n .endr\n"			\
	"pop %rdi\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n")

void around_call(struct registers *registers);
void around_loop(struct registers *registers);
AROUND("around_call", "stc\n syscall\n");
/* rcx counts down; the carry flag outlives dec. */
AROUND("around_loop", "stc\n 1: pause\n dec %rcx\n jnz 1b\n");

#define CARRY	1

static void compare(
	const char *name, const struct registers *before, const struct registers *after, uint32_t may_change)
{
	for (int i = 0; i < GENERAL; i++)
		if (!(may_change >> i & 1) && before->general[i] != after->general[i])
			harm("%s: register %s changed", name, names[i]);
	if (!(after->flags & CARRY))
		harm("%s: the carry flag changed", name);
	if (memcmp(before->vector, after->vector, sizeof(before->vector)))
		harm("%s: a vector register changed", name);
}

static void fill(struct registers *registers)
{
	for (unsigned int i = 0; i < sizeof(*registers) / 8; i++)
		((uint64_t *)registers)[i] = (uint64_t)draw(1u << 24) << 40 | (uint64_t)draw(1u << 24) << 16 | i;
}

long checked_call(const char *name, long number, long a, long b, long c, long d, long e, long f)
{
	struct registers before, after;

	fill(&before);
	before.general[RAX] = number;
	before.general[RDI] = a;
	before.general[RSI] = b;
	before.general[RDX] = c;
	before.general[R10] = d;
	before.general[R8] = e;
	before.general[R9] = f;
	after = before;
	around_call(&after);
	compare(name, &before, &after, 1u << RAX | 1u << RCX | 1u << R11);
	return after.general[RAX];
}

/* Never in the kernel by itself. A tenth of the time, so that it leaves the others a CPU. */
static void busy(const char *argument)
{
	(void)argument;
	ready();
	for (;;) {
		for (int64_t until = now_ns() + 3 * MS_NS; now_ns() < until;) {
			struct registers before, after;

			fill(&before);
			before.general[RCX] = 2000;
			after = before;
			around_loop(&after);
			before.general[RCX] = 0;
			compare("a loop", &before, &after, 0);
		}
		turn();
		nap_ms(30);
	}
}

/* Short calls without end, and no library between. */
static void calls(const char *argument)
{
	(void)argument;
	ready();
	for (;;) {
		for (int i = 0; i < 200; i++) {
			long result = checked_call("getpid", SYS_getpid, 1, 2, 3, 4, 5, 6);

			if (result != self)
				harm("getpid returned something else");
			result = checked_call("an unknown call", 1999, 1, 2, 3, 4, 5, 6);
			if (result != -ENOSYS)
				harm("an unknown call returned something else than ENOSYS");
		}
		turn();
		const struct timespec time = { .tv_nsec = 25 * MS_NS };
		uint64_t before = excuse();

		if (checked_call("nanosleep", SYS_nanosleep, (long)&time, 0, 3, 4, 5, 6))
			HARM_UNLESS_EXCUSED(before, "nanosleep failed");
	}
}

const struct kind register_kinds[] = { { "busy", busy }, { "calls", calls }, { 0 } };
