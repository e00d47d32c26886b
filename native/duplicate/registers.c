// SPDX-License-Identifier: MIT
#include <elf.h>
#include <errno.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include "registers.h"

int note_registers(struct ps_stop *stop)
{
	int err = 0;

	for (int i = 0; i < stop->threads; i++) {
		struct ps_thread *thread = &stop->thread[i];

		if (!thread->stopped)
			continue;
		thread->alone = stop->threads == 1;
		if (ptrace(PTRACE_GETREGS, thread->tid, 0, &thread->general)) {
			err = ps_fail(-ESRCH, "process %d ended, or called exec(), while it was being stopped", stop->pid);
		} else if (thread->general.cs != 0x33) {
			err = ps_fail(-ENOTSUP, "process %d runs 32-bit code: only 64-bit processes can be duplicated from outside",
				stop->pid);
		} else {
			thread->mended = thread->general;
			ps_mend_rseq(thread);
		}
	}
	return err;
}

int ps_read_registers(const struct ps_stop *stop, struct ps_registers *out, int max)
{
	int count = 0;

	for (int i = 0; i < stop->threads && count < max; i++) {
		struct iovec area = { out[count].xstate, sizeof(out[count].xstate) };

		if (ptrace(PTRACE_GETREGSET, stop->thread[i].tid, NT_X86_XSTATE, &area))
			area.iov_len = 0;
		out[count].tid = stop->thread[i].tid;
		out[count].skew_ns = out[count].flags = 0;
		out[count].general = stop->thread[i].general;
		out[count++].xstate_bytes = area.iov_len;
	}
	return count;
}
