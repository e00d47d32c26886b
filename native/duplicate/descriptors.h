/* SPDX-License-Identifier: MIT */
/*
 * What a target's descriptor is, without an effect on it: for timeouts.c and rest.c.
 *
 * A descriptor that is taken from another process and closed runs the file's
 * ->flush(), which a file server may not answer. So only two kinds are taken,
 * which have none: sockets, and pseudo-terminals.
 */
#ifndef PROCSNAP_DESCRIPTORS_H
#define PROCSNAP_DESCRIPTORS_H
#include <termios.h>
#include "procsnap.h"

enum descriptor { FD_OTHER, FD_SOCKET, FD_PIPE, FD_PTY, FD_TTY, FD_ENDLESS };

/* The thread of @pid by which a descriptor is seen: the first, or where that has ended another one. */
pid_t ps_thread_with(pid_t pid, int fd);
/* By /proc: no file system is asked for it. FD_ENDLESS: /dev/zero, /dev/random, /dev/urandom. */
enum descriptor ps_descriptor(pid_t pid, int fd);
/* Does it never wait, O_NONBLOCK? False where that cannot be told. */
bool ps_never_waits(pid_t pid, int fd);
/*
 * Only while the target is stopped: so it is not us who closes a descriptor last. 0 or -errno; -ENOTSOCK
 * without asking.
 */
int ps_socket_option(pid_t pid, int fd, int option, void *value, unsigned int length);
int ps_pty_settings(pid_t pid, int fd, struct termios *settings);
/* A socket of bytes without borders. */
bool is_stream(pid_t pid, int fd);
/* Bytes without which a read from this socket goes on waiting. */
uint64_t low_water(pid_t pid, int fd);
/* Does a write go on until all is written? False where that is not known. */
bool writes_all(pid_t pid, int fd);

#endif
