// SPDX-License-Identifier: MIT
/* Where this machine's processors keep what in an XSAVE area: CPUID leaf 0xD. */
#include <cpuid.h>
#include "procsnap.h"

#define LEAF		0xd
#define FIRST		2		/* x87 and SSE lie in the first 512 bytes, everywhere */
#define OF_SUPERVISOR	1		/* ECX: the kernel's own, in no area that a debugger gets */

int ps_xsave_components(struct ps_xsave_component *out, int max)
{
	unsigned int low, high, size, offset, flags, unused;
	int count = 0;

	/* XSAVE, and a kernel that uses it. */
	if (!__get_cpuid(1, &unused, &unused, &flags, &unused) || !(flags & bit_OSXSAVE) ||
	    !__get_cpuid_count(LEAF, 0, &low, &unused, &unused, &high))
		return 0;
	for (int i = FIRST; i < 64 && count < max; i++) {
		if (!((i < 32 ? low >> i : high >> (i - 32)) & 1) ||
		    !__get_cpuid_count(LEAF, i, &size, &offset, &flags, &unused) || !size || (flags & OF_SUPERVISOR))
			continue;
		out[count++] = (struct ps_xsave_component) { .number = i, .bytes = size, .offset = offset };
	}
	return count;
}
