/* SPDX-License-Identifier: MIT */
/* The area of memory that the requester maps, too: the registers, then data. */
#ifndef PROCSNAP_AREA_H
#define PROCSNAP_AREA_H
#include "procsnap.h"

extern struct ps_registers *registers;
extern uint8_t *data;
extern size_t data_bytes;

/* Does so much fit into the data? */
int check_length(int64_t length);
/* Their memory is there before the target is stopped: a first touch may be slow. */
void touch_registers(pid_t pid);
/* The counts by call, where the requester finds them. */
void tell_calls(const struct ps_calls *calls);

#endif
