// SPDX-License-Identifier: MIT
/* Restartable sequences, rseq(2): what a thread has of them when it is stopped. */
#include <string.h>
#include <sys/ptrace.h>
#include "target_memory.h"

void ps_mend_rseq(struct ps_thread *thread)
{
	struct __ptrace_rseq_configuration rseq;
	struct { uint32_t version, flags; uint64_t start, length, abort; } section;
	uint64_t area;

	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, thread->tid, sizeof(rseq), &rseq) != sizeof(rseq) ||
		!rseq.rseq_abi_pointer)
		return;
	thread->rseq_bytes = rseq.rseq_abi_size < sizeof(thread->rseq) ? rseq.rseq_abi_size : sizeof(thread->rseq);
	if (!read_target(thread->tid, rseq.rseq_abi_pointer, thread->rseq, thread->rseq_bytes)) {
		thread->rseq_bytes = 0;
		return;
	}
	thread->rseq_address = rseq.rseq_abi_pointer;
	/* struct rseq: cpu_id_start, cpu_id, then the pointer to the critical section, linux/rseq.h */
	memcpy(&area, thread->rseq + 8, sizeof(area));
	if (area && read_target(thread->tid, area, &section, sizeof(section)) &&
	    thread->general.rip - section.start < section.length) {
		thread->mended.rip = section.abort;
		thread->changed = true;
	}
}
