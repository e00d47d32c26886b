// SPDX-License-Identifier: MIT
/* Kinds whose memory changes all the time, and is looked at: nothing changes but what they change. */
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
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

/* Its own monitor fills its pages, and is told of forks: whoever forks waits for it. */
static int faults;

static void *monitor(void *arg)
{
	static uint8_t filling[4096];

	(void)arg;
	for (;;) {
		struct uffd_msg message;

		if (read(faults, &message, sizeof(message)) != sizeof(message))
			continue;
		if (message.event == UFFD_EVENT_FORK) {
			close(message.arg.fork.ufd);
		} else if (message.event == UFFD_EVENT_PAGEFAULT) {
			struct uffdio_copy copy = {
				.dst = message.arg.pagefault.address & ~4095ULL, .src = (uintptr_t)filling, .len = 4096
			};

			memset(filling, 0x5a, sizeof(filling));
			ioctl(faults, UFFDIO_COPY, &copy);
		}
	}
	return NULL;
}

static void monitored(const char *argument)
{
	enum { BYTES = 64 << 12 };
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_EVENT_FORK };
	uint8_t *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_register range = { .range = { (uintptr_t)memory, BYTES }, .mode = UFFDIO_REGISTER_MODE_MISSING };
	pthread_t thread;

	(void)argument;
	faults = syscall(SYS_userfaultfd, O_CLOEXEC);
	need(faults >= 0 && !ioctl(faults, UFFDIO_API, &api) && !ioctl(faults, UFFDIO_REGISTER, &range), "userfaultfd");
	need(!pthread_create(&thread, NULL, monitor, NULL), "pthread_create");
	ready();
	for (;; turn()) {
		size_t at = draw(BYTES);

		if (memory[at] != 0x5a)
			harm("a page has not what its monitor gave");
		if (!draw(16))
			madvise(memory, BYTES, MADV_DONTNEED);
		nap_ms(10);
	}
}

const struct kind memory_kinds[] = { { "monitored", monitored }, { "memory", writer }, { "mapper", mapper }, { 0 } };
