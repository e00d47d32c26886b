/* SPDX-License-Identifier: MIT */
/* The copy while it comes to be: pages in a file, at the place of their chunk, and what is known of each page. */
#ifndef PROCSNAP_IMAGE_H
#define PROCSNAP_IMAGE_H
#include "scan.h"

#define CHUNK_PAGES	(CHUNK / PAGE)
#define WORDS		(CHUNK_PAGES / 64)

typedef uint64_t page_set[WORDS];	/* a bit for each page of a chunk */

struct chunk {
	uint64_t address;
	int32_t	place;		/* in the file, by number, in the order in which chunks were first kept; -1: not yet */
	bool	corrected;	/* kept after it was told to be whole (ps_precopy.whole_bytes), or after the first pass */
	page_set have;		/* it is in the file */
	page_set known;		/* looked at in the last stop: it is in the file if the target had it then */
	page_set faulted;	/* since it was read: another may be there now, which looks protected */
	page_set seen, clean;	/* by the check: the target has it; and it is still protected */
	bool	 listed;	/* in precopy.touched */
	bool	 doubtful;	/* a check could not tell when some page of it had changed */
};

struct image {
	int	file;			/* place @i is at (i + 1) * CHUNK: before them is room for the head of a core */
	int32_t	places;
	bool	corrects;		/* the first pass is over: what is kept now was there before, or is new */
	int64_t	most_bytes;		/* that the file may take; 0: as many as there is room for */
	int	chunks, room;
	struct chunk *chunk;
	int32_t	*slot;			/* hash table: number of the chunk, or -1 */
	uint32_t slots;			/* a power of two */
};

/* @folder: where the file is to be, which has no name; "": in memory. A negative errno. */
int ps_image_open(struct image *image, const char *folder, int64_t most_bytes);
/* -E2BIG: it takes more than @most_bytes, since @target has grown; -errno. To be asked often. */
int ps_image_check(const struct image *image, pid_t target);
void ps_image_close(struct image *image);
/* The chunk of @address; where @make is set, it is made. NULL: there is none, or no memory for it. */
struct chunk *ps_chunk_at(struct image *image, uint64_t address, bool make);
/* @bytes at @address, whole pages of one chunk: they are in the file then. A negative errno. */
int ps_image_keep(struct image *image, uint64_t address, const void *bytes, size_t length);

static inline bool has_page(const page_set set, unsigned int page)
{
	return set[page / 64] >> page % 64 & 1;
}

static inline void add_page(page_set set, unsigned int page)
{
	set[page / 64] |= 1ULL << page % 64;
}

static inline void remove_page(page_set set, unsigned int page)
{
	set[page / 64] &= ~(1ULL << page % 64);
}

static inline unsigned int page_of(uint64_t address)
{
	return address % CHUNK / PAGE;
}

#endif
