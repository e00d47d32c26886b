// SPDX-License-Identifier: MIT
#include "procsnap.h"

const char *ps_way_name(enum ps_way way)
{
	/* No default: the compiler says which way has no name. */
	switch (way) {
	case PS_WAY_PROC_MEM_PAPER:
		return "proc-mem-paper";
	case PS_WAY_PROC_MEM:
		return "proc-mem";
	case PS_WAY_PEEK:
		return "peek";
	case PS_WAY_VM_READV:
		return "vm-readv";
	case PS_WAY_MEMCPY:
		return "memcpy";
	case PS_WAYS:
		break;
	}
	return "";
}
