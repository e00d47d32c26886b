// SPDX-License-Identifier: MIT
/*
 * fileless WHERE HEX: has a text that nothing else has, least of all its own file
 * or arguments: HEX is that text, each byte of it xor 0x5a. WHERE: "heap"; "code",
 * an anonymous executable mapping with a function before the text, which it calls;
 * "memfd", where HEX is a program's path, which is run from memory alone.
 * Words: 1 what the function in anonymous memory returned.
 */
#include <fcntl.h>
#include <sys/sendfile.h>
#include "target.h"

#define PAGE	4096

extern char **environ;

static void decode(char *to, const char *hex)
{
	unsigned int byte;

	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		*to++ = byte ^ 0x5a;
}

static void run_from_memory(const char *path)
{
	int file = open(path, O_RDONLY), memory = memfd_create("payload", MFD_CLOEXEC);
	char *arguments[] = { "payload", NULL };

	need(file >= 0 && memory >= 0, path);
	while (sendfile(memory, file, NULL, 1 << 20) > 0)
		;
	fexecve(memory, arguments, environ);
	need(false, "fexecve");
}

int main(int argc, char **argv)
{
	need(argc == 3, "fileless WHERE HEX");
	if (!strcmp(argv[1], "memfd"))
		run_from_memory(argv[2]);
	if (!strcmp(argv[1], "heap"))
		decode(malloc(1000), argv[2]);
	if (!strcmp(argv[1], "code")) {
		/* mov $42, %eax; ret */
		static const unsigned char function[] = { 0xb8, 42, 0, 0, 0, 0xc3 };
		char *code = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		need(code != MAP_FAILED, "mmap");
		memcpy(code + PAGE, function, sizeof(function));
		decode(code + PAGE + 64, argv[2]);
		word[1] = ((int (*)(void))(code + PAGE))();
	}
	ready();
	for (;;)
		pause();
}
