// SPDX-License-Identifier: MIT
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "small_file.h"

const char *ps_files_root = "";

static int open_at(const char *format, va_list args)
{
	char path[2 * PS_PATH];
	int root = snprintf(path, sizeof(path), "%s", ps_files_root), fd;
	int length = vsnprintf(path + root, sizeof(path) - root, format, args);

	if (length >= (int)sizeof(path) - root)
		return -ENAMETOOLONG;
	/* Not blocking, should it be a pipe after all. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

int ps_small_open(const char *format, ...)
{
	va_list args;
	int fd;

	va_start(args, format);
	fd = open_at(format, args);
	va_end(args);
	return fd;
}

ssize_t ps_small_reread(int fd, char *text, size_t size)
{
	size_t length = 0;
	ssize_t got;

	while (length < size - 1 && (got = pread(fd, text + length, size - 1 - length, length)) != 0) {
		if (got < 0)
			return -errno;
		length += got;
	}
	text[length] = 0;
	return length;
}

ssize_t ps_small_read(char *text, size_t size, const char *format, ...)
{
	va_list args;
	ssize_t got;
	int fd;

	*text = 0;
	va_start(args, format);
	fd = open_at(format, args);
	va_end(args);
	if (fd < 0)
		return fd;
	got = ps_small_reread(fd, text, size);
	close(fd);
	return got;
}

int64_t ps_number_of(int fd)
{
	char text[32];

	if (fd < 0 || ps_small_reread(fd, text, sizeof(text)) <= 0)
		return -1;
	if (!strncmp(text, "max", 3))
		return PS_UNLIMITED;
	return isdigit((unsigned char)*text) ? strtoll(text, NULL, 10) : -1;
}

static const char *find_line(const char *text, const char *key)
{
	size_t length = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, length) && (line[length] == ':' || line[length] == ' ' || line[length] == '\t'))
			return line + length + (line[length] == ':');
	}
	return NULL;
}

int64_t ps_line_number(const char *text, const char *key)
{
	const char *value = find_line(text, key);

	return value ? strtoll(value, NULL, 10) : -1;
}

bool ps_line_words(const char *text, const char *key, char *words, size_t size)
{
	const char *value = find_line(text, key);
	size_t length;

	if (!value)
		return false;
	value += strspn(value, " \t");
	length = strcspn(value, "\n");
	while (length && isspace((unsigned char)value[length - 1]))
		length--;
	snprintf(words, size, "%.*s", (int)length, value);
	return true;
}
