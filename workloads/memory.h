/* SPDX-License-Identifier: MIT */
/*
 * memory.h - private memory of a known size and page size
 */
#ifndef WORKLOADS_MEMORY_H
#define WORKLOADS_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "options.h"

struct region {
	void	*start;
	size_t	bytes;
};

/* private anonymous memory, every page of it written with a pattern without zeros */
struct region region_make(size_t bytes, enum pages pages);

/* a region of such a size that the whole process then has `rss` bytes resident */
struct region region_fill_rss(size_t rss, enum pages pages);

/* what this process has in huge pages */
size_t huge_bytes(void);

#endif
