// SPDX-License-Identifier: MIT
/*
 * death busy|asleep [MIB]: makes turns (turns.h) and asks in each for its pid,
 * anew: where code of it runs in another process, the other pid appears.
 * Words: 1 turns, 2 those that found a register changed, 3 SIGUSR1, 4 its pid,
 * 5 another pid, 6 sleeps that failed, 7 turns, 8 sleeps cut off by a handler.
 */
#include "turns.h"

static struct turns self;
static const struct timespec nap = { .tv_nsec = 300000 };

static void on_signal(int sig)
{
	(void)sig;
	add(3, 1);
}

static void ask(void)
{
	self.call = SYS_getpid;
	turns(&self, 20);
	if (self.result != word[4])
		word[5] = self.result;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	size_t size = argc > 2 ? strtoul(argv[2], NULL, 10) << 20 : 0;
	bool sleeps = argc > 1 && !strcmp(argv[1], "asleep");

	need(
		!size || memset(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1, size), "mmap");
	need(!sigaction(SIGUSR1, &action, NULL), "sigaction");
	word[4] = getpid();
	set_turns(&self, 1);
	self.own = (void *)&word[1];
	self.total = (void *)&word[7];
	ready();
	for (;;) {
		ask();
		if (sleeps) {
			self.call = SYS_nanosleep;
			self.argument[0] = (long)&nap;
			turns(&self, 1);
			if (self.result)
				add(self.result == -EINTR ? 8 : 6, 1);
		}
		word[2] = self.bad;
	}
}
