/* SPDX-License-Identifier: MIT */
/* Descriptors whose close() is noticed beyond the process. */
#ifndef PROCSNAP_FLUSHED_H
#define PROCSNAP_FLUSHED_H
#include "procsnap.h"

/*
 * Has the target descriptors of files that are told of each close(), though
 * others still have them open: those of file servers (FUSE, NFS ...), and of
 * devices other than terminals and memory? No file is asked.
 */
bool ps_has_flushed_files(pid_t pid);
/* Has @pid the same table of descriptors as @other, kcmp(2)? True where that cannot be told. */
bool ps_shares_files(pid_t pid, pid_t other);

#endif
