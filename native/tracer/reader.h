/* SPDX-License-Identifier: MIT */
/* The process that is read from, kept open from one read to the next. */
#ifndef PROCSNAP_READER_H
#define PROCSNAP_READER_H
#include "procsnap.h"

extern struct ps_reader reader;		/* pid -1: none is open */

/* Where it is @pid's. */
void close_reader(pid_t pid);

#endif
