// SPDX-License-Identifier: MIT
/*
 * pattern: 300,000 bytes and up to the page's end that the test can compute.
 * Words: 1 their address, 2 their length, 3 set by the test: exec() again.
 */
#include "target.h"

#define LENGTH 300000UL

static char *const again[] = { "pattern", NULL };

int main(void)
{
	size_t length = (LENGTH + 4095) & ~4095UL;
	uint8_t *bytes = mmap(NULL, length + 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(bytes != MAP_FAILED, "mmap");
	for (size_t i = 0; i < length; i++)
		bytes[i] = i * 7 + (i >> 8) * 13;
	munmap(bytes + length, 8192);
	word[3] = 0;
	word[1] = (int64_t)bytes;
	word[2] = length;
	ready();
	while (!word[3])
		usleep(500);
	execv("/proc/self/exe", again);
}
