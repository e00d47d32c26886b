/* SPDX-License-Identifier: MIT */
/* What a signal does to a thread whose call is followed. */
#ifndef PROCSNAP_DISPOSITION_H
#define PROCSNAP_DISPOSITION_H
#include "followed.h"

enum disposition { IGNORED, STOPS, CAUGHT };	/* or ends the process: nobody will see the call's result */

enum disposition disposition(const struct followed *followed, int sig);
/* A signal that the thread is about to take, and that has ended the call. */
bool signal_waits(const struct followed *followed);

#endif
