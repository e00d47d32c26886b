/* SPDX-License-Identifier: MIT */
/* What stops did to blocked calls is counted. */
#ifndef PROCSNAP_COUNTS_H
#define PROCSNAP_COUNTS_H
#include "procsnap.h"

void count_restarted(struct ps_calls *calls, long number);
void count_lengthened(struct ps_calls *calls, long number);
void ps_count_cut(struct ps_calls *calls, long number);

#endif
