/* SPDX-License-Identifier: MIT */
/*
 * When the threads of a process wake and go to sleep, and which of them do so in
 * a rhythm (rhythm.h): perf_event_open(2) logs when each gets a CPU and loses it.
 * Nothing relies upon it. Where it cannot be had, no rhythm is known: threads
 * that start later are not watched, nor a process of too many.
 */
#ifndef PROCSNAP_SWITCHES_H
#define PROCSNAP_SWITCHES_H
#include "rhythm.h"
#include "procsnap.h"

/* Needs less than the log of page faults does, and one descriptor for each thread. */
void ps_open_switches(pid_t pid);
void ps_close_switches(void);
/* Note what has been logged by now. */
void ps_note_switches(void);
/* As ps_rhythm_wait_ns(): the longest that a thread asks for. */
int64_t ps_switches_wait_ns(int64_t now_ns, int64_t length_ns);
/* Of the threads that have a rhythm now the longest period; 0: there is none. */
int64_t ps_longest_period_ns(int64_t now_ns);
/* A thread with a rhythm is awake, or was at @since_ns. */
bool ps_any_was_awake(int64_t since_ns, int64_t now_ns);

#endif
