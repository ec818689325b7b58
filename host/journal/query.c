/* SPDX-License-Identifier: MIT */
#include "journal/internal.h"

#include "observe/log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

struct query {
	struct hd_journal *journal;
	uint32_t point;
	int64_t from_ms, to_ms;
	uint64_t after_lsn;
	hd_journal_row_fn row;
	void *arg;
	struct hydro_error *err;
	bool damaged;
	struct hd_buf buf;
	struct hd_record_reader *records;
};

/* One record of the point, and the batch it is in. */
struct hit {
	uint32_t ordinal, batch_ordinal;
	uint64_t offset, end;
};

/* Segments that may hold what is asked for, each referenced. */
static int pin_all(struct hd_journal *journal, uint64_t after_lsn, struct segment ***ret, size_t *ret_count)
{
	int rc = HYDRO_OK;
	size_t count = 0;
	(void)pthread_mutex_lock(&journal->lock);
	for (struct segment *s = journal->first; s; s = s->next)
		count += s->last_lsn > after_lsn;
	struct segment **pinned = malloc((count + 1) * sizeof *pinned);
	if (!pinned)
		rc = HYDRO_E_NOMEM;
	size_t n = 0;
	for (struct segment *s = journal->first; s && pinned; s = s->next)
		if (s->last_lsn > after_lsn) {
			s->refs++;
			pinned[n++] = s;
		}
	(void)pthread_mutex_unlock(&journal->lock);
	*ret = pinned;
	*ret_count = n;
	return rc;
}

static int hits_make(const struct segment *segment, const uint32_t *ordinals, uint32_t count, uint64_t after_lsn, struct hit **ret, uint32_t *ret_count)
{
	struct batch_table table = segment_batches(segment);
	struct hit *hits = malloc((count + 1) * sizeof *hits);
	uint32_t n = 0;
	if (!hits)
		return HYDRO_E_NOMEM;
	for (uint32_t i = 0; i < count && table.count; i++) {
		if (segment->header.first_lsn + ordinals[i] <= after_lsn)
			continue;
		uint32_t k = batch_of(&table, ordinals[i]);
		hits[n++] = (struct hit){ordinals[i], table.entries[k].ordinal, table.entries[k].offset, batch_end(&table, k)};
	}
	*ret = hits;
	*ret_count = n;
	return HYDRO_OK;
}

static int index_damaged(struct query *q, const struct segment *segment)
{
	HD_CLEANUP(hd_cleanup_free) char *path = segment_path(q->journal, segment->header.id, ".idx");
	if (path && unlink(path) == 0)
		journal_event(q->journal, HD_LOG_ERROR, "journal_corrupt", "the index of segment %016" PRIx64 " does not check; it is made again at the next start",
			      segment->header.id);
	q->damaged = true;
	return HYDRO_OK;
}

static int find_hits(struct query *q, struct segment *segment, struct hit **ret, uint32_t *ret_count)
{
	HD_CLEANUP(hd_cleanup_free) uint32_t *copy = NULL;
	const uint32_t *ordinals = NULL;
	uint32_t count = 0;
	*ret = NULL;
	*ret_count = 0;
	(void)pthread_mutex_lock(&q->journal->lock);
	bool is_live = segment->live != NULL;
	int rc = HYDRO_OK;
	if (is_live && segment->live->min_ts < q->to_ms && segment->live->max_ts >= q->from_ms) {
		rc = live_find(segment->live, q->point, &copy, &count);
		if (rc == HYDRO_OK)
			rc = hits_make(segment, copy, count, q->after_lsn, ret, ret_count);
	}
	(void)pthread_mutex_unlock(&q->journal->lock);
	if (is_live)
		return rc;
	struct index_file *index = &segment->index; /* stays as it is while the segment is referenced */
	if (index->min_ts >= q->to_ms || index->max_ts < q->from_ms)
		return HYDRO_OK;
	if (!index_check(index))
		return index_damaged(q, segment);
	count = index_find(index, q->point, &ordinals);
	return count ? hits_make(segment, ordinals, count, q->after_lsn, ret, ret_count) : HYDRO_OK;
}

static int give(struct query *q, const struct segment *segment, const struct hit *hit)
{
	struct hd_sample sample;
	int rc = hd_record_seek(q->records, hit->ordinal - hit->batch_ordinal);
	if (rc == HYDRO_OK)
		rc = hd_record_read(q->records, &sample);
	if (rc != HYDRO_OK || sample.point != q->point) {
		q->damaged = true;
		return HYDRO_OK;
	}
	if (sample.ts_ms < q->from_ms || sample.ts_ms >= q->to_ms)
		return HYDRO_OK;
	return q->row(q->arg, &sample, segment->header.first_lsn + hit->ordinal);
}

static int query_segment(struct query *q, struct segment *segment)
{
	HD_CLEANUP(hd_cleanup_free) struct hit *hits = NULL;
	HD_CLEANUP(hd_cleanup_fd) int fd = -1;
	uint32_t count = 0;
	uint64_t loaded = 0; /* no batch begins there */
	bool good = false;
	int rc = find_hits(q, segment, &hits, &count);
	if (rc == HYDRO_E_NOMEM)
		return hd_error_set(q->err, rc, "no memory for a query of the journal");
	if (rc == HYDRO_OK && count)
		rc = segment_open(q->journal, segment, &fd, q->err);
	for (uint32_t i = 0; i < count && rc == HYDRO_OK; i++) {
		struct batch_header header;
		if (hits[i].offset != loaded) {
			rc = segment_read_batch(q->journal, segment, fd, hits[i].offset, hits[i].end, &q->buf, q->records, &header, q->err);
			good = rc == HYDRO_OK;
			loaded = hits[i].offset;
			q->damaged |= rc == HYDRO_E_CORRUPT;
			rc = rc == HYDRO_E_CORRUPT ? HYDRO_OK : rc;
		}
		if (rc == HYDRO_OK && good)
			rc = give(q, segment, &hits[i]);
	}
	return rc;
}

int hd_journal_query(struct hd_journal *journal, uint32_t point, int64_t from_ms, int64_t to_ms, uint64_t after_lsn, hd_journal_row_fn row, void *arg,
		     struct hydro_error *err)
{
	struct query q = {.journal = journal, .point = point, .from_ms = from_ms, .to_ms = to_ms, .after_lsn = after_lsn, .row = row, .arg = arg, .err = err};
	struct segment **pinned = NULL;
	size_t count = 0;
	q.records = hd_record_reader_new();
	int rc = q.records ? pin_all(journal, after_lsn, &pinned, &count) : HYDRO_E_NOMEM;
	if (rc == HYDRO_E_NOMEM)
		(void)hd_error_set(err, rc, "no memory for a query of the journal");
	for (size_t i = 0; i < count; i++) {
		if (rc == HYDRO_OK)
			rc = query_segment(&q, pinned[i]);
		segment_unref(journal, pinned[i]);
	}
	free(pinned);
	hd_buf_done(&q.buf);
	hd_record_reader_free(&q.records);
	if (rc == HYDRO_OK && q.damaged)
		return hd_error_set(err, HYDRO_E_CORRUPT, "a part of the journal that may hold records of point %u is damaged", point);
	return rc;
}
