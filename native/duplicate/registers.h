/* SPDX-License-Identifier: MIT */
/* The registers of threads that are stopped. */
#ifndef PROCSNAP_REGISTERS_H
#define PROCSNAP_REGISTERS_H
#include "procsnap.h"

/* Note those of all that are stopped, and how they have to be mended. */
int note_registers(struct ps_stop *stop);

#endif
