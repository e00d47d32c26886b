// SPDX-License-Identifier: MIT
/*
 * blocked KIND [MS]: makes one blocking call. A helper process ends it when a
 * byte comes on standard input. Prints "RESULT EXPECTED NANOSECONDS".
 * SIGUSR1 has a handler without SA_RESTART, SIGUSR2 is ignored.
 */
#include "blocked.h"

int pair[2];
char folder[] = "/tmp/procsnap-blocked-XXXXXX";
volatile uint32_t *shared_word;
static pid_t target;

void make_pipe(void)
{
	need(!pipe(pair), "pipe");
}

void write_byte(void)
{
	need(write(pair[1], "x", 1) == 1, "write");
}

void signal_target(void)
{
	kill(target, SIGUSR1);
}

struct timespec *span(int ms)
{
	static struct timespec time;

	time = (struct timespec){ ms / 1000, ms % 1000 * 1000000L };
	return ms < 0 ? NULL : &time;
}

static void count(int sig)
{
	(void)sig;
	add(1, 1);
}

static const struct kind *find(const char *name)
{
	static const struct kind *const tables[] = { poll_kinds, socket_kinds, ipc_kinds, file_kinds };

	for (size_t t = 0; t < sizeof(tables) / sizeof(*tables); t++)
		for (const struct kind *kind = tables[t]; kind->name; kind++)
			if (!name)
				puts(kind->name);
			else if (!strcmp(kind->name, name))
				return kind;
	return NULL;
}

static void help(const struct kind *kind, int ready_fd)
{
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (kind->occupy)
		kind->occupy();
	write(ready_fd, "r", 1);
	if (read(0, &byte, 1) == 1 && kind->wake)
		kind->wake();
	_exit(0);
}

int main(int argc, char **argv)
{
	const struct kind *kind = argc > 1 ? find(argv[1]) : NULL;
	int ms = argc > 2 ? atoi(argv[2]) : -1, helper_ready[2];
	struct sigaction action = { .sa_handler = count };
	int64_t start, took;
	char byte, remove[64];
	long result;
	pid_t helper;

	if (!kind) {
		find(NULL);
		return 0;
	}
	sigaction(SIGUSR1, &action, NULL);
	signal(SIGUSR2, SIG_IGN);
	target = getpid();
	shared_word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(mkdtemp(folder), folder);
	if (kind->prepare)
		kind->prepare();
	need(!pipe(helper_ready), "pipe");
	helper = fork();
	if (!helper)
		help(kind, helper_ready[1]);
	need(read(helper_ready[0], &byte, 1) == 1, "helper");
	ready();
	start = now_ns();
	result = kind->block(ms);
	took = now_ns() - start;
	kill(helper, SIGKILL);
	/* First: who reads the line may kill this process at once. */
	snprintf(remove, sizeof(remove), "rm -rf %s", folder);
	need(!system(remove), remove);
	printf("%ld %ld %lld\n", result, ms < 0 ? kind->right : kind->expired, (long long)took);
	return 0;
}
