/* SPDX-License-Identifier: GPL-2.0 */
/* The bounds of a call: what its files share, file by file. */
#ifndef BOUNDS_H
#define BOUNDS_H

#include "lib/snap.h"

/* --- bounds-late.c --- */

void test_late(void);

#endif
