// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "image.h"

static int unnamed_file(const char *folder)
{
	char path[4096];
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
		return fd;
	/* A file system that has no files without a name. */
	if (snprintf(path, sizeof(path), "%s/procsnap-XXXXXX", folder) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

int ps_image_open(struct image *image, const char *folder, int64_t most_bytes)
{
	*image = (struct image){ .slots = 1024, .most_bytes = most_bytes };
	image->file = *folder ? unnamed_file(folder) : memfd_create("procsnap", MFD_CLOEXEC);
	if (image->file < 0)
		return ps_fail(-errno, "a file for the copy cannot be made %s%s: %s", *folder ? "in " : "in memory", folder,
			       strerror(errno));
	image->slot = malloc(image->slots * sizeof(*image->slot));
	if (!image->slot) {
		ps_image_close(image);
		return -ENOMEM;
	}
	memset(image->slot, 0xff, image->slots * sizeof(*image->slot));
	return 0;
}

int ps_image_check(const struct image *image, pid_t target)
{
	struct stat file;

	if (!image->most_bytes)
		return 0;
	if (fstat(image->file, &file))
		return ps_fail(-errno, "the file of the copy cannot be looked at: %s", strerror(errno));
	if (file.st_blocks * 512LL <= image->most_bytes)
		return 0;
	return ps_fail(-E2BIG, "process %d has grown: its copy takes more than the %lld MiB of memory that it may", target,
		       (long long)image->most_bytes >> 20);
}

void ps_image_close(struct image *image)
{
	if (image->file >= 0)
		close(image->file);
	free(image->chunk);
	free(image->slot);
	*image = (struct image){ .file = -1 };
}

static uint32_t place_of(const struct image *image, uint64_t address)
{
	return (uint32_t)((address / CHUNK * 0x9e3779b97f4a7c15ULL) >> 32) & (image->slots - 1);
}

static void enter(struct image *image, int number)
{
	uint32_t at = place_of(image, image->chunk[number].address);

	while (image->slot[at] >= 0)
		at = (at + 1) & (image->slots - 1);
	image->slot[at] = number;
}

/* The table is never more than half full. */
static bool make_room(struct image *image)
{
	uint32_t slots = image->slots;
	struct chunk *chunks;
	int32_t *table;
	int room;

	if (image->chunks == image->room) {
		room = image->room ? 2 * image->room : 256;
		chunks = realloc(image->chunk, room * sizeof(*chunks));
		if (!chunks)
			return false;
		image->chunk = chunks;
		image->room = room;
	}
	if (2 * (uint32_t)(image->chunks + 1) <= slots)
		return true;
	table = malloc(2 * slots * sizeof(*table));
	if (!table)
		return false;
	free(image->slot);
	image->slot = table;
	image->slots = 2 * slots;
	memset(table, 0xff, image->slots * sizeof(*table));
	for (int i = 0; i < image->chunks; i++)
		enter(image, i);
	return true;
}

struct chunk *ps_chunk_at(struct image *image, uint64_t address, bool make)
{
	uint64_t wanted = address - address % CHUNK;

	for (uint32_t at = place_of(image, wanted); image->slot[at] >= 0; at = (at + 1) & (image->slots - 1))
		if (image->chunk[image->slot[at]].address == wanted)
			return &image->chunk[image->slot[at]];
	if (!make || !make_room(image))
		return NULL;
	image->chunk[image->chunks] = (struct chunk){ .address = wanted, .place = -1 };
	enter(image, image->chunks);
	return &image->chunk[image->chunks++];
}

int ps_image_keep(struct image *image, uint64_t address, const void *bytes, size_t length)
{
	struct chunk *chunk = ps_chunk_at(image, address, true);
	ssize_t got;
	off_t at;

	if (!chunk)
		return ps_fail(-ENOMEM, "there is no memory to note which pages the copy has");
	if (chunk->place < 0)
		chunk->place = image->places++;
	/* What is before the last place is told to be whole. */
	chunk->corrected |= image->corrects || chunk->place < image->places - 1;
	at = (off_t)(chunk->place + 1) * CHUNK + address % CHUNK;
	for (size_t done = 0; done < length; done += got) {
		got = pwrite(image->file, (const char *)bytes + done, length - done, at + done);
		if (got <= 0)
			return ps_fail(got ? -errno : -ENOSPC,
				"the copy cannot be kept: %s; make room, or name another folder (--out, --spool)",
				strerror(got ? errno : ENOSPC));
	}
	for (uint64_t page = address; page < address + length; page += PAGE) {
		add_page(chunk->have, page_of(page));
		remove_page(chunk->faulted, page_of(page));
	}
	return 0;
}
