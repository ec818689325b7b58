/* SPDX-License-Identifier: MIT */
/* What the files of this folder share; nobody else includes it. */
#ifndef HD_JOURNAL_INTERNAL_H
#define HD_JOURNAL_INTERNAL_H

#include "base/queue.h"
#include "base/thread.h"
#include "journal/io.h"
#include "journal/journal.h"
#include "journal/record.h"

#include <stdatomic.h>

#define JOURNAL_VERSION 1u
#define SEGMENT_HEADER_BYTES 4096u
#define PAGE_BYTES 4096u
#define BATCH_HEADER_BYTES 64u
#define BATCH_ALIGN 8u
#define QUEUE_BATCHES_MAX 1000u /* one pwritev takes a whole queue */
#define SPARES 4u
#define SPARES_MAX 256u

/* ---- format.c: bytes on disk ------------------------------------------------------------------------------------ */

struct segment_header {
	uint64_t id, epoch, first_lsn;
	uint32_t key_id; /* 0 = not sealed */
};

struct batch_header {
	uint64_t epoch;      /* of the segment */
	uint64_t seal_epoch; /* of the open that encoded it; nonce = seal_epoch, number */
	uint64_t number;
	uint64_t first_lsn, synced_lsn;
	uint32_t count, body_bytes, key_id, body_crc;
};

static inline uint64_t batch_bytes(uint32_t body_bytes)
{
	return (BATCH_HEADER_BYTES + (uint64_t)body_bytes + BATCH_ALIGN - 1) & ~(uint64_t)(BATCH_ALIGN - 1);
}

/* ret: SEGMENT_HEADER_BYTES, all of it. */
void format_segment_put(const struct segment_header *header, const struct hd_key *key, uint8_t *ret);
/* HYDRO_E_CORRUPT, HYDRO_E_UNSUPPORTED (newer), HYDRO_E_KEY (none, or not the one). */
int format_segment_get(const uint8_t *bytes, size_t len, const struct hd_key *key, const char *path, struct segment_header *ret,
		       struct hydro_error *err);
void format_batch_put(const struct batch_header *header, uint8_t *ret);
bool format_batch_get(const uint8_t *bytes, struct batch_header *ret);
/* Encodes the samples as header (segment epoch and LSNs still 0), body, padding. HYDRO_E_INVALID, _LIMIT, _NOMEM. */
int format_batch_encode(struct hd_record_writer *writer, const struct hd_batch *batch, const struct hd_key *key, uint64_t seal_epoch,
			uint64_t number, struct hd_buf *out, struct hydro_error *err);
/* Checks the body's CRC and opens its seal in place; *ret_len without the tag. HYDRO_E_CORRUPT, HYDRO_E_KEY. */
int format_body_open(const struct batch_header *header, const struct hd_key *key, uint8_t *body, size_t *ret_len);

/* ---- live.c: index of a segment that has no index file yet; guarded by journal.lock until the segment is closed ---- */

struct batch_entry {
	uint32_t offset; /* in the file */
	uint32_t ordinal; /* of its first record: lsn - first_lsn of the segment */
};

struct live_index {
	struct batch_entry *batches;
	uint32_t batch_count, batch_capacity;
	bool sparse;
	uint32_t *previous; /* by record number in order of arrival: the point's record before it + 1 */
	uint32_t *ordinals; /* by record number; only if sparse, else both are the same */
	uint32_t record_count, record_capacity, ordinal_capacity;
	struct live_slot *slots;
	uint32_t point_count, slot_mask;
	int64_t min_ts, max_ts;
};

struct live_slot {
	uint32_t last; /* record number + 1; 0 = free */
	uint32_t point;
};

/* sparse: ordinals are not the record numbers, for there are gaps. HYDRO_E_NOMEM. */
int live_new(uint32_t points_hint, bool sparse, struct live_index **ret);
void live_free(struct live_index **live);
/* Room for what live_add_batch and live_add are going to add, which then cannot fail. HYDRO_E_NOMEM. */
int live_reserve(struct live_index *live, uint32_t batches, uint32_t records);
/* Brings a point's slot near; so many records before it is added. */
#define LIVE_AHEAD 12u
void live_prefetch(const struct live_index *live, uint32_t point);
void live_add_batch(struct live_index *live, uint64_t offset, uint64_t ordinal);
void live_add(struct live_index *live, uint32_t point, uint32_t ordinal, int64_t ts_ms);
/* Ordinals of the point, ascending, into a malloc'ed array. HYDRO_E_NOMEM. */
int live_find(const struct live_index *live, uint32_t point, uint32_t **ret, uint32_t *ret_count);

/* ---- index.c: the index file of a closed segment --------------------------------------------------------------- */

#define INDEX_GOOD 1u
#define INDEX_BAD 2u

struct index_file {
	const uint8_t *map;
	size_t map_bytes;
	uint64_t end; /* of the batches in the segment's file */
	uint32_t record_count, point_count, batch_count;
	uint32_t span; /* last LSN - first LSN + 1 */
	int64_t min_ts, max_ts;
	const struct batch_entry *batches;
	const uint32_t *points;  /* (point, first entry) pairs, and one more with the end */
	const uint32_t *ordinals;
	_Atomic uint32_t checked; /* 0 = not yet, else INDEX_* */
};

struct segment;
int index_write(struct hd_journal *journal, const struct segment *segment, uint64_t *ret_bytes, struct hydro_error *err);
/* HYDRO_E_NOTFOUND, HYDRO_E_CORRUPT: to be made again from the segment. */
int index_open(const char *path, const struct segment_header *header, struct index_file *ret, struct hydro_error *err);
void index_close(struct index_file *index);
/* The whole file's checksum, at the first use. */
bool index_check(struct index_file *index);
/* Its pages leave this process's memory; they are read again when needed. */
void index_forget(const struct index_file *index);
/* The first entry of the points >= point. */
uint32_t index_from(const struct index_file *index, uint32_t point);
/* Entries [*ret, *ret + count) of `ordinals`. */
uint32_t index_find(const struct index_file *index, uint32_t point, const uint32_t **ret);

/* ---- segments ------------------------------------------------------------------------------------------------------ */

#define SEGMENT_ACTIVE 1u /* the journal thread appends to it */
#define SEGMENT_CLOSED 2u /* complete; the keeper is to write its index */
#define SEGMENT_SEALED 3u

struct segment {
	struct segment_header header;
	uint64_t file_bytes, index_bytes;
	/* guarded by journal.lock: */
	uint32_t state, refs;
	uint64_t end;      /* of the synced batches */
	uint64_t last_lsn; /* synced; first_lsn - 1 = empty */
	struct live_index *live; /* ACTIVE, CLOSED; unchanging once CLOSED */
	struct index_file index; /* SEALED */
	struct segment *next;
};

struct hold {
	char name[HD_JOURNAL_READER_NAME_MAX + 1];
	uint64_t lsn; /* the first one needed */
	uint32_t flags;
	bool open, shed;
	struct hold *next;
};

struct damage {
	uint64_t segment, offset;
};

#define HISTOGRAM_BUCKETS 512u

struct hd_journal {
	uint32_t magic;
	char *dir;
	struct hd_journal_config config;
	struct hd_journal_io io;
	struct hd_key key_storage;
	const struct hd_key *key; /* NULL = not sealed */
	uint64_t seal_epoch;
	_Atomic uint64_t batch_number;
	_Atomic uint32_t in_flight;
	_Atomic uint64_t appended, done;
	uint64_t recent_bytes; /* of groups in about the last second; journal thread's, as is recent_ns */
	int64_t recent_ns;
	_Atomic uint32_t over_bound, closing;

	struct hd_queue *queue;
	pthread_t thread, keeper;
	bool thread_started, keeper_started;

	pthread_mutex_t writers_lock; /* guards: writers, writer_count */
	struct hd_record_writer **writers;
	uint32_t writer_count, writer_capacity;

	pthread_mutex_t holds_lock; /* guards: the file READERS; taken before `lock` */

	pthread_mutex_t lock; /* guards: all below, and what struct segment says */
	pthread_cond_t changed; /* synced, closed, sealed, woken */
	pthread_cond_t keep;    /* work for the keeper */
	struct segment *first, *last; /* last = active, or the one before it while the disk fails */
	struct segment *active;
	struct segment *started; /* by this open; only looked at while no thread runs */
	uint64_t next_id, next_lsn;
	uint32_t spare_count;
	uint64_t spare_ids[SPARES_MAX];
	struct hold *holds;
	struct damage *damages;
	uint32_t damage_count;
	bool keeper_stop;
	bool keep_pending; /* work came while the keeper was at work */
	struct hd_journal_status status; /* counters and the error */
	uint64_t histogram[HISTOGRAM_BUCKETS];

	/* the journal thread's own */
	struct segment *writing;
	uint8_t *tail;    /* PAGE_BYTES: the last, partly filled page of `writing` */
	int writing_fd;
	uint32_t points_hint;
};

/* segment.c */
/* All of it, through config.io; iov is used up. HYDRO_E_FULL, HYDRO_E_IO. */
int segment_io_write(struct hd_journal *journal, int fd, struct iovec *iov, int count, off_t offset, struct hydro_error *err);
int segment_io_sync(struct hd_journal *journal, int fd, struct hydro_error *err);
char *segment_path(const struct hd_journal *journal, uint64_t id, const char *suffix);
/* A file of segment_bytes under a spare's name; zeros written if `fill`. [journal, keeper, control] */
int spare_make(struct hd_journal *journal, bool fill, uint64_t *ret_id, struct hydro_error *err);
/* A new segment from a spare or (filled with zeros if `fill`) from nothing, synced with its name, not yet in the list; its descriptor is the caller's. [journal, control] */
int segment_create(struct hd_journal *journal, uint64_t first_lsn, bool fill, struct segment **ret, int *ret_fd, struct hydro_error *err);
void segment_free(struct segment *segment);
void segment_append_locked(struct hd_journal *journal, struct segment *segment);
int segment_open(const struct hd_journal *journal, const struct segment *segment, int *ret_fd, struct hydro_error *err);
void segment_unref(struct hd_journal *journal, struct segment *segment);
/* Where the batches of a segment stand: the live ones under journal.lock, an index's at any time. */
struct batch_table {
	const struct batch_entry *entries;
	uint32_t count;
	uint64_t end;
};
struct batch_table segment_batches(const struct segment *segment);
/* The last batch that begins at or before the ordinal; the table is not empty. */
uint32_t batch_of(const struct batch_table *table, uint32_t ordinal);
static inline uint64_t batch_end(const struct batch_table *table, uint32_t k)
{
	return k + 1 < table->count ? table->entries[k + 1].offset : table->end;
}
/* Reads, checks and opens a batch into buf and a reader. HYDRO_E_CORRUPT is set aside and reported. */
int segment_read_batch(struct hd_journal *journal, const struct segment *segment, int fd, uint64_t offset, uint64_t end,
		       struct hd_buf *buf, struct hd_record_reader *reader, struct batch_header *ret, struct hydro_error *err);
/* Copies [offset, end) of the segment's file to set-aside/ and reports it, once for each place. */
void segment_set_aside(struct hd_journal *journal, uint64_t id, int fd, uint64_t offset, uint64_t end, const char *what);

/* recover.c: fills the list of segments, next_lsn, next_id and spares. */
int recover(struct hd_journal *journal, struct hydro_error *err);

/* scan.c: one segment without an index. */
struct scan_result {
	struct live_index *live;
	uint64_t end, last_lsn;
	bool torn;
	struct scan_damage {
		uint64_t offset, end, first_lsn, next_lsn;
	} *damages;
	uint32_t damage_count;
};
/*
 * Finds the valid batches of a whole file (bodies are unsealed in place). next_first: first LSN of the next segment, 0 = there is none. HYDRO_E_KEY,
 * HYDRO_E_NOMEM.
 */
int scan_segment(const struct segment_header *header, uint8_t *bytes, size_t len, uint64_t next_first, const struct hd_key *key,
		 const char *path, struct scan_result *ret, struct hydro_error *err);
void scan_result_done(struct scan_result *result);

/* commit.c, keeper.c */
void *commit_run(void *journal);
void *keeper_run(void *journal);
/* Appended batches up to now are written out as `roll`. */
extern const char commit_roll_token;
/* holds.c */
int holds_load(struct hd_journal *journal, struct hydro_error *err);
int holds_save(struct hd_journal *journal, struct hydro_error *err);
struct hold *holds_find_locked(struct hd_journal *journal, const char *name);
/* Opens the hold of a name at *lsn (0 is set to the oldest); errors as hd_journal_reader_open. */
int holds_take(struct hd_journal *journal, const char *name, uint32_t flags, uint64_t *lsn, struct hold **ret, struct hydro_error *err);
/* No longer open; what it needs stays. */
void holds_let_go(struct hd_journal *journal, struct hold *hold);
/* First LSN needed by somebody: UINT64_MAX = none, 0 = no reader is known. journal.lock held. */
uint64_t holds_first_locked(const struct hd_journal *journal, const char **ret_name);

/* Tells the keeper that there may be work. journal.lock held. */
void journal_keep_locked(struct hd_journal *journal);
/* Bytes of all files. journal.lock held. */
uint64_t journal_bytes_locked(const struct hd_journal *journal);
void journal_event(struct hd_journal *journal, uint32_t level, const char *event, const char *fmt, ...) HD_PRINTF(4, 5);
/* Until ms from now, for `changed` and `keep`. */
void journal_deadline(int64_t ms, struct timespec *ret);

#endif
