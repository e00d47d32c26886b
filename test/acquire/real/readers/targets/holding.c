// SPDX-License-Identifier: MIT
/*
 * holding FIRST SECOND BYTES: has the text FIRST SECOND on its heap, and so many bytes whose
 * words say which they are. Two threads: one reads, the other pauses.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t *words;
static char *text;

static __attribute__((noinline)) void *pauses(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static __attribute__((noinline)) int reads(void)
{
	char byte;

	return read(0, &byte, 1) == 1 ? byte : 0;
}

static __attribute__((noinline)) int holds(const char *first, const char *second, size_t bytes)
{
	size_t length = strlen(first) + strlen(second) + 1, i;

	text = malloc(length);
	words = malloc(bytes);
	if (!text || !words)
		return 1;
	snprintf(text, length, "%s%s", first, second);
	for (i = 0; i < bytes / sizeof(*words); i++)
		words[i] = i;
	puts("ready");
	fflush(stdout);
	return reads() + (int)words[1];
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (argc != 4 || pthread_create(&thread, NULL, pauses, NULL))
		return 2;
	return holds(argv[1], argv[2], strtoull(argv[3], NULL, 10)) + 1;
}
