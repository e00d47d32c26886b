// SPDX-License-Identifier: MIT
#include <stdarg.h>
#include "page.h"

struct page *page;
const char *page_path;
pid_t self;
static uint32_t random_state = 1;

int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SECOND_NS + now.tv_nsec;
}

void nap_ms(int ms)
{
	struct timespec time = { ms / 1000, ms % 1000 * MS_NS };

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &time, &time) == EINTR)
		;
}

void seed(uint32_t by)
{
	random_state = by * 2654435761u + 1;
}

uint32_t draw(uint32_t below)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % below;
}

/* Handlers and threads call this, and whoever is in it may be held: slots are taken by compare-and-swap. */
void harm(const char *format, ...)
{
	char text[sizeof(page->harm[0].text)] = { 0 };
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	__atomic_add_fetch(&page->harms, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < HARMS; i++) {
		struct harm *slot = &page->harm[i];
		uint64_t none = 0;

		if (__atomic_load_n(&slot->count, __ATOMIC_ACQUIRE) && !strcmp(slot->text, text)) {
			__atomic_add_fetch(&slot->count, 1, __ATOMIC_RELAXED);
			return;
		}
		if (__atomic_compare_exchange_n(&slot->count, &none, 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
			memcpy(slot->text, text, sizeof(text));
			return;
		}
	}
}

uint64_t excuse(void)
{
	return __atomic_load_n(&page->excuse, __ATOMIC_SEQ_CST);
}

bool excused(uint64_t before)
{
	if (!(before & 1) && excuse() == before)
		return false;
	__atomic_add_fetch(&page->excused, 1, __ATOMIC_RELAXED);
	return true;
}

uint64_t rival(void)
{
	return __atomic_load_n(&page->rival, __ATOMIC_SEQ_CST);
}

void lost(uint64_t rival_before, const char *text)
{
	if (!(rival_before & 1) && rival() == rival_before)
		harm("%s", text);
	else
		__atomic_add_fetch(&page->lost, 1, __ATOMIC_RELAXED);
}

void check_time(const char *call, int64_t began_ns, int64_t asked_ns, uint64_t before)
{
	int64_t took_ns = now_ns() - began_ns;

	/* The kernel rounds up, never down; a millisecond for clocks that are adjusted. */
	if (took_ns < asked_ns - MS_NS)
		HARM_UNLESS_EXCUSED(before, "%s returned early", call);
	if (took_ns > asked_ns + LATE_NS)
		HARM_UNLESS_EXCUSED(before, "%s returned more than 10 s late", call);
}

void turn(void)
{
	if (getpid() != self) {
		harm("code of the target ran in another process");
		_exit(99);
	}
	__atomic_add_fetch(&page->turns, 1, __ATOMIC_RELAXED);
	if (__atomic_load_n(&page->leave, __ATOMIC_RELAXED))
		_exit(0);
}

void ready(void)
{
	if (!page->pid)
		page->pid = self;
	__atomic_store_n(&page->ready, 1, __ATOMIC_RELEASE);
}

void unable(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(page->unable, sizeof(page->unable), format, arguments);
	va_end(arguments);
	_exit(3);
}

void need(bool ok, const char *what)
{
	if (!ok)
		unable("%s: %s", what, strerror(errno));
}

void born(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	self = getpid();
	seed(self);
}
