/* SPDX-License-Identifier: MIT */
/* For rest.c: calls on vectors and messages, whose sizes are in the target's memory. */
#ifndef PROCSNAP_MESSAGES_H
#define PROCSNAP_MESSAGES_H
#include "calls.h"

enum rest rest_of_vector(pid_t pid, struct user_regs_struct *regs, uint64_t done);
enum rest rest_of_messages_out(pid_t pid, struct user_regs_struct *regs, uint64_t done);
enum rest rest_of_messages_in(struct user_regs_struct *regs, uint64_t done, bool asleep);
/* All that the message at @address asks for. False: it cannot be read. */
bool message_bytes(pid_t pid, uint64_t address, uint64_t *bytes);
/* Is there a part, or a message, of which less than all can be done? */
bool has_long_part(pid_t pid, uint64_t address, uint64_t count);
bool has_long_message(pid_t pid, const struct user_regs_struct *regs);

#endif
