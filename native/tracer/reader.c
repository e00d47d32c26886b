// SPDX-License-Identifier: MIT
#include "reader.h"

struct ps_reader reader = { .pid = -1, .fd = -1 };

void close_reader(pid_t pid)
{
	if (reader.pid < 0 || reader.pid != pid)
		return;
	ps_reader_close(&reader);
	reader.pid = -1;
}
