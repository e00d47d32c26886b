/* SPDX-License-Identifier: GPL-2.0 */
/* Targets that count their turns, and what a sound duplicate of one is. */
#ifndef SOUND_H
#define SOUND_H

#include "lib/snap.h"

/* Words; a test's own begin at FREE. */
enum { READY = 1, TURNS, STOP, FREE };

/* A target, or what one comes to that has made itself what is tested: ready, and counting. */
void turning(void *unused) __attribute__((noreturn));
/* It still does. */
bool turns(void);
/* Runs @run until it is ready. */
pid_t begin(void (*run)(void *));
/* A sound duplicate of @pid with @threads tasks. */
pid_t sound(pid_t pid, unsigned int threads, const char *what);
void sound_and_ended(pid_t pid, unsigned int threads, const char *what);

#endif
