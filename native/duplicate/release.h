/* SPDX-License-Identifier: MIT */
/* Letting the threads of a stop go. */
#ifndef PROCSNAP_RELEASE_H
#define PROCSNAP_RELEASE_H
#include "procsnap.h"

/*
 * All but @except (-1: none), with their mended registers. How many were killed meanwhile: their deaths have
 * to be noted.
 */
int let_threads_go(struct ps_stop *stop, int except);

#endif
