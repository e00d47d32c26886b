// SPDX-License-Identifier: MIT
/*
 * target KIND PAGE [ARGUMENT]: a process that knows when it is harmed.
 * target exit CODE, target slow-exit CODE: what kinds execute.
 */
#include "kinds.h"

static const struct kind *const all[] = {
	register_kinds, timeout_kinds, stream_kinds, signal_kinds, process_kinds,
	lock_kinds, memory_kinds, thread_kinds, confined_kinds, real_kinds,
};

static void open_page(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	page_path = path;
	page = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || page == MAP_FAILED) {
		perror(path);
		_exit(2);
	}
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "exit"))
		return atoi(argv[2]);
	if (argc > 2 && !strcmp(argv[1], "slow-exit")) {
		nap_ms(20);
		return atoi(argv[2]);
	}
	if (argc < 3)
		return 2;
	open_page(argv[2]);
	born();
	for (unsigned int i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (const struct kind *kind = all[i]; kind->name; kind++)
			if (!strcmp(kind->name, argv[1])) {
				kind->run(argc > 3 ? argv[3] : "");
				return 0;
			}
	fprintf(stderr, "target: there is no kind %s\n", argv[1]);
	return 2;
}
