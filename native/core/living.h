/* SPDX-License-Identifier: MIT */
#ifndef PROCSNAP_LIVING_H
#define PROCSNAP_LIVING_H
#include "procsnap.h"

/*
 * A thread of @pid that has memory: the first one, or where that has ended and
 * others go on (pthread_exit() in main()), one of those. /proc/PID/maps and mem
 * of an ended first thread are empty. -ESRCH: there is none.
 */
pid_t ps_living_thread(pid_t pid);

#endif
