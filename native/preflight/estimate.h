/* SPDX-License-Identifier: MIT */
#ifndef PROCSNAP_ESTIMATE_H
#define PROCSNAP_ESTIMATE_H
#include "procsnap.h"

/*
 * How long an injected clone() is likely to keep the target: by some forks of our
 * own, timed now, which take some milliseconds. -1: these failed.
 */
int64_t ps_estimate_pause_ns(pid_t target, const struct ps_preflight *preflight, int64_t anonymous_kib);
/*
 * How long a stop of precopy is likely to be: of a target that writes to little meanwhile. It does not grow with its
 * memory; a target that writes much is stopped for longer.
 */
int64_t ps_estimate_stop_ns(const struct ps_preflight *preflight);

#endif
