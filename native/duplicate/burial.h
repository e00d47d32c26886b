/* SPDX-License-Identifier: MIT */
/*
 * What is left of an ended duplicate: a zombie in the target's list of children,
 * until the target waits for it, which it is made to do. Where that cannot be
 * done at once (a debugger has come, the target is frozen, or waits in vfork()),
 * it is tried again until it is done or the target has ended.
 */
#ifndef PROCSNAP_BURIAL_H
#define PROCSNAP_BURIAL_H
#include "procsnap.h"

/* Takes @pidfd (of the target, or -1) over. The duplicate was killed. */
void ps_bury_later(const struct ps_duplicate *duplicate, int pidfd);
/*
 * The same, and try now. 0: nothing is left of it; else ps_error() says why it
 * stays for now. ended->pause_ns is what the target was stopped for,
 * ended->calls what that did.
 */
int ps_bury(
	const struct ps_duplicate *duplicate, int pidfd, int64_t timeout_ns, int64_t limit_ns, struct ps_ended *ended);
/* Is @pid an ended duplicate that is not buried yet? */
bool ps_burying(pid_t pid);
int64_t ps_burial_next_ns(void);		/* INT64_MAX: there is nothing to bury */
void ps_burial_run(void);

#endif
