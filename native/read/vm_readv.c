// SPDX-License-Identifier: MIT
/*
 * process_vm_readv(2): no descriptor, and one copy instead of two. It pins what it
 * reads: of a duplicate, pages still shared with the target are copied first, once
 * (FOLL_PIN, FOLL_UNSHARE). Reading by /proc/PID/mem leaves them shared.
 */
#include <errno.h>
#include <sys/uio.h>
#include "ways.h"

static ssize_t read_vm(struct ps_reader *reader, uint64_t address, void *buffer, size_t length)
{
	size_t done = 0;

	while (done < length) {
		struct iovec local = { (char *)buffer + done, length - done };
		struct iovec remote = { (void *)(address + done), length - done };
		ssize_t got = process_vm_readv(reader->pid, &local, 1, &remote, 1, 0);

		if (got <= 0)
			return done ? (ssize_t)done : got ? -errno : 0;
		done += got;
	}
	return done;
}

const struct ps_way_ops ps_vm_readv = { .read = read_vm };
