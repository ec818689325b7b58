/* SPDX-License-Identifier: MIT */
/*
 * The journal: an append-only, checksummed, group-committed log of samples in segment files that are filled and reused.
 * Nothing in it is seen by anybody before it is synced. LSN = number of a record (sample), from 1, without gaps except
 * where damage was set aside. Formats and rules: README.md.
 */
#ifndef HD_JOURNAL_JOURNAL_H
#define HD_JOURNAL_JOURNAL_H

#include "model/batch.h"
#include "store/seal.h"

#define HD_JOURNAL_SEGMENT_BYTES_MIN (64u * 1024u)
#define HD_JOURNAL_SEGMENT_BYTES_MAX (1024u * 1024u * 1024u)
#define HD_JOURNAL_READER_NAME_MAX 63u

struct hd_journal;
struct hd_journal_reader;
struct hd_journal_scan;
struct hd_journal_io;

/* All zero but `dir` takes the defaults in parentheses. */
struct hd_journal_config {
	const char *dir;            /* the journal's own folder, made if missing */
	uint64_t segment_bytes;     /* (64 MiB) */
	uint64_t max_bytes;         /* (0 = no bound) disk bound of the segments, spares included */
	uint32_t commit_ms;         /* (2; HD_JOURNAL_COMMIT_NOW = do not wait) how long a group gathers at most; up to 12 times that where much comes in little by little */
	uint32_t commit_bytes;      /* (1 MiB) a group is written at this size at the latest */
	uint32_t spares;            /* (4) released segments kept to be filled again, at most 256 */
	uint32_t queue_batches;     /* (128) batches in flight, synced ones not counted; above it appends give HYDRO_E_AGAIN */
	const struct hd_key *seal;  /* NULL = not sealed; copied */
	/* After the sync, in LSN order; takes the batch. NULL: hd_batch_release. [journal] */
	void (*synced)(void *arg, struct hd_batch *batch);
	void *synced_arg;
	/* Something for the log: level HD_LOG_*, an event constant ("journal_torn"), a text. NULL: dropped. [any] */
	void (*event)(void *arg, uint32_t level, const char *event, const char *text);
	void *event_arg;
	const struct hd_journal_io *io; /* NULL = the system's; tests give failing ones */
};

#define HD_JOURNAL_COMMIT_NOW UINT32_MAX

/*
 * Opens or creates the journal and recovers: a torn tail is cut (event journal_torn), a damaged range with something synced
 * behind it is copied to set-aside/ and left out (journal_corrupt), missing LSNs are reported (journal_gap).
 * HYDRO_E_KEY: sealed and no key or a wrong one: nothing is changed; HYDRO_E_UNSUPPORTED: a file of a newer version: nothing
 * is changed; HYDRO_E_INVALID: configuration; HYDRO_E_IO, HYDRO_E_FULL, HYDRO_E_NOMEM. [control]
 */
int hd_journal_open(const struct hd_journal_config *config, struct hd_journal **ret, struct hydro_error *err);
/*
 * Syncs what was appended, then stops. While the disk fails it tries for a few seconds more; batches that could not be synced
 * are released without `synced`. No appender, reader or query may be at work any more. NULL is fine. [control]
 */
void hd_journal_close(struct hd_journal **journal);

/*
 * Encodes, checksums (and seals) on the caller's thread and queues; the journal owns the batch from then on. An empty batch
 * passes through in order and gets `synced` too. HYDRO_E_AGAIN: too many in flight, the caller keeps the batch and takes
 * nothing new; HYDRO_E_LIMIT: it does not fit into a segment; HYDRO_E_INVALID: a sample over its limits; HYDRO_E_NOMEM;
 * HYDRO_E_CANCELLED: closing. On an error the batch stays the caller's. [worker]
 */
int hd_journal_append(struct hd_journal *journal, struct hd_batch *batch, struct hydro_error *err);

struct hd_journal_status {
	uint64_t first_lsn;  /* oldest record kept */
	uint64_t next_lsn;   /* of the next record */
	uint64_t synced_lsn; /* highest durable record; 0 = none ever */
	uint64_t bytes;      /* of all segment and index files, spares included */
	uint64_t segments;
	uint64_t spares;
	uint64_t queued;     /* batches in flight */
	uint64_t batches, syncs, retries; /* since open */
	uint64_t written_bytes;           /* since open: batches, padding, zero fill and indexes */
	uint64_t set_aside;  /* damaged ranges met since open */
	int64_t last_sync_ns;             /* hd_clock_real_ns of the last good sync, 0 = none yet */
	int64_t sync_p50_ns, sync_p99_ns; /* over all syncs since open, to 13 % */
	int32_t error_code;  /* HYDRO_OK, or why the journal is stuck at the moment; HYDRO_E_FULL also for max_bytes */
	char error_text[HYDRO_ERROR_TEXT_BYTES];
	uint64_t held_lsn;   /* the first LSN that a reader still needs */
	char holder[HD_JOURNAL_READER_NAME_MAX + 1]; /* that reader; "" = none */
};
/* [any] */
void hd_journal_status(struct hd_journal *journal, struct hd_journal_status *ret);
/* Waits until everything appended before the call is synced; HYDRO_E_TIMEOUT. [not journal] */
int hd_journal_flush(struct hd_journal *journal, int timeout_ms);

/*
 * Readers. A reader's name is remembered in the folder: from the first open until hd_journal_reader_forget, segments it has
 * not released are kept, also while it is not open. With no reader known nothing is ever reused.
 * A `mirror` may be shed: over max_bytes the slowest ones lose their hold first, and get HYDRO_E_STALE from _next (they go
 * on from history). If the others still hold too much, appends get HYDRO_E_AGAIN until they release.
 */
#define HD_JOURNAL_READER_MIRROR 1u
/*
 * from_lsn: the first record wanted; 0 = the oldest kept. HYDRO_E_STALE: older than what is kept; HYDRO_E_CONFLICT: the name
 * is open already, or from_lsn lies beyond the journal's end (journal and cursor do not belong together); HYDRO_E_INVALID:
 * a name that is not [a-z0-9_.-]+. [any]
 */
int hd_journal_reader_open(struct hd_journal *journal, const char *name, uint32_t flags, uint64_t from_lsn,
			   struct hd_journal_reader **ret, struct hydro_error *err);
/* Keeps the name and its hold. [any] */
void hd_journal_reader_close(struct hd_journal_reader **reader);
/* The name holds nothing any more; HYDRO_E_NOTFOUND, HYDRO_E_CONFLICT while open. [control] */
int hd_journal_reader_forget(struct hd_journal *journal, const char *name, struct hydro_error *err);
/*
 * The next synced record, borrowed until the next call. HYDRO_E_AGAIN: none yet; HYDRO_E_STALE: shed; HYDRO_E_CORRUPT: a
 * damaged batch was met and left behind (set aside and reported): call again to go on after it; HYDRO_E_KEY, HYDRO_E_IO.
 * [one thread at a time]
 */
int hd_journal_reader_next(struct hd_journal_reader *reader, struct hd_sample *ret, uint64_t *ret_lsn, struct hydro_error *err);
/* Waits for something synced to read (true) or the time-out. [as _next] */
bool hd_journal_reader_wait(struct hd_journal_reader *reader, int timeout_ms);
/* Ends a wait, now or the next one, from elsewhere. [any] */
void hd_journal_reader_wake(struct hd_journal_reader *reader);
/* Needs nothing up to and with lsn any more. [any] */
void hd_journal_reader_release(struct hd_journal_reader *reader, uint64_t lsn);

/* The sample and its arrays are borrowed during the call; other than HYDRO_OK ends the query and is its result. */
typedef int (*hd_journal_row_fn)(void *arg, const struct hd_sample *sample, uint64_t lsn);
/*
 * Every synced record of the point with lsn > after_lsn and from_ms <= ts < to_ms, in LSN order. HYDRO_E_CORRUPT: damage
 * was met (set aside and reported); all rows that check were given. HYDRO_E_IO, HYDRO_E_KEY, HYDRO_E_NOMEM. [any]
 */
int hd_journal_query(struct hd_journal *journal, uint32_t point, int64_t from_ms, int64_t to_ms, uint64_t after_lsn,
		     hd_journal_row_fn row, void *arg, struct hydro_error *err);

/* A segment that is full and has its index: nothing in it changes any more. */
struct hd_journal_sealed {
	uint64_t id;
	uint64_t first_lsn, last_lsn; /* last < first: empty */
	int64_t min_ts_ms, max_ts_ms;
	uint64_t bytes;
	uint64_t records;
	uint32_t points;
};
/* Those with last_lsn > after_lsn, oldest first, up to `max`; returns how many. [any] */
size_t hd_journal_sealed_list(struct hd_journal *journal, uint64_t after_lsn, struct hd_journal_sealed *ret, size_t max);
/*
 * Closes the active segment although it is not full (for a merge that wants all), unless it is empty, and waits until all
 * closed ones have their index. HYDRO_E_TIMEOUT. [not journal, worker, io]
 */
int hd_journal_roll(struct hd_journal *journal, int timeout_ms, struct hydro_error *err);

/*
 * The records of a sealed segment with first_point <= point < end_point in (point, lsn) order, for merging. Holds the segment
 * (it is not reused meanwhile), and those records' bytes in memory: the narrower the range, the less, though all is read. HYDRO_E_NOTFOUND: reused already; HYDRO_E_IO, HYDRO_E_KEY, HYDRO_E_NOMEM. Damage is left out, set aside and
 * reported. [any; a scan belongs to one thread]
 */
int hd_journal_scan_open(struct hd_journal *journal, uint64_t segment_id, uint32_t first_point, uint32_t end_point, struct hd_journal_scan **ret,
			 struct hydro_error *err);
/* Borrowed until the next call; HYDRO_E_NOTFOUND at the end, HYDRO_E_CORRUPT as in _open's damage. */
int hd_journal_scan_next(struct hd_journal_scan *scan, struct hd_sample *ret, uint64_t *ret_lsn);
void hd_journal_scan_close(struct hd_journal_scan **scan);
/* The first points of `parts` ranges of about as many records each (the first is 0, an empty one's UINT32_MAX), rising.
 * HYDRO_E_NOTFOUND, HYDRO_E_CORRUPT. [any] */
int hd_journal_split(struct hd_journal *journal, uint64_t segment_id, uint32_t parts, uint32_t *ret_firsts, struct hydro_error *err);
/* The whole scan by calls of `row`; other than HYDRO_OK ends it and is the result. [any] */
int hd_journal_segment_foreach_by_point(struct hd_journal *journal, uint64_t segment_id, hd_journal_row_fn row, void *arg,
					struct hydro_error *err);

#endif
