/* SPDX-License-Identifier: MIT */
/*
 * options.h - arguments as a table: one row, one --name VALUE
 */
#ifndef WORKLOADS_OPTIONS_H
#define WORKLOADS_OPTIONS_H

#include <sched.h>
#include <stdint.h>

#include "common.h"

enum option_kind {
	OPTION_NUMBER,	/* from minimum to maximum */
	OPTION_SIZE,	/* bytes, whole pages, at least minimum: 4096, 4K, 28M, 1G */
	OPTION_PAGES,	/* 4k or thp: an enum pages */
};

enum pages {
	PAGES_4K,
	PAGES_THP,
};

struct option_row {
	const char		*name;
	enum option_kind	kind;
	int64_t			*value;	/* holds the default before */
	int64_t			minimum;
	int64_t			maximum;
	const char		*help;
};

#define PLACEMENT_OPTIONS(placement)						\
	{ "cpu", OPTION_NUMBER, &(placement).cpu, 0, CPU_SETSIZE - 1,		\
	  "run on this CPU only" },						\
	{ "fifo", OPTION_NUMBER, &(placement).fifo, 1, 99,			\
	  "run as SCHED_FIFO with this priority" }

#define OPTIONS_END	{ .name = NULL }

/*
 * Fill in the values; a mistake ends the program with status 2 and one clear
 * line. `operands` names what follows the options (NULL: nothing may). Returns
 * the index of the first operand.
 */
int options_parse(int argc, char **argv, const struct option_row *rows,
		  const char *operands);

#endif
