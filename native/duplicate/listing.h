/* SPDX-License-Identifier: MIT */
/* Which threads a process has, while it is being stopped: for threads.c. */
#ifndef PROCSNAP_LISTING_H
#define PROCSNAP_LISTING_H
#include "procsnap.h"

/* Another stop begins: none is known yet. */
void begin_listing(void);
/* Add the threads that are not known yet to stop->thread; how many are new, or -errno. */
int list_new(struct ps_stop *stop);
/* Take one off stop->thread: the last takes its place. */
void forget_thread(struct ps_stop *stop, int index);
/* The same, for one that had ended when it was to be seized: it may be listed again. */
void forget_ended(struct ps_stop *stop, int index);
/* Has exec() given @thread the first thread's tid? Then it has that from now on. */
bool rename_first(const struct ps_stop *stop, struct ps_thread *thread);
/* Has this thread ended, though it is listed still? */
bool is_dead(pid_t pid, pid_t tid);
/* As many are in stop->thread as there are. */
bool all_are_stopped(const struct ps_stop *stop);

#endif
