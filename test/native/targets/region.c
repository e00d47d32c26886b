// SPDX-License-Identifier: MIT
/*
 * region: 2 MiB and some pages with known contents, no mapping before and
 * after them; then it sleeps.
 * Words: 1 their address, 2 their length, 3 FNV-1a of the bytes.
 */
#include "target.h"

#define LENGTH	((2 << 20) + 5 * 4096)
#define GAP	(1 << 20)

int main(void)
{
	uint8_t *room = mmap(NULL, LENGTH + 2 * GAP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
			*bytes = room + GAP;
	uint32_t hash = 2166136261;

	need(room != MAP_FAILED && !munmap(room, GAP) && !munmap(bytes + LENGTH, GAP), "mmap");
	for (uint32_t i = 0; i < LENGTH; i++) {
		bytes[i] = i * 2654435761U >> 13;
		hash = (hash ^ bytes[i]) * 16777619;
	}
	word[1] = (long)bytes;
	word[2] = LENGTH;
	word[3] = hash;
	ready();
	for (;;)
		pause();
}
