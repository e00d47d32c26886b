/* SPDX-License-Identifier: MIT */
/* One copy by precopy while it is made: what its parts (one file each) share. procsnap.h has the interface. */
#ifndef PROCSNAP_PRECOPY_H
#define PROCSNAP_PRECOPY_H
#include "faults.h"
#include "image.h"
#include "pace.h"

/* A region of the target that is copied: private memory of its own. */
struct span {
	uint64_t start, end;
	bool	 joined;		/* between it and the one before lies no region that is not copied */
	bool	 of_file;		/* a private mapping of one */
};

struct spans { int count, room; struct span *span; };

#define MOST_TOUCHED	1024		/* a look at one takes 1 to 2 us */

struct precopy {
	pid_t	 target;
	int	 pidfd;			/* of the target: a later process with its pid is let be */
	int	 uffd;			/* its userfaultfd(2), which only we have */
	/* Opened before the copy begins, and so of the memory that the target has now, not of a program executed later. */
	int	 mem, pagemap, maps;
	int	 index;			/* the file that tells what the image has; -1: not yet */
	struct spans spans;		/* as of the pass under way, or of the moment */
	struct image image;
	struct pace pace;
	/* Numbers of the chunks that the next stop looks at: with a fault since the last pass began, or doubtful. */
	int	 touched_count;
	int32_t	 touched[MOST_TOUCHED];
	bool	 too_many;		/* there were more */
	int	 at_span;		/* where the pass, check or clean-up under way is */
	uint64_t at;
	int64_t	 found;			/* pages that this pass has found written to */
	int64_t	 found_before;		/* and the one before it */
	char	*maps_text;		/* as of the moment */
	size_t	 maps_bytes, maps_room;
	struct ps_precopy *told;
};

extern struct precopy precopy;

/* spans.c: what is to be copied, from /proc/PID/maps as it is now, which is left in precopy.maps_text. */
int ps_read_spans(void);
/*
 * Ask for protection of one region; none of its pages is protected, or in the image, then. -EBUSY: it is registered
 * with another userfaultfd(2), the target's own or another procsnap's. Other errors are none: it is read in the stop.
 */
int ps_register_span(const struct span *span);
/* The end of a step from @at. A huge page is one, at the price of one page: in parts it would have to be split. */
uint64_t ps_part_end(uint64_t at, uint64_t end);
/* The number of the first one that ends behind @address, which has it or lies behind it; as many as there are: none. */
int ps_first_span_behind(uint64_t address);
/* Where the pass, check or clean-up under way is: precopy.at_span, precopy.at. */
void ps_begin_at_first_span(void);
void ps_next_span(void);
/* @end, or that of the last span: beyond the end of the address space the kernel refuses a look (EFAULT). */
uint64_t ps_end_of_look(uint64_t end);
/* What ps_scan() has failed with, as an error for the user. */
int ps_scan_failed(int err);
/* Pages [start, end), which are registered. A negative errno. */
int ps_unprotect(uint64_t start, uint64_t end);

/*
 * spells.c: a part begins, and the one under way ends. If there are too many, the last one is all that follows. The
 * longest step of the pace is that of the part.
 */
void ps_begin_part(enum ps_precopy_part part, int64_t at_ns);
void ps_end_part(int64_t at_ns);
enum ps_precopy_part ps_part_under_way(void);

/* setup.c: the first stop. A negative errno; -EIO: the target may have a descriptor left. */
int ps_set_up(int64_t timeout_ns, int64_t limit_ns);

/* passes.c: some of a pass; 1 when it is over. */
int ps_begin_pass(void);
int ps_go_on_with_pass(void);
/* Pages [start, end) of the target, into the image. */
int ps_keep_pages(uint64_t start, uint64_t end);
/* All of @length bytes, also of what the target itself may not read (PROT_NONE); -EIO. */
int ps_read_pages(uint64_t start, void *room, size_t length);
/* Chunks with faults since the last time are listed. */
void ps_note_faults(void);
void ps_list_chunk(struct chunk *chunk);

/* moment.c: stop, note registers and layout, read what has changed since, go on. */
int ps_prepare_moment(void);
int ps_take_moment(int64_t timeout_ns, int64_t limit_ns, struct ps_registers *registers, int max_registers);
void ps_forget_moment(void);

/* check.c: is the image whole? Some of the check; 1 when it is over, and told->ambiguous_pages is known. */
int ps_begin_check(void);
int ps_go_on_with_check(void);

/*
 * index.c: a file in memory for who reads the image: two numbers of 64 bits, how
 * many chunks there are and how long the text is that follows, /proc/PID/maps as
 * of the moment; after it, from the next multiple of eight bytes on, for each chunk
 * its address, its place and whether it was corrected (32 bits each), and 512 bits,
 * one for each page that the image has. Place @i is at (i + 1) * CHUNK of the
 * image's file. The file, or a negative errno.
 */
int ps_write_index(const struct image *image, const char *maps, size_t maps_bytes);
int64_t ps_image_pages(const struct image *image);

/* cleanup.c: nothing stays protected or registered. Some of it; 1 when it is done. */
int ps_begin_cleanup(void);
int ps_go_on_with_cleanup(void);
/* It is at its second half: nothing is protected any more. */
bool ps_is_unregistering(void);

#endif
