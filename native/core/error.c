// SPDX-License-Identifier: MIT
#include <stdarg.h>
#include <stdio.h>
#include "procsnap.h"

static __thread char text[256];

int ps_fail(int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return code;
}

const char *ps_error(void)
{
	return text;
}
