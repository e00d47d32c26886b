/* SPDX-License-Identifier: MIT */
/* Small files of /proc and of cgroupfs, as text and as numbers. */
#ifndef PROCSNAP_SMALL_FILE_H
#define PROCSNAP_SMALL_FILE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PS_PATH		288
#define PS_UNLIMITED	INT64_MAX

/* What is put before every path: tests have a folder with files of their own. */
extern const char *ps_files_root;

/* A descriptor that can be read again and again, or -errno. */
int ps_small_open(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* From the file's start; its length, or -errno. Longer files are cut off. */
ssize_t ps_small_reread(int fd, char *text, size_t size);
ssize_t ps_small_read(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A file that is one number; "max" is PS_UNLIMITED. -1: there is none. */
int64_t ps_number_of(int fd);
/* The number in the line "Key value" or "Key:\tvalue" of @text; -1: there is no such line. */
int64_t ps_line_number(const char *text, const char *key);
/* The words after it, without blanks at both ends; false: there is no such line. */
bool ps_line_words(const char *text, const char *key, char *words, size_t size);

#endif
