// SPDX-License-Identifier: MIT
/*
 * standin.c - stands in for the paper's bash
 *
 * For machines and guests whose bash differs from the paper's: it has that
 * one's segment sizes (standin-image.S) and blocks in read(0), as an idle shell
 * does. That is why it looks for commands only when a line comes: write the
 * command into the control page, then a newline to its stdin. The control page
 * may be missing, so that on-pty can start it in the place of bash.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "memory.h"
#include "options.h"
#include "serve.h"

extern const volatile char image_text[], image_text_end[];
extern volatile char image_data[], image_data_end[];
extern volatile char image_bss[], image_bss_end[];

/* a shell that has run for a while has read its text and written its data */
static void image_touch(void)
{
	const volatile char *text;
	volatile char *byte;

	for (text = image_text; text < image_text_end; text += PAGE_BYTES)
		(void)*text;
	for (byte = image_data; byte < image_data_end; byte += PAGE_BYTES)
		*byte = *byte;
	for (byte = image_bss; byte < image_bss_end; byte += PAGE_BYTES)
		*byte = 1;
}

/* false at the end of input */
static bool wait_for_line(struct control *control)
{
	static const char prompt[] = "standin$ ";
	char line[256];
	ssize_t length;

	if (isatty(STDIN_FILENO) && write(STDOUT_FILENO, prompt, sizeof(prompt) - 1) < 0)
		return false;
	while ((length = read(STDIN_FILENO, line, sizeof(line))) < 0 && errno == EINTR)
		if (control)
			control->errors++;
	return length > 0;
}

int main(int argc, char **argv)
{
	struct placement placement = PLACEMENT_INHERITED;
	int64_t rss = 0;
	int64_t pages = PAGES_4K;
	const struct option_row rows[] = {
		{ "rss", OPTION_SIZE, &rss, PAGE_BYTES, 0,
		  "what the whole process has resident (no more than it needs)" },
		{ "pages", OPTION_PAGES, &pages, 0, 0, "4k or thp (4k)" },
		PLACEMENT_OPTIONS(placement),
		OPTIONS_END,
	};
	struct control *control = NULL;
	struct region region = { 0 };

	die_with_parent(getppid());
	options_parse(argc, argv, rows, NULL);
	if (fcntl(CONTROL_FD, F_GETFD) >= 0)
		control = control_map();
	placement_apply(&placement);

	image_touch();
	if (rss)
		region = region_fill_rss((size_t)rss, (enum pages)pages);
	if (control) {
		control->result[7] = (int64_t)huge_bytes();
		control_ready(control, region.start, region.bytes);
	}
	while (wait_for_line(control))
		if (control && control_pending(control))
			control_obey(control);
	return EXIT_SUCCESS;
}
