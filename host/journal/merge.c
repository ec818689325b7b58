/* SPDX-License-Identifier: MIT */
/*
 * A range of points of a sealed segment in (point, lsn) order: batches are read in file order, what belongs to the range is
 * kept as it is encoded, each batch's dictionary behind it, and then visited by index.
 */
#include "journal/internal.h"

#include "base/fs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#define SCAN_MAGIC 0x4a53434eu
#define READERS_MAX 128u /* batches whose dictionaries are kept open, 2 KiB each: a merge scans many segments at once */

struct open_batch {
	struct hd_record_reader *reader;
	uint32_t batch; /* + 1; 0 = none */
};

/* A record of the range: by its ordinal, where it begins in its kept body. */
struct kept_record {
	uint32_t ordinal, at;
};

/* What is kept of a batch: a body of its own with the records of the range. */
struct kept_batch {
	size_t at; /* in `bytes` */
	uint32_t len, count;
};

struct hd_journal_scan {
	uint32_t magic;
	struct hd_journal *journal;
	struct segment *segment;
	struct batch_table table;
	uint32_t first_point, end_point;
	struct hd_buf bytes;
	struct hd_buf read;  /* a batch as it lies in the file */
	struct kept_record *records; /* by ordinal; without those that are damaged */
	uint32_t record_count, record_capacity;
	struct kept_batch *batches;
	struct open_batch *open;
	uint32_t open_mask;
	uint32_t next, end; /* entries of the index */
};

void hd_journal_scan_close(struct hd_journal_scan **pointer)
{
	struct hd_journal_scan *scan = *pointer;
	if (!scan)
		return;
	HD_ASSERT(scan->magic == SCAN_MAGIC);
	for (uint32_t i = 0; scan->open && i <= scan->open_mask; i++)
		hd_record_reader_free(&scan->open[i].reader);
	free(scan->open);
	hd_buf_done(&scan->bytes);
	hd_buf_done(&scan->read);
	free(scan->records);
	free(scan->batches);
	if (scan->segment) {
		index_forget(&scan->segment->index);
		segment_unref(scan->journal, scan->segment);
	}
	scan->magic = 0;
	free(scan);
	*pointer = NULL;
}

static struct segment *pin(struct hd_journal *journal, uint64_t id)
{
	(void)pthread_mutex_lock(&journal->lock);
	struct segment *s = journal->first;
	while (s && s->header.id != id)
		s = s->next;
	if (s && s->state == SEGMENT_SEALED)
		s->refs++;
	else
		s = NULL;
	(void)pthread_mutex_unlock(&journal->lock);
	return s;
}

static struct open_batch *slot_of(struct hd_journal_scan *scan, uint32_t k)
{
	struct open_batch *open = &scan->open[k & scan->open_mask];
	if (!open->reader)
		open->reader = hd_record_reader_new();
	return open->reader ? open : NULL;
}

/* The reader of a kept batch, at any record. NULL without memory (the body itself was checked when it was read). */
static struct hd_record_reader *batch_reader(struct hd_journal_scan *scan, uint32_t k)
{
	const struct kept_batch *kept = &scan->batches[k];
	struct open_batch *open = slot_of(scan, k);
	if (open && open->batch != k + 1) {
		open->batch = 0;
		if (hd_record_reader_begin(open->reader, scan->bytes.data + kept->at, kept->len, kept->count) != HYDRO_OK)
			return NULL;
		open->batch = k + 1;
	}
	return open ? open->reader : NULL;
}

/* The records of an opened body that belong to the range, then its footer. */
static int keep_records(struct hd_journal_scan *scan, uint32_t k, const uint8_t *body, size_t len, uint32_t count)
{
	uint32_t ordinal = scan->table.entries[k].ordinal;
	struct kept_batch *kept = &scan->batches[k];
	struct open_batch *open = slot_of(scan, k);
	struct hd_sample sample;
	if (!open)
		return HYDRO_E_NOMEM;
	open->batch = 0;
	int rc = hd_record_reader_begin(open->reader, body, len, count);
	kept->at = scan->bytes.len;
	for (uint32_t i = 0; i < count && rc == HYDRO_OK; i++) {
		uint32_t from = hd_record_tell(open->reader);
		rc = hd_record_read(open->reader, &sample);
		if (rc != HYDRO_OK || sample.point < scan->first_point || sample.point >= scan->end_point)
			continue;
		if (scan->record_count == scan->record_capacity) /* more than the index says there are */
			return HYDRO_E_CORRUPT;
		scan->records[scan->record_count++] = (struct kept_record){ordinal + i, (uint32_t)(scan->bytes.len - kept->at)};
		kept->count++;
		(void)hd_buf_add(&scan->bytes, body + from, hd_record_tell(open->reader) - from);
	}
	if (kept->count && !hd_record_copy_footer(open->reader, kept->count, &scan->bytes))
		rc = HYDRO_E_NOMEM;
	kept->len = (uint32_t)(scan->bytes.len - kept->at);
	return rc == HYDRO_E_NOTFOUND ? HYDRO_E_CORRUPT : rc;
}

/* Reads, checks and opens a batch and keeps what belongs to the range. What stands before a damaged record stays. */
static int take_batch(struct hd_journal_scan *scan, int fd, uint32_t k, struct hydro_error *err)
{
	uint64_t offset = scan->table.entries[k].offset, end = batch_end(&scan->table, k), span = scan->segment->index.span;
	struct batch_header header;
	size_t len = 0, body_len = 0;
	if (end < offset + BATCH_HEADER_BYTES || end > scan->segment->end)
		return HYDRO_E_CORRUPT;
	hd_buf_clear(&scan->read);
	if (!hd_buf_reserve(&scan->read, end - offset))
		return HYDRO_E_NOMEM;
	uint8_t *at = (uint8_t *)scan->read.data;
	int rc = hd_fs_pread(fd, at, end - offset, (off_t)offset, &len, err);
	if (rc != HYDRO_OK)
		return rc;
	if (len < end - offset || !format_batch_get(at, &header) || header.epoch != scan->segment->header.epoch ||
	    batch_bytes(header.body_bytes) > end - offset || scan->table.entries[k].ordinal + (uint64_t)header.count > span)
		return HYDRO_E_CORRUPT;
	rc = format_body_open(&header, scan->journal->key, at + BATCH_HEADER_BYTES, &body_len);
	return rc == HYDRO_OK ? keep_records(scan, k, at + BATCH_HEADER_BYTES, body_len, header.count) : rc;
}

static int read_all(struct hd_journal_scan *scan, struct hydro_error *err)
{
	struct segment *segment = scan->segment;
	uint32_t slots = 1;
	HD_CLEANUP(hd_cleanup_fd) int fd = -1;
	scan->table = segment_batches(segment);
	while (slots < scan->table.count && slots < READERS_MAX)
		slots *= 2;
	scan->open = calloc(slots, sizeof *scan->open);
	scan->open_mask = slots - 1;
	if (!index_check(&segment->index))
		return hd_error_set(err, HYDRO_E_CORRUPT, "the index of segment %016" PRIx64 " does not check", segment->header.id);
	scan->next = index_from(&segment->index, scan->first_point);
	scan->end = index_from(&segment->index, scan->end_point);
	scan->record_capacity = scan->end - scan->next;
	scan->records = malloc(((size_t)scan->record_capacity + 1) * sizeof *scan->records);
	scan->batches = calloc((size_t)scan->table.count + 1, sizeof *scan->batches);
	if (!scan->open || !scan->records || !scan->batches)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to read a segment of the journal");
	int rc = segment_open(scan->journal, segment, &fd, err);
	if (rc != HYDRO_OK)
		return rc;
	for (uint32_t k = 0; k < scan->table.count; k++) {
		rc = take_batch(scan, fd, k, err);
		if (rc == HYDRO_E_CORRUPT)
			segment_set_aside(scan->journal, segment->header.id, fd, scan->table.entries[k].offset, batch_end(&scan->table, k),
					  "a batch does not check");
		else if (rc != HYDRO_OK)
			return hd_error_set(err, rc, "cannot read segment %016" PRIx64 " of the journal", segment->header.id);
	}
	hd_buf_done(&scan->read);
	return HYDRO_OK;
}

int hd_journal_scan_open(struct hd_journal *journal, uint64_t segment_id, uint32_t first_point, uint32_t end_point, struct hd_journal_scan **ret,
			 struct hydro_error *err)
{
	struct hd_journal_scan *scan = calloc(1, sizeof *scan);
	if (!scan)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to read a segment of the journal");
	scan->magic = SCAN_MAGIC;
	scan->journal = journal;
	scan->first_point = first_point;
	scan->end_point = end_point;
	scan->segment = pin(journal, segment_id);
	int rc = scan->segment ? read_all(scan, err) : hd_error_set(err, HYDRO_E_NOTFOUND, "there is no sealed segment %016" PRIx64, segment_id);
	if (rc != HYDRO_OK) {
		hd_journal_scan_close(&scan);
		return rc;
	}
	*ret = scan;
	return HYDRO_OK;
}

/* Batches are kept in order of ordinals. NULL: damaged, or not there. */
static const struct kept_record *record_of(const struct hd_journal_scan *scan, uint32_t ordinal)
{
	uint32_t low = 0, high = scan->record_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (scan->records[middle].ordinal < ordinal)
			low = middle + 1;
		else
			high = middle;
	}
	return low < scan->record_count && scan->records[low].ordinal == ordinal ? &scan->records[low] : NULL;
}

int hd_journal_scan_next(struct hd_journal_scan *scan, struct hd_sample *ret, uint64_t *ret_lsn)
{
	const struct index_file *index = &scan->segment->index;
	HD_ASSERT(scan->magic == SCAN_MAGIC);
	while (scan->next < scan->end) {
		uint32_t ordinal = index->ordinals[scan->next++];
		const struct kept_record *record = record_of(scan, ordinal);
		if (!record)
			continue;
		struct hd_record_reader *reader = batch_reader(scan, batch_of(&scan->table, ordinal));
		if (!reader)
			return HYDRO_E_NOMEM;
		hd_record_jump(reader, record->at, 0);
		int rc = hd_record_read(reader, ret);
		if (rc != HYDRO_OK)
			return rc;
		*ret_lsn = scan->segment->header.first_lsn + ordinal;
		return HYDRO_OK;
	}
	return HYDRO_E_NOTFOUND;
}

int hd_journal_segment_foreach_by_point(struct hd_journal *journal, uint64_t segment_id, hd_journal_row_fn row, void *arg, struct hydro_error *err)
{
	struct hd_journal_scan *scan = NULL;
	struct hd_sample sample;
	uint64_t lsn;
	int rc = hd_journal_scan_open(journal, segment_id, 0, UINT32_MAX, &scan, err);
	if (rc != HYDRO_OK)
		return rc;
	while ((rc = hd_journal_scan_next(scan, &sample, &lsn)) == HYDRO_OK && (rc = row(arg, &sample, lsn)) == HYDRO_OK)
		;
	hd_journal_scan_close(&scan);
	if (rc == HYDRO_E_NOMEM)
		return hd_error_set(err, rc, "no memory to read a segment of the journal");
	return rc == HYDRO_E_NOTFOUND ? HYDRO_OK : rc;
}

int hd_journal_split(struct hd_journal *journal, uint64_t segment_id, uint32_t parts, uint32_t *ret_firsts, struct hydro_error *err)
{
	struct segment *segment = pin(journal, segment_id);
	if (!segment)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "there is no sealed segment %016" PRIx64, segment_id);
	const struct index_file *index = &segment->index;
	uint32_t part = 0;
	int rc = index_check(&segment->index) ? HYDRO_OK
					      : hd_error_set(err, HYDRO_E_CORRUPT, "the index of segment %016" PRIx64 " does not check", segment_id);
	for (uint32_t i = 0; i < index->point_count && rc == HYDRO_OK; i++)
		for (; part < parts && index->points[2 * i + 1] >= (uint64_t)index->record_count * part / parts; part++)
			ret_firsts[part] = part ? index->points[2 * i] : 0;
	while (part < parts)
		ret_firsts[part++] = UINT32_MAX;
	segment_unref(journal, segment);
	return rc;
}
