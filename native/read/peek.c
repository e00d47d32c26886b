// SPDX-License-Identifier: MIT
/* PTRACE_PEEKTEXT, a word of 8 bytes a call: ptrace(2). The caller must trace the process, and it be stopped. */
#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include "ways.h"

static bool peek(pid_t pid, uint64_t address, long *word)
{
	errno = 0;
	*word = ptrace(PTRACE_PEEKTEXT, pid, address, 0);
	return *word != -1 || !errno;
}

/* A word that reaches over a region's end cannot be read: its bytes from @address on are in the aligned word before it.
 */
static size_t peek_end(pid_t pid, uint64_t address, void *buffer, size_t length)
{
	size_t skip = address % sizeof(long);
	int error = errno;
	long word;

	if (!skip || !peek(pid, address - skip, &word)) {
		errno = error;
		return 0;
	}
	if (length > sizeof(word) - skip)
		length = sizeof(word) - skip;
	memcpy(buffer, (char *)&word + skip, length);
	return length;
}

static ssize_t read_words(struct ps_reader *reader, uint64_t address, void *buffer, size_t length)
{
	size_t done;

	for (done = 0; done < length; done += sizeof(long)) {
		size_t piece = length - done < sizeof(long) ? length - done : sizeof(long);
		long word;

		if (!peek(reader->pid, address + done, &word)) {
			done += peek_end(reader->pid, address + done, (char *)buffer + done, piece);
			return done ? (ssize_t)done : -errno;
		}
		memcpy((char *)buffer + done, &word, piece);
	}
	return length;
}

const struct ps_way_ops ps_peek = { .read = read_words };
