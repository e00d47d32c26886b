// SPDX-License-Identifier: MIT
/*
 * options.c - read a table of arguments with getopt_long_only()
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

#define OPTIONS_MOST	8
#define VALUE_HELP	256	/* outside the row numbers and the characters */

static int64_t parse_number(const struct option_row *row, const char *text)
{
	char *end;
	int64_t value;

	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno || end == text || *end || value < row->minimum || value > row->maximum)
		fail(EXIT_USAGE, "--%s: \"%s\" is no whole number from %" PRId64 " to %" PRId64,
		     row->name, text, row->minimum, row->maximum);
	return value;
}

static int64_t parse_size(const struct option_row *row, const char *text)
{
	static const char units[] = "KMG";
	const char *unit;
	int64_t value;
	int shift = 0;
	char *end;

	errno = 0;
	value = strtoll(text, &end, 10);
	if (end != text && *end) {
		unit = strchr(units, *end);
		if (unit) {
			shift = 10 * (int)(unit - units + 1);
			end++;
		}
	}
	if (errno || end == text || *end || value < 0 || value > INT64_MAX >> shift)
		fail(EXIT_USAGE, "--%s: \"%s\" is no size; give bytes, or 4K, 28M, 1G",
		     row->name, text);
	value <<= shift;
	if (value < row->minimum)
		fail(EXIT_USAGE, "--%s: \"%s\" is too small; give at least %" PRId64 " bytes",
		     row->name, text, row->minimum);
	if (value % PAGE_BYTES)
		fail(EXIT_USAGE, "--%s: \"%s\" is not a multiple of %d bytes",
		     row->name, text, PAGE_BYTES);
	return value;
}

static int64_t parse_pages(const struct option_row *row, const char *text)
{
	if (!strcmp(text, "4k"))
		return PAGES_4K;
	if (!strcmp(text, "thp"))
		return PAGES_THP;
	fail(EXIT_USAGE, "--%s: \"%s\" is no kind of page; give 4k or thp", row->name, text);
}

static int64_t parse_value(const struct option_row *row, const char *text)
{
	switch (row->kind) {
	case OPTION_SIZE:
		return parse_size(row, text);
	case OPTION_PAGES:
		return parse_pages(row, text);
	default:
		return parse_number(row, text);
	}
}

static _Noreturn void print_help(const struct option_row *rows, const char *operands)
{
	printf("usage: %s [--OPTION VALUE]... %s\n", program_invocation_short_name,
	       operands ? operands : "");
	for (; rows->name; rows++)
		printf("  --%-12s %s\n", rows->name, rows->help);
	exit(EXIT_SUCCESS);
}

int options_parse(int argc, char **argv, const struct option_row *rows,
		  const char *operands)
{
	struct option options[OPTIONS_MOST + 2] = { { 0 } };
	int count, found;

	for (count = 0; rows[count].name && count < OPTIONS_MOST; count++)
		options[count] = (struct option){ rows[count].name, required_argument,
						  NULL, VALUE_HELP + 1 + count };
	options[count] = (struct option){ "help", no_argument, NULL, VALUE_HELP };

	/*
	 * "+": an operand ends the options; ":": tell a missing value from an
	 * unknown name; _only: "-x" is a name as well, so argv[optind - 1] is it.
	 */
	while ((found = getopt_long_only(argc, argv, "+:", options, NULL)) != -1) {
		if (found == VALUE_HELP)
			print_help(rows, operands);
		if (found == ':')
			fail(EXIT_USAGE, "%s needs a value; see --help", argv[optind - 1]);
		if (found == '?')
			fail(EXIT_USAGE, "%s is no option; see --help", argv[optind - 1]);
		found -= VALUE_HELP + 1;
		*rows[found].value = parse_value(&rows[found], optarg);
	}
	if (!operands && optind < argc)
		fail(EXIT_USAGE, "\"%s\" is one argument too many; see --help", argv[optind]);
	return optind;
}
