/* SPDX-License-Identifier: MIT */
/* Syscall user dispatch, prctl(2): who uses it handles calls itself, and would one that is made in its name, too. */
#ifndef PROCSNAP_DISPATCH_H
#define PROCSNAP_DISPATCH_H
#include "injection.h"

/* Does the target use it? Then it is refused: -ENOTSUP. Where the kernel does not tell, in->dispatch_unknown is set. */
int check_dispatch(struct injection *in);
/* A signal that could not be held back, or tells that the call was dispatched to the target's own handler. */
int on_sigsys(struct injection *in, pid_t tid);

#endif
