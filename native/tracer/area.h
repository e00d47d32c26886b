/* SPDX-License-Identifier: MIT */
/* The area of memory that the requester maps, too: the registers, then data. */
#ifndef PROCSNAP_AREA_H
#define PROCSNAP_AREA_H
#include "protocol.h"

extern struct ps_registers *registers;
extern uint8_t *data;
extern size_t data_bytes;

/* Does so much fit into the data? */
int check_length(int64_t length);
/* What the request is asked with besides numbers, and a 0 behind it. -E2BIG: @to has no room for that. */
int read_bytes(const struct tracer_request *request, char *to, size_t size);
/* Their memory is there before the target is stopped: a first touch may be slow. */
void touch_registers(pid_t pid);
/* The counts by call, where the requester finds them. */
void tell_calls(const struct ps_calls *calls);

#endif
