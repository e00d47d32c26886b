// SPDX-License-Identifier: MIT
/* Does this kernel have create_proc_snap(), and may this process call it? */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "procsnap.h"

int ps_snap_probe(void)
{
	struct ps_identity self;
	bool filtered;
	int error;

	/* Without arguments it is refused, where it is there: EINVAL, and nothing was done. */
	error = syscall(PS_SYS_CREATE_PROC_SNAP2, NULL, 0) < 0 ? errno : ENOSYS;
	if (error == EINVAL)
		return 0;
	filtered = !ps_identify(getpid(), &self) && self.seccomp;
	if (error == ENOSYS)
		return ps_fail(-ENOSYS,
			"this kernel has no create_proc_snap(): boot the patched one (kernel-patch/README.md), or measure in "
			"the guest: npm run bench -- --environment guest%s",
			filtered ? " (or the seccomp filter that this process runs under, as containers have, hides it)" : "");
	return ps_fail(-error, "create_proc_snap() is refused here (%s)%s", strerror(error),
		       filtered ? ": the seccomp filter that this process runs under does not let it through; for Docker, "
		       "start the container with --security-opt seccomp=unconfined" : "");
}
