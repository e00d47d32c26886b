// SPDX-License-Identifier: MIT
/* What the target has mapped, from /proc/PID/maps; smaps only where there are huge pages of hugetlbfs. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "facts.h"

#define HUGE		(2UL << 20)
#define PAGE		4096
#define SAMPLES		256
/* Documentation/admin-guide/mm/pagemap.rst */
#define PRESENT		(1ULL << 63)
#define FRAME		((1ULL << 55) - 1)
#define FLAG_THP	(1ULL << 22)

static int look(const struct ps_region *region, void *arg)
{
	struct ps_facts *facts = arg;

	facts->regions++;
	/* The name of a context of io_setup(2), whose ring is shared; and of shmat(2). */
	facts->aio |= !strncmp(region->name, "/[aio]", 6);
	facts->sysv |= region->shared && !strncmp(region->name, "/SYSV", 5);
	if (region->end > UINT32_MAX)
		facts->is_32_bit = false;
	return 0;
}

static struct ps_huge *of_size(struct ps_facts *facts, int64_t page_kib)
{
	for (int i = 0; i < facts->huge_sizes; i++)
		if (facts->huge_size[i].page_kib == page_kib)
			return &facts->huge_size[i];
	if (facts->huge_sizes == PS_HUGE_SIZES)
		return NULL;
	facts->huge_size[facts->huge_sizes] = (struct ps_huge){ .page_kib = page_kib };
	return &facts->huge_size[facts->huge_sizes++];
}

static bool has_flag(const char *flags, const char *flag)
{
	const char *at = strstr(flags, flag);

	return at && at[-1] == ' ' && (at[2] == ' ' || at[2] == '\n');
}

static void look_at_huge(struct ps_facts *facts)
{
	char path[32], line[4352];
	int64_t page_kib = 0, private_kib = 0, number;
	FILE *smaps;

	snprintf(path, sizeof(path), "/proc/%d/smaps", facts->first);
	smaps = fopen(path, "re");
	while (smaps && fgets(line, sizeof(line), smaps)) {
		struct ps_huge *huge;

		if (sscanf(line, "KernelPageSize: %ld kB", &number) == 1)
			page_kib = number;
		else if (sscanf(line, "Private_Hugetlb: %ld kB", &number) == 1)
			private_kib = number;
		/* After a first duplicate they are mapped twice: then they count as shared, though the mapping is private. */
		else if (sscanf(line, "Shared_Hugetlb: %ld kB", &number) == 1)
			private_kib += number;
		if (strncmp(line, "VmFlags:", 8) || !has_flag(line, "ht") || has_flag(line, "sh"))
			continue;
		huge = of_size(facts, page_kib);
		if (huge && has_flag(line, "nr"))
			huge->unreserved_kib += private_kib;
		else if (huge)
			huge->reserved_kib += private_kib;
	}
	if (smaps)
		fclose(smaps);
}

void ps_gather_mappings(struct ps_facts *facts)
{
	/* A 32-bit program has nothing above 4 GiB, and a 64-bit one at least its stack. */
	facts->is_32_bit = true;
	if (ps_for_regions(facts->first, look, facts) || !facts->regions)
		facts->is_32_bit = false;
	if (facts->huge > 0)
		look_at_huge(facts);
}

/* Regions in which a transparent huge page has room. */
struct sampled { int pagemap, flags; uint64_t bytes, next, step; int present, huge; };

static bool is_large(const struct ps_region *region)
{
	return !region->shared && region->writable && region->end - region->start >= HUGE && *region->name != '/';
}

static int sum_up(const struct ps_region *region, void *arg)
{
	struct sampled *sampled = arg;

	if (is_large(region))
		sampled->bytes += region->end - region->start;
	return 0;
}

static int sample(const struct ps_region *region, void *arg)
{
	struct sampled *sampled = arg;
	uint64_t length = region->end - region->start, entry, flags;

	if (!is_large(region))
		return 0;
	for (; sampled->next < length; sampled->next += sampled->step) {
		uint64_t page = (region->start + sampled->next) / PAGE;

		if (pread(sampled->pagemap, &entry, 8, page * 8) != 8 || !(entry & PRESENT))
			continue;
		if (pread(sampled->flags, &flags, 8, (entry & FRAME) * 8) != 8)
			continue;
		sampled->present++;
		sampled->huge += !!(flags & FLAG_THP);
	}
	sampled->next -= length;
	return 0;
}

/* A look at some pages, each by itself: nothing that keeps the target's page tables locked for long, as smaps does. */
int ps_huge_share(pid_t pid)
{
	struct sampled sampled = { 0 };
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	sampled.pagemap = open(path, O_RDONLY | O_CLOEXEC);
	sampled.flags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	if (sampled.pagemap >= 0 && sampled.flags >= 0 && !ps_for_regions(pid, sum_up, &sampled) && sampled.bytes) {
		sampled.step = sampled.bytes / SAMPLES / PAGE * PAGE + PAGE;
		ps_for_regions(pid, sample, &sampled);
	}
	if (sampled.pagemap >= 0)
		close(sampled.pagemap);
	if (sampled.flags >= 0)
		close(sampled.flags);
	return sampled.present ? 1000 * sampled.huge / sampled.present : 0;
}
