// SPDX-License-Identifier: GPL-2.0
/* What a test says, and the options it was given. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "snap.h"

static int tests, failures, arguments_count;
static char **arguments;

static void say(const char *before, const char *text, va_list values, const char *after)
{
	char line[2048];

	vsnprintf(line, sizeof(line), text, values);
	printf("%s%s%s\n", before, line, after);
	fflush(stdout);
}

bool ok(bool holds, const char *name, ...)
{
	char before[40];
	va_list values;

	snprintf(before, sizeof(before), "%sok %d - ", holds ? "" : "not ", ++tests);
	failures += !holds;
	va_start(values, name);
	say(before, name, values, "");
	va_end(values);
	return holds;
}

bool is(long found, long expected, const char *name, ...)
{
	char text[1024];
	va_list values;

	va_start(values, name);
	vsnprintf(text, sizeof(text), name, values);
	va_end(values);
	ok(found == expected, "%s", text);
	if (found != expected)
		note("%s: found %ld, expected %ld", text, found, expected);
	return found == expected;
}

void skip(const char *name, const char *reason, ...)
{
	char before[512];
	va_list values;

	snprintf(before, sizeof(before), "ok %d - %s # SKIP ", ++tests, name);
	va_start(values, reason);
	say(before, reason, values, "");
	va_end(values);
}

void note(const char *text, ...)
{
	va_list values;

	va_start(values, text);
	say("# ", text, values, "");
	va_end(values);
}

void die(const char *text, ...)
{
	va_list values;
	char after[80];

	snprintf(after, sizeof(after), " (pid %d, errno %d)", getpid(), errno);
	va_start(values, text);
	say("Bail out! ", text, values, after);
	va_end(values);
	exit(1);
}

void tap_begin(int argc, char **argv)
{
	arguments = argv;
	arguments_count = argc;
	share_words();
	if (snap2(NULL, 0) == -ENOSYS) {
		printf("1..0 # SKIP this kernel has no create_proc_snap2()\n");
		exit(4);
	}
}

int tap_end(void)
{
	is(children(getpid()), 0, "no child of the test is left");
	printf("1..%d\n", tests);
	return failures ? 1 : 0;
}

long option(const char *name, long otherwise)
{
	size_t length = strlen(name);
	int i;

	for (i = 1; i < arguments_count; i++)
		if (!strncmp(arguments[i], "--", 2) &&
		    !strncmp(arguments[i] + 2, name, length) && arguments[i][2 + length] == '=')
			return atol(arguments[i] + 3 + length);
	return otherwise;
}
