// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <sys/utsname.h>
#include "procsnap.h"

int ps_kernel_version(void)
{
	struct utsname kernel;
	int major = 0, minor = 0;

	if (!uname(&kernel))
		sscanf(kernel.release, "%d.%d", &major, &minor);
	return major * 1000 + minor;
}
