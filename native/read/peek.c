// SPDX-License-Identifier: MIT
/* PTRACE_PEEKTEXT, a word of 8 bytes a call: ptrace(2). The caller must trace the process, and it be stopped. */
#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include "ways.h"

static ssize_t read_words(struct ps_reader *reader, uint64_t address, void *buffer, size_t length)
{
	size_t done;

	for (done = 0; done < length; done += sizeof(long)) {
		size_t piece = length - done < sizeof(long) ? length - done : sizeof(long);
		long word;

		errno = 0;
		word = ptrace(PTRACE_PEEKTEXT, reader->pid, address + done, 0);
		if (word == -1 && errno)
			return done ? (ssize_t)done : -errno;
		memcpy((char *)buffer + done, &word, piece);
	}
	return length;
}

const struct ps_way_ops ps_peek = { .read = read_words };
