// SPDX-License-Identifier: MIT
/*
 * No target: the preflight's table and its view of limits, without a process.
 *   judging facts		standard input is lines "field value" of struct ps_facts, and
 *				"limit OF FILE LIMIT USED RECLAIMABLE PAGE_KIB", "purpose N"; prints lines
 *				"code<tab>name<tab>text", and "cost<tab>growth clone reserve"
 *   judging limits ROOT PID	what is found below ROOT, which has files as in / : lines
 *				"OF FILE LIMIT USED RECLAIMABLE ROOM", and "out-of-reach N", "oom-group N"
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "preflight/facts.h"

enum kind { INT, LONG, BOOL, TEXT };
#define FIELD(name, kind) { #name, kind, offsetof(struct ps_facts, name) }
static const struct { const char *name; enum kind kind; size_t offset;
} fields[] = {
	FIELD(pid, INT),
	FIELD(own, BOOL),
	FIELD(gone, BOOL),
	FIELD(identity.kernel_thread, BOOL),
	FIELD(identity.tgid, INT),
	FIELD(tracer, INT),
	FIELD(zombie, BOOL),
	FIELD(is_32_bit, BOOL),
	FIELD(denied, BOOL),
	FIELD(complete, BOOL),
	FIELD(first, INT),
	FIELD(threads, INT),
	FIELD(cpus, INT),
	FIELD(frozen, TEXT),
	FIELD(stuck, INT),
	FIELD(stuck_in, TEXT),
	FIELD(supervised, INT),
	FIELD(filtered, BOOL),
	FIELD(may_suspend, BOOL),
	FIELD(deadline, BOOL),
	FIELD(new_pid_pending, BOOL),
	FIELD(new_time_pending, BOOL),
	FIELD(resident, LONG),
	FIELD(anonymous, LONG),
	FIELD(swapped, LONG),
	FIELD(tables, LONG),
	FIELD(data, LONG),
	FIELD(regions, INT),
	FIELD(limits.out_of_reach, BOOL),
	FIELD(limits.nested, BOOL),
	FIELD(limits.oom_group, BOOL),
	FIELD(user_processes, LONG),
	FIELD(user_limit, LONG),
	FIELD(huge_sizes, INT),
	FIELD(huge_size[0].page_kib, LONG),
	FIELD(huge_size[0].unreserved_kib, LONG),
	FIELD(huge_size[0].reserved_kib, LONG),
	FIELD(descriptors_hidden, BOOL),
	FIELD(fork_events, INT),
	FIELD(direct, INT),
	FIELD(direct_any, INT),
	FIELD(direct_remote, BOOL),
	FIELD(io_uring, INT),
	FIELD(sharer, INT),
	FIELD(sharing_unknown, BOOL),
	FIELD(aio, BOOL),
	FIELD(sysv, BOOL),
	FIELD(locks, INT),
	FIELD(kernel, INT),
};

static struct ps_facts facts;
static int purpose = PS_FOR_INJECT;

static void set(const char *name, const char *value)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		char *place = (char *)&facts + fields[i].offset;

		if (strcmp(name, fields[i].name))
			continue;
		switch (fields[i].kind) {
		case INT:
			*(int *)place = atoi(value);
			break;
		case LONG:
			*(int64_t *)place = atoll(value);
			break;
		case BOOL:
			*(bool *)place = atoi(value);
			break;
		case TEXT:
			strcpy(place, value);
		}
		return;
	}
	fprintf(stderr, "judging: there is no field %s\n", name);
	exit(2);
}

static int judge(void)
{
	struct ps_reason reasons[PS_MAX_REASONS];
	char line[512], name[64], value[400];
	struct ps_cost cost;
	int count;

	while (fgets(line, sizeof(line), stdin)) {
		struct ps_limit *limit = &facts.limits.limit[facts.limits.count];

		if (sscanf(line, "limit %d %287s %ld %ld %ld %ld", (int *)&limit->of, limit->file, &limit->limit, &limit->used,
			   &limit->reclaimable, &limit->page_kib) == 6) {
			limit->room = limit->limit - limit->used + limit->reclaimable;
			facts.limits.count++;
		} else if (sscanf(line, "purpose %d", &purpose) != 1 && sscanf(line, "%63s %399[^\n]", name, value) == 2) {
			set(name, value);
		}
	}
	count = ps_judge(&facts, purpose, reasons, PS_MAX_REASONS);
	for (int i = 0; i < count; i++)
		printf("%d\t%s\t%s\n", reasons[i].code, reasons[i].name, reasons[i].text);
	ps_cost_of(&facts, &cost);
	printf("cost\t%ld %ld %ld\n", cost.growth, cost.clone, cost.reserve);
	return 0;
}

static int show_limits(const char *root, pid_t pid)
{
	ps_files_root = root;
	ps_limits_open(pid, &facts.limits);
	for (int i = 0; i < facts.limits.count; i++) {
		const struct ps_limit *limit = &facts.limits.limit[i];

		printf("%d %s %ld %ld %ld %ld\n", limit->of, limit->file, limit->limit, limit->used, limit->reclaimable,
			limit->room);
	}
	printf("out-of-reach %d\noom-group %d\n", facts.limits.out_of_reach, facts.limits.oom_group);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "limits"))
		return show_limits(argv[2], atoi(argv[3]));
	return argc == 2 && !strcmp(argv[1], "facts") ? judge() : 2;
}
