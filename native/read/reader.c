// SPDX-License-Identifier: MIT
/* Ways of reading another process's memory, behind one call. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "ways.h"

static const struct ps_way_ops *const ways[PS_WAYS] = {
	[PS_WAY_PROC_MEM_PAPER] = &ps_proc_mem_paper,
	[PS_WAY_PROC_MEM] = &ps_proc_mem,
	[PS_WAY_PEEK] = &ps_peek,
	[PS_WAY_VM_READV] = &ps_vm_readv,
	[PS_WAY_MEMCPY] = &ps_memcpy,
};

int ps_reader_open(struct ps_reader *reader, enum ps_way way, pid_t pid)
{
	if ((unsigned int)way >= PS_WAYS)
		return ps_fail(-EINVAL, "there is no way of reading number %d", way);
	*reader = (struct ps_reader){ .way = way, .pid = pid, .fd = -1 };
	return ways[way]->open ? ways[way]->open(reader) : 0;
}

void ps_reader_close(struct ps_reader *reader)
{
	if (reader->fd >= 0)
		close(reader->fd);
	reader->fd = -1;
}

ssize_t ps_read(struct ps_reader *reader, uint64_t address, void *buffer, size_t length)
{
	return ways[reader->way]->read(reader, address, buffer, length);
}
