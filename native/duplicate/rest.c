// SPDX-License-Identifier: MIT
/* The rest of what a call was asked for. */
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include "calls.h"
#include "descriptors.h"
#include "messages.h"
#include "uring.h"

static enum rest up_to(uint64_t wanted, uint64_t done, unsigned long long *buffer, unsigned long long *length)
{
	if (wanted > *length)
		wanted = *length;
	if (done >= wanted)
		return REST_NONE;
	*buffer += done;
	*length = wanted - done;
	return REST_SET;
}

/* VMIN, termios(3): how many bytes a read of a terminal waits for; in canonical mode a line is what it returns. */
static enum rest rest_of_terminal(pid_t pid, struct user_regs_struct *regs, uint64_t done)
{
	struct termios settings;

	if (ps_pty_settings(pid, regs->rdi, &settings) || settings.c_lflag & ICANON)
		return REST_NONE;
	/* VTIME between the bytes begins with the first: from then on the rest may be waited for too long. */
	if (settings.c_cc[VTIME] && settings.c_cc[VMIN])
		return done < settings.c_cc[VMIN] && done < regs->rdx ? REST_CUT : REST_NONE;
	return up_to(settings.c_cc[VMIN], done, &regs->rsi, &regs->rdx);
}

static enum rest rest_of_read(pid_t pid, struct user_regs_struct *regs, uint64_t done, bool asleep)
{
	enum descriptor kind = ps_descriptor(pid, regs->rdi);

	if (kind == FD_ENDLESS)
		return up_to(regs->rdx, done, &regs->rsi, &regs->rdx);
	/* Less than VMIN is what it never returns by itself: it may have been woken by some of it just before the stop. */
	if (kind == FD_PTY)
		return rest_of_terminal(pid, regs, done);
	/* Those return what there is. Only what was seen to wait for more can have been cut. */
	if (!asleep)
		return REST_NONE;
	if (kind == FD_SOCKET && is_stream(pid, regs->rdi))
		return up_to(low_water(pid, regs->rdi), done, &regs->rsi, &regs->rdx);
	return REST_NONE;
}

static enum rest rest_of_received(pid_t pid, struct user_regs_struct *regs, uint64_t done, bool asleep)
{
	bool all = regs->r10 & MSG_WAITALL;

	if ((!all && !asleep) || regs->r10 & (MSG_OOB | MSG_ERRQUEUE) || !is_stream(pid, regs->rdi))
		return REST_NONE;
	if (regs->r10 & MSG_PEEK)
		return asleep && done < regs->rdx && (all || done < low_water(pid, regs->rdi)) ? REST_ANEW : REST_NONE;
	return up_to(all ? regs->rdx : low_water(pid, regs->rdi), done, &regs->rsi, &regs->rdx);
}

bool ps_may_be_cut(pid_t pid, const struct call *call, const struct user_regs_struct *regs)
{
	uint64_t bytes;

	switch (call->rest) {
	case RECEIVED_VECTOR:
		return regs->rdx & MSG_WAITALL && is_stream(pid, regs->rdi) &&
		       message_bytes(pid, regs->rsi, &bytes) && bytes > 1;
	case READ_VECTOR:
		return is_stream(pid, regs->rdi) && low_water(pid, regs->rdi) > 1;
	case VECTOR:
		return is_stream(pid, regs->rdi) && has_long_part(pid, regs->rsi, regs->rdx);
	case MESSAGE:
		return is_stream(pid, regs->rdi) && message_bytes(pid, regs->rsi, &bytes) && bytes > 1;
	case MESSAGES_OUT:
		return is_stream(pid, regs->rdi) && has_long_message(pid, regs);
	default:
		return false;
	}
}

/*
 * Less is what such a call returns by itself, since it does not wait for more. To
 * go on with the rest would be another call, which may meet what has come
 * meanwhile: EPIPE, and SIGPIPE.
 */
static bool never_waits(pid_t pid, const struct call *call, const struct user_regs_struct *regs)
{
	switch (call->rest) {
	case BYTES:
	case RECEIVED:
	case MESSAGES_IN:
	case MESSAGES_OUT:
		return (call->number != SYS_write && regs->r10 & MSG_DONTWAIT) || ps_never_waits(pid, regs->rdi);
	case MESSAGE:
	case RECEIVED_VECTOR:
		return regs->rdx & MSG_DONTWAIT || ps_never_waits(pid, regs->rdi);
	case VECTOR:
		return (call->number == SYS_pwritev2 && regs->r9 & RWF_NOWAIT) || ps_never_waits(pid, regs->rdi);
	case BYTES_AT:
	case SENT_FILE:
		return ps_never_waits(pid, regs->rdi);
	case SPLICED:
		return ps_never_waits(pid, regs->rdx);
	default:
		return false;
	}
}

enum rest ps_rest(pid_t pid, const struct call *call, struct user_regs_struct *regs, int64_t done, bool asleep)
{
	uint64_t bytes;
	enum rest rest;

	if (call->rest == CLOSED)
		return asleep ? REST_CUT : REST_NONE;
	if (call->rest == SUBMITTED)
		return rest_of_submitted(pid, regs, done, asleep);
	if (!done || never_waits(pid, call, regs))
		return REST_NONE;
	switch (call->rest) {
	case BYTES:
		return writes_all(pid, regs->rdi) ? up_to(regs->rdx, done, &regs->rsi, &regs->rdx) : REST_NONE;
	case BYTES_AT:
		rest = writes_all(pid, regs->rdi) ? up_to(regs->rdx, done, &regs->rsi, &regs->rdx) : REST_NONE;
		regs->r10 += rest == REST_SET ? done : 0;
		return rest;
	case RANDOM:
		return up_to(regs->rsi, done, &regs->rdi, &regs->rsi);
	case READ:
		return rest_of_read(pid, regs, done, asleep);
	case RECEIVED:
		return rest_of_received(pid, regs, done, asleep);
	case RECEIVED_VECTOR:
		return asleep && regs->rdx & MSG_WAITALL && is_stream(pid, regs->rdi) &&
				message_bytes(pid, regs->rsi, &bytes) && (uint64_t)done < bytes
			? REST_CUT
			: REST_NONE;
	case READ_VECTOR:
		return asleep && is_stream(pid, regs->rdi) && (uint64_t)done < low_water(pid, regs->rdi) ? REST_CUT : REST_NONE;
	case VECTOR:
		return rest_of_vector(pid, regs, done);
	case MESSAGE:
		return asleep && message_bytes(pid, regs->rsi, &bytes) && (uint64_t)done < bytes ? REST_CUT : REST_NONE;
	case MESSAGES_IN:
		return rest_of_messages_in(regs, done, asleep);
	case MESSAGES_OUT:
		return rest_of_messages_out(pid, regs, done);
	case SENT_FILE:		/* into a pipe it returns when that is full */
		if (ps_descriptor(pid, regs->rdi) != FD_SOCKET || (uint64_t)done >= regs->r10)
			return REST_NONE;
		regs->r10 -= done;
		return REST_SET;
	case SPLICED:		/* the kernel has moved the offsets; the pipe's side must not be waited for */
		if (ps_descriptor(pid, regs->rdx) != FD_SOCKET || (uint64_t)done >= regs->r8)
			return REST_NONE;
		regs->r8 -= done;
		regs->r9 |= 2;	/* SPLICE_F_NONBLOCK */
		return REST_SET;
	case COPIED_RANGE:
		if ((uint64_t)done >= regs->r8)
			return REST_NONE;
		regs->r8 -= done;
		return REST_SET;
	case EVENTS:
		if (!asleep || done >= (int64_t)regs->rsi)
			return REST_NONE;
		regs->rsi -= done;
		regs->rdx -= done;
		regs->r10 += done * 32;		/* struct io_event */
		return REST_SET;
	default:
		return REST_NONE;
	}
}
