/* SPDX-License-Identifier: MIT */
/* A stop that has failed: nothing of it is left. */
#ifndef PROCSNAP_UNDO_H
#define PROCSNAP_UNDO_H
#include "procsnap.h"

void undo_all(struct ps_stop *stop, int64_t until_ns);

#endif
