/* SPDX-License-Identifier: MIT */
/* What the preflight leaves for others: the facts of the last target, with the files of its limits open. */
#ifndef PROCSNAP_PREFLIGHT_H
#define PROCSNAP_PREFLIGHT_H
#include "facts.h"

/* Gathered anew if the last preflight was of another process. */
const struct ps_facts *ps_facts_of(pid_t target);
struct ps_limits *ps_limits_for_watch(void);
int64_t ps_anonymous_kib(void);

#endif
