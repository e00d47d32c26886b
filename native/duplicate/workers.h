/* SPDX-License-Identifier: MIT */
/* Threads of a process that are the kernel's. */
#ifndef PROCSNAP_WORKERS_H
#define PROCSNAP_WORKERS_H
#include "procsnap.h"

/* Is @tid a worker of io_uring or the like? False where there is no such thread. */
bool is_worker(pid_t pid, pid_t tid);

#endif
