// SPDX-License-Identifier: MIT
/* Kinds whose memory changes all the time, and is looked at: nothing changes but what they change. */
#include "kinds.h"

#define WORDS	512		/* of a page */

/* Each page: its number and version, mixed into all of its words. */
static uint64_t word_of(uint64_t number, uint64_t version, int index)
{
	uint64_t x = number << 40 ^ version << 10 ^ index;

	x *= 0x9e3779b97f4a7c15;
	return x ^ x >> 29;
}

static void write_page(uint64_t *at, uint64_t number, uint64_t version)
{
	for (int i = 0; i < WORDS; i++)
		at[i] = word_of(number, version, i);
}

static void check_page(const uint64_t *at, uint64_t number, uint64_t version)
{
	for (int i = 0; i < WORDS; i++)
		if (at[i] != word_of(number, version, i)) {
			harm("a page of memory changed by itself");
			return;
		}
}

/* MEBIBYTES, all of them written anew within a second or so. */
static void writer(const char *argument)
{
	size_t count = (strtoul(argument, NULL, 10) ?: 8) << 8;
	uint64_t *memory = mmap(NULL, count << 12, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint16_t *version = calloc(count, sizeof(*version));

	need(memory != MAP_FAILED && version, "memory");
	for (size_t i = 0; i < count; i++)
		write_page(memory + i * WORDS, i, 0);
	page->handle[0] = (uintptr_t)memory;
	ready();
	for (size_t at = 0;; turn()) {
		for (int i = 0; i < 16; i++, at = (at + 1) % count) {
			check_page(memory + at * WORDS, at, version[at]);
			write_page(memory + at * WORDS, at, ++version[at]);
		}
		nap_ms(4);
	}
}

/* Regions come, are written, given back, protected and go: what fork(2) copies changes all the time. */
static void mapper(const char *argument)
{
	enum { REGIONS = 32, PAGES = 16 };
	uint64_t *region[REGIONS] = { 0 };
	uint64_t version[REGIONS] = { 0 };

	(void)argument;
	ready();
	for (uint64_t round = 1;; round++, turn()) {
		for (int j = 0; j < 3; j++) {
			int i = draw(REGIONS);

			if (region[i]) {
				for (int k = 0; k < PAGES; k++)
					check_page(region[i] + k * WORDS, i * PAGES + k, version[i]);
				if (draw(2)) {
					mprotect(region[i], PAGES << 12, PROT_READ);
					mprotect(region[i], PAGES << 12, PROT_READ | PROT_WRITE);
				} else {
					munmap(region[i], PAGES << 12);
					region[i] = NULL;
					continue;
				}
			} else {
				region[i] = mmap(NULL, PAGES << 12, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
				if (region[i] == MAP_FAILED) {
					harm("mmap failed: %s", strerror(errno));
					region[i] = NULL;
					continue;
				}
			}
			version[i] = round;
			for (int k = 0; k < PAGES; k++)
				write_page(region[i] + k * WORDS, i * PAGES + k, version[i]);
			page->handle[0] = (uintptr_t)region[i];
		}
		nap_ms(15);
	}
}

const struct kind memory_kinds[] = { { "memory", writer }, { "mapper", mapper }, { 0 } };
