// SPDX-License-Identifier: MIT
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "limits.h"

#define POOLS		"/sys/kernel/mm/hugepages"
/* Version 1 writes the largest number of whole pages where there is no limit. */
#define NO_LIMIT	(1LL << 62)

static struct ps_limit *add(
	struct ps_limits *limits, enum ps_limit_of of, const char *folder, const char *limit, const char *used)
{
	struct ps_limit *entry = &limits->limit[limits->count];
	char file[PS_PATH + 64];

	if (limits->count == PS_MAX_LIMITS)
		return NULL;
	snprintf(file, sizeof(file), "%s/%s", folder, limit);
	*entry = (struct ps_limit){ .of = of, .stat_fd = -1, .used_fd = -1 };
	entry->limit_fd = ps_small_open("%s", file);
	if (entry->limit_fd < 0)
		return NULL;
	snprintf(entry->file, sizeof(entry->file), "%.*s", PS_PATH - 1, file);
	entry->used_fd = used ? ps_small_open("%s/%s", folder, used) : fcntl(entry->limit_fd, F_DUPFD_CLOEXEC, 0);
	limits->count++;
	return entry;
}

/* /proc/meminfo has limit and use in one file. */
static void add_machine(struct ps_limits *limits)
{
	char text[16];

	add(limits, PS_MACHINE_MEMORY, "/proc", "meminfo", NULL);
	if (ps_small_read(text, sizeof(text), "/proc/sys/vm/overcommit_memory") > 0 && *text == '2')
		add(limits, PS_COMMIT, "/proc", "meminfo", NULL);
}

static void add_memory(const char *folder, bool version_2, void *arg)
{
	static const char *const files[][2] = {
		{ "memory.max", "memory.current" },
		/* Above it a process is not killed but slowed down, by up to two seconds at a time. */
		{ "memory.high", "memory.current" },
	};
	static const char *const files_1[][2] = {
		{ "memory.limit_in_bytes", "memory.usage_in_bytes" },
		{ "memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes" },
	};
	struct ps_limits *limits = arg;
	char text[16];

	for (int i = 0; i < 2; i++) {
		const char *const *file = version_2 ? files[i] : files_1[i];
		struct ps_limit *limit = add(limits, PS_CGROUP_MEMORY, folder, file[0], file[1]);

		if (!limit)
			continue;
		limit->version_2 = version_2;
		limit->stat_fd = ps_small_open("%s/memory.stat", folder);
	}
	if (version_2 && ps_small_read(text, sizeof(text), "%s/memory.oom.group", folder) > 0 && *text == '1')
		limits->oom_group = true;
}

static void add_processes(const char *folder, bool version_2, void *arg)
{
	(void)version_2;
	add(arg, PS_PROCESSES, folder, "pids.max", "pids.current");
}

static const char *size_name(int64_t page_kib, char *name, size_t size)
{
	if (page_kib >= 1 << 20)
		snprintf(name, size, "%dGB", (int)(page_kib >> 20));
	else if (page_kib >= 1 << 10)
		snprintf(name, size, "%dMB", (int)(page_kib >> 10));
	else
		snprintf(name, size, "%dKB", (int)page_kib);
	return name;
}

struct pool { struct ps_limits *limits; int64_t page_kib; };

static void add_hugetlb(const char *folder, bool version_2, void *arg)
{
	const struct pool *pool = arg;
	char size[16], limit[64], used[64];
	struct ps_limit *entry;

	size_name(pool->page_kib, size, sizeof(size));
	snprintf(limit, sizeof(limit), version_2 ? "hugetlb.%s.max" : "hugetlb.%s.limit_in_bytes", size);
	snprintf(used, sizeof(used), version_2 ? "hugetlb.%s.current" : "hugetlb.%s.usage_in_bytes", size);
	entry = add(pool->limits, PS_HUGE_PAGES, folder, limit, used);
	if (entry)
		entry->page_kib = pool->page_kib;
}

static void add_pools(pid_t pid, struct ps_limits *limits)
{
	char path[2 * PS_PATH];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "%s" POOLS, ps_files_root);
	dir = opendir(path);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		struct pool pool = { .limits = limits };
		struct ps_limit *limit;

		if (sscanf(entry->d_name, "hugepages-%ldkB", &pool.page_kib) != 1)
			continue;
		snprintf(path, sizeof(path), POOLS "/hugepages-%ldkB", pool.page_kib);
		/* What others have reserved is not free, and the pool's growing (nr_overcommit_hugepages) no promise. */
		limit = add(limits, PS_HUGE_PAGES, path, "free_hugepages", "resv_hugepages");
		if (limit)
			limit->page_kib = pool.page_kib;
		ps_cgroup_levels(pid, "hugetlb", add_hugetlb, &pool);
	}
	closedir(dir);
}

void ps_limits_open(pid_t pid, struct ps_limits *limits)
{
	enum ps_reach reach;

	limits->count = 0;
	limits->oom_group = false;
	add_machine(limits);
	reach = ps_cgroup_levels(pid, "memory", add_memory, limits);
	limits->out_of_reach = reach == PS_OUT_OF_REACH;
	limits->nested = ps_cgroup_is_nested();
	ps_cgroup_levels(pid, "pids", add_processes, limits);
	add_pools(pid, limits);
	for (int i = 0; i < limits->count; i++)
		ps_limit_look(&limits->limit[i], true);
}

void ps_limits_close(struct ps_limits *limits)
{
	for (int i = 0; i < limits->count; i++) {
		close(limits->limit[i].limit_fd);
		if (limits->limit[i].used_fd >= 0)
			close(limits->limit[i].used_fd);
		if (limits->limit[i].stat_fd >= 0)
			close(limits->limit[i].stat_fd);
	}
	limits->count = 0;
}

static int64_t at_least_0(int64_t value)
{
	return value > 0 ? value : 0;
}

/*
 * What the kernel takes back before it kills: clean pages of files that nobody
 * has used lately. Not swap, and not files in use: the target would wait for
 * the disk.
 */
static int64_t reclaimable_kib(const struct ps_limit *limit)
{
	const char *prefix = limit->version_2 ? "" : "total_";
	static const char *const keys[2][3] = {
		{ "total_inactive_file", "total_dirty", "total_writeback" },
		{ "inactive_file", "file_dirty", "file_writeback" },
	};
	const char *const *key = keys[!*prefix];
	char text[8192];

	if (limit->stat_fd < 0 || ps_small_reread(limit->stat_fd, text, sizeof(text)) <= 0)
		return 0;
	return at_least_0(ps_line_number(text, key[0]) - at_least_0(ps_line_number(text, key[1])) -
			  at_least_0(ps_line_number(text, key[2]))) >> 10;
}

static void look_at_machine(struct ps_limit *limit)
{
	char text[4096];

	if (ps_small_reread(limit->limit_fd, text, sizeof(text)) <= 0)
		return;
	limit->limit = ps_line_number(text, limit->of == PS_COMMIT ? "CommitLimit" : "MemTotal");
	limit->used = limit->of == PS_COMMIT ? ps_line_number(text, "Committed_AS") :
		      limit->limit - ps_line_number(text, "MemAvailable");
	limit->room = at_least_0(limit->limit - limit->used);
}

void ps_limit_look(struct ps_limit *limit, bool exact)
{
	if (limit->of == PS_MACHINE_MEMORY || limit->of == PS_COMMIT) {
		look_at_machine(limit);
		return;
	}
	limit->limit = ps_number_of(limit->limit_fd);
	/* A cgroup that is gone has no limit any more, and nor has one without the file. */
	if (limit->limit < 0 || limit->limit >= NO_LIMIT) {
		limit->limit = limit->room = PS_UNLIMITED;
		return;
	}
	limit->used = at_least_0(ps_number_of(limit->used_fd));
	if (limit->page_kib && strstr(limit->file, "free_hugepages")) {
		limit->limit *= limit->page_kib;
		limit->used *= limit->page_kib;
	} else if (limit->of != PS_PROCESSES) {
		limit->limit >>= 10;
		limit->used >>= 10;
	}
	limit->reclaimable = 0;
	/* memory.stat is by far the slowest of these. */
	if (limit->of == PS_CGROUP_MEMORY && (exact || limit->limit - limit->used < limit->need))
		limit->reclaimable = reclaimable_kib(limit);
	if (limit->reclaimable > limit->used)
		limit->reclaimable = limit->used;
	limit->room = at_least_0(limit->limit - limit->used + limit->reclaimable);
}

const struct ps_limit *ps_tightest(const struct ps_limits *limits, enum ps_limit_of of, int64_t page_kib)
{
	const struct ps_limit *tightest = NULL;

	for (int i = 0; i < limits->count; i++) {
		const struct ps_limit *limit = &limits->limit[i];

		if (limit->of == of && limit->room != PS_UNLIMITED && limit->page_kib == page_kib &&
		    (!tightest || limit->room < tightest->room))
			tightest = limit;
	}
	return tightest;
}
