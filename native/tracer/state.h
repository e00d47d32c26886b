/* SPDX-License-Identifier: MIT */
/* What the tracer has: the area that its requester maps, too, and what it holds for the requester. */
#ifndef PROCSNAP_STATE_H
#define PROCSNAP_STATE_H
#include "procsnap.h"

extern struct ps_registers *registers;
extern uint8_t *data;
extern size_t data_bytes;

extern struct ps_duplicate duplicate;
extern struct ps_snapshot snapshot;
extern struct ps_copy copy;
extern struct ps_reader reader;
extern struct ps_stop held;

#endif
