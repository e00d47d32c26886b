// SPDX-License-Identifier: MIT
/*
 * resident.c - a process of a given RSS that only waits for commands
 *
 * The cost of a duplicate follows the populated pages, so this is the target
 * of every curve over size, with 4 KiB or with huge pages. result[7] holds, at
 * ready, the number of bytes that huge pages really back: the kernel may have
 * had none to give.
 */
#include <unistd.h>

#include "common.h"
#include "memory.h"
#include "options.h"
#include "serve.h"

int main(int argc, char **argv)
{
	struct placement placement = PLACEMENT_INHERITED;
	int64_t rss = 28 << 20;
	int64_t pages = PAGES_4K;
	const struct option_row rows[] = {
		{ "rss", OPTION_SIZE, &rss, PAGE_BYTES, 0,
		  "what the whole process has resident (28M)" },
		{ "pages", OPTION_PAGES, &pages, 0, 0, "4k or thp (4k)" },
		PLACEMENT_OPTIONS(placement),
		OPTIONS_END,
	};
	struct control *control;
	struct region region;

	die_with_parent(getppid());
	options_parse(argc, argv, rows, NULL);
	control = control_map();
	placement_apply(&placement);

	region = region_fill_rss((size_t)rss, (enum pages)pages);
	control->result[7] = (int64_t)huge_bytes();
	control_ready(control, region.start, region.bytes);

	for (;;) {
		control_wait(control, NULL);
		control_obey(control);
	}
}
