// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>
#include "precopy.h"

struct entry { uint64_t address; int32_t place; uint32_t corrected; page_set have; };

int64_t ps_image_pages(const struct image *image)
{
	int64_t pages = 0;

	for (int i = 0; i < image->chunks; i++)
		for (unsigned int word = 0; word < WORDS; word++)
			pages += __builtin_popcountll(image->chunk[i].have[word]);
	return pages;
}

int ps_write_index(const struct image *image, const char *maps, size_t maps_bytes)
{
	const uint64_t head[2] = { image->chunks, maps_bytes };
	size_t padding = -maps_bytes % sizeof(uint64_t), entries = image->chunks * sizeof(struct entry);
	struct entry *entry = malloc(entries + 1);
	struct iovec parts[] = {
		{ (void *)head, sizeof(head) }, { (void *)maps, maps_bytes }, { (void *)head, padding }, { entry, entries },
	};
	int fd = memfd_create("procsnap-index", MFD_CLOEXEC);
	bool whole;

	for (int i = 0; entry && i < image->chunks; i++) {
		entry[i].address = image->chunk[i].address;
		entry[i].place = image->chunk[i].place;
		entry[i].corrected = image->chunk[i].corrected;
		memcpy(entry[i].have, image->chunk[i].have, sizeof(page_set));
	}
	/* In memory, so that it is written at once, or there is not enough. */
	whole = entry && fd >= 0 && writev(fd, parts, 4) == (ssize_t)(sizeof(head) + maps_bytes + padding + entries);
	free(entry);
	if (whole)
		return fd;
	if (fd >= 0)
		close(fd);
	return ps_fail(-ENOMEM, "there is no memory to note which pages the copy has");
}
