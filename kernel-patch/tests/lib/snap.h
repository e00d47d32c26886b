/* SPDX-License-Identifier: GPL-2.0 */
/* What all tests of create_proc_snap() share, file by file. */
#ifndef SNAP_H
#define SNAP_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include "../../proc_snap.h"

#define NR_CREATE_PROC_SNAP	600
#define NR_CREATE_PROC_SNAP2	601

#define PAGE		4096UL
#define HUGE_PAGE	(2UL << 20)

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof(*(array)))

/* --- snap.c; the calls return the duplicate's pid or -errno --- */

pid_t snap(pid_t pid);
pid_t snap2(struct proc_snap_args *args, size_t size);
/* The second with its figures and, if @threads, room for @nr of them. */
pid_t snap_figures(pid_t pid, struct proc_snap_args *args,
		   struct proc_snap_thread *threads, unsigned int nr);
/* It is there and asleep. */
bool parked(pid_t dup);
/* SIGKILL and reap; 0 if it ended as it must: by that signal. */
int snap_end(pid_t dup);

/* --- tap.c; figures go out as notes --- */

void tap_begin(int argc, char **argv);
bool ok(bool holds, const char *name, ...) __attribute__((format(printf, 2, 3)));
bool is(long found, long expected, const char *name, ...) __attribute__((format(printf, 3, 4)));
void skip(const char *name, const char *reason, ...) __attribute__((format(printf, 2, 3)));
void note(const char *text, ...) __attribute__((format(printf, 1, 2)));
int tap_end(void);
/* What is no test's finding but its own failure. */
void die(const char *text, ...) __attribute__((format(printf, 1, 2), noreturn));
/* "--NAME=NUMBER" among the arguments. */
long option(const char *name, long otherwise);

/* --- target.c --- */

/* Words that all processes of a test share; tap_begin() makes them. */
extern volatile long *word;
#define WORDS	4096	/* 8 pages; the first has the words that have names */
void share_words(void);
void wait_word(int index, long at_least);

/* A child that runs @run(@argument) and dies with this process. */
pid_t spawn(void (*run)(void *), void *argument);
/* A child that executes a program of the build folder. */
pid_t spawn_program(const char *name, char *const *environment);
void end_target(pid_t pid);
/* What a target does when there is no more to do. */
void sleep_for_ever(void) __attribute__((noreturn));
/* A target that does nothing else. */
void sleeper(void *unused) __attribute__((noreturn));
/* So many more threads of this process, which sleep. */
void add_threads(int count);
/* For execve(): this program once more, from any of its threads. */
#define OWN_PROGRAM	"/proc/thread-self/exe"

/* The value of @run(@argument) in a child; -ENOTRECOVERABLE if a signal ended it. */
long in_child(long (*run)(void *), void *argument);
/* In a child: become an ordinary user, whose memory may be read by such. */
void become(uid_t uid);
/* As become(), but keep one capability. */
void become_capable(uid_t uid, int capability);
/* Give up every capability and keep the uid. */
void drop_capabilities(void);
/* Run before targets that never sleep, and so the duplicates; not what spawn() makes. */
void hurry(void);
/* This thread stays on the CPU of this index, taken round; -1: the last. */
void on_cpu(long index);

/* --- proc.c --- */

ssize_t slurp(const char *path, char *buffer, size_t room);
ssize_t slurp_of(pid_t pid, const char *file, char *buffer, size_t room);
/* Bytes of a file that is read by position, such as mem; or -errno. */
long read_of(pid_t pid, const char *file, off_t from, void *into, size_t bytes);
bool write_text(const char *path, const char *text, ...) __attribute__((format(printf, 2, 3)));
/* The text after "Key:" in /proc/PID/status; "" if there is none. */
const char *status_of(pid_t pid, const char *key);
long status_number(pid_t pid, const char *key);
char state_of(pid_t pid);
bool await_state(pid_t pid, const char *states);
/* How often a thread has given up its CPU or lost it. */
long switches(pid_t tid);
/*
 * Asleep, and stays so: it is not scheduled at all. (Time in user mode would not
 * do: the kernel guesses how a short time is divided.)
 */
bool at_rest(pid_t pid);
int threads_of(pid_t pid);
/* Children of this process, of all its threads, zombies too. */
int children(pid_t pid);
/* Processes and threads that are no kernel's. */
int user_tasks(void);
long meminfo(const char *key);
/* Sum of "Key: n kB" over all regions in smaps, or of that holding @address. */
long smaps_kib(pid_t pid, const char *key, const void *address);
/* "VmFlags" of the region holding @address has @flag ("dc"). */
int smaps_flag(pid_t pid, const void *address, const char *flag);

/* --- memory.c --- */

void *map_private(size_t bytes);
void *map_aligned_huge(size_t bytes);
/*
 * How many pages may be copied though nobody holds them: those that lie in the
 * other CPUs' batches for the LRU lists, which have a reference.
 */
long in_batches(void);
/* A page in each of so many 2 MiB, and so as many page tables. */
char *map_sparse(long tables);
/* By a ring of io_uring, which has no other use: its descriptor or -errno. */
int pin(void *at, size_t bytes);
/* Memory of another process; bytes or -errno. */
long read_memory(pid_t pid, const void *address, void *into, size_t bytes);
/* The long at @address, or a death: of a process that must be readable. */
long peek(pid_t pid, const void *address);

/* --- trace.c; a duplicate's task: seized and stopped, or -errno --- */

int trace_stop(pid_t tid);
int trace_again(pid_t tid);
void trace_detach(pid_t tid);
long get_regs(pid_t tid, struct user_regs_struct *regs);
long get_regset(pid_t tid, int type, void *into, size_t room);

/* --- cgroup.c --- */

/* False if there is no version 2. */
bool cgroup_make(const char *name);
bool cgroup_write(const char *name, const char *file, const char *text);
long cgroup_read(const char *name, const char *file);
/* A "key n" line of a file such as memory.stat. */
long cgroup_stat(const char *name, const char *file, const char *key);
bool cgroup_enter(const char *name, pid_t pid);
void cgroup_remove(const char *name);

/* --- fuse.c; one file, which a thread of this process serves --- */

/* What its bytes are. */
#define FUSE_BYTE	0x5a
bool fuse_begin(const char *path);
/* A read of it is under way; it ends when it is answered. */
bool fuse_await_read(void);
void fuse_answer(void);
void fuse_end(const char *path);

/* --- time.c --- */

uint64_t now_ns(void);
double now(void);
/* What is not there after so long will not come: 60, or $PATIENCE where all is slow. */
double patience_s(void);
void pause_ms(long ms);

/* Repeats a condition until it holds or patience ends. */
#define UNTIL(condition) ({						\
	double until_end = now() + patience_s();			\
	bool until_holds;						\
	while (!(until_holds = (condition)) && now() < until_end)	\
		pause_ms(1);						\
	until_holds;							\
})

#endif
