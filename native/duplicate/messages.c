// SPDX-License-Identifier: MIT
/* Calls on vectors and messages, whose sizes are in the target's memory. */
#include <limits.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "descriptors.h"
#include "messages.h"
#include "target_memory.h"

static uint64_t sum(const struct iovec *part, size_t count)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += part[i].iov_len;
	return bytes;
}

static bool read_parts(pid_t pid, uint64_t address, uint64_t count, struct iovec *part)
{
	return count <= IOV_MAX && read_target(pid, address, part, count * sizeof(*part));
}

/* A rest is expressed from the next part on. Within one it is not: nothing is written to a target's memory. */
enum rest rest_of_vector(pid_t pid, struct user_regs_struct *regs, uint64_t done)
{
	struct iovec part[IOV_MAX];
	uint64_t before = 0;

	if (!writes_all(pid, regs->rdi) || !read_parts(pid, regs->rsi, regs->rdx, part) || done >= sum(part, regs->rdx))
		return REST_NONE;
	for (uint64_t i = 0; i < regs->rdx && before <= done; before += part[i++].iov_len)
		if (before == done && i) {
			regs->rsi += i * sizeof(*part);
			regs->rdx -= i;
			return REST_SET;
		}
	return REST_CUT;
}

bool message_bytes(pid_t pid, uint64_t address, uint64_t *bytes)
{
	struct iovec part[IOV_MAX];
	struct msghdr message;

	if (!read_target(pid, address, &message, sizeof(message)) ||
	    !read_parts(pid, (uint64_t)message.msg_iov, message.msg_iovlen, part))
		return false;
	*bytes = sum(part, message.msg_iovlen);
	return true;
}

/* Where it has met an error, it meets that again at once: so this is right wherever it ended. */
enum rest rest_of_messages_out(pid_t pid, struct user_regs_struct *regs, uint64_t done)
{
	uint64_t last = regs->rsi + (done - 1) * sizeof(struct mmsghdr), wanted;
	struct mmsghdr sent;

	if (done >= (unsigned int)regs->rdx || !read_target(pid, last, &sent, sizeof(sent)) ||
	    !message_bytes(pid, last, &wanted))
		return REST_NONE;
	if (sent.msg_len < wanted)
		return REST_CUT;	/* amid a message */
	regs->rsi += done * sizeof(sent);
	regs->rdx = (unsigned int)regs->rdx - done;
	return REST_SET;
}

enum rest rest_of_messages_in(struct user_regs_struct *regs, uint64_t done, bool asleep)
{
	if (!asleep || done >= (unsigned int)regs->rdx || regs->r10 & (MSG_WAITFORONE | MSG_PEEK | MSG_ERRQUEUE | MSG_OOB))
		return REST_NONE;
	regs->rsi += done * sizeof(struct mmsghdr);
	regs->rdx = (unsigned int)regs->rdx - done;
	return REST_SET;
}

bool has_long_part(pid_t pid, uint64_t address, uint64_t count)
{
	struct iovec part[IOV_MAX];

	if (!read_parts(pid, address, count, part))
		return false;
	for (uint64_t i = 0; i < count; i++)
		if (part[i].iov_len > 1)
			return true;
	return false;
}

bool has_long_message(pid_t pid, const struct user_regs_struct *regs)
{
	uint64_t bytes;

	for (unsigned int i = 0; i < (unsigned int)regs->rdx && i < IOV_MAX; i++)
		if (message_bytes(pid, regs->rsi + i * sizeof(struct mmsghdr), &bytes) && bytes > 1)
			return true;
	return false;
}
