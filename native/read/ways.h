/* SPDX-License-Identifier: MIT */
/* One way of reading = one file with one of these. */
#ifndef PROCSNAP_WAYS_H
#define PROCSNAP_WAYS_H
#include "procsnap.h"

struct ps_way_ops {
	int	(*open)(struct ps_reader *reader);	/* NULL: nothing to do */
	ssize_t	(*read)(struct ps_reader *reader, uint64_t address, void *buffer, size_t length);
};

extern const struct ps_way_ops ps_proc_mem_paper, ps_proc_mem, ps_peek, ps_vm_readv, ps_memcpy;

#endif
