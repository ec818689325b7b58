/* SPDX-License-Identifier: MIT */
/* A sealed segment in (point, lsn) order: its bytes are read once in file order, then its records are visited by index. */
#include "journal/internal.h"

#include "base/fs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#define SCAN_MAGIC 0x4a53434eu
#define READERS_MAX 8192u /* batches whose dictionaries are kept open */

struct open_batch {
	struct hd_record_reader *reader;
	uint32_t batch; /* + 1; 0 = none */
};

struct hd_journal_scan {
	uint32_t magic;
	struct hd_journal *journal;
	struct segment *segment;
	struct batch_table table;
	uint8_t *bytes;
	uint32_t *positions; /* by ordinal: where the record begins in the file; 0 = damaged or not there */
	uint32_t *body_lens; /* by batch, without a seal's tag */
	struct open_batch *open;
	uint32_t open_mask;
	uint32_t next; /* entry of the index */
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
	free(scan->bytes);
	free(scan->positions);
	free(scan->body_lens);
	if (scan->segment)
		segment_unref(scan->journal, scan->segment);
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

/* The reader of a batch, at any record. NULL without memory (the body itself was checked when it was read). */
static struct hd_record_reader *batch_reader(struct hd_journal_scan *scan, uint32_t k, uint32_t count)
{
	struct open_batch *open = &scan->open[k & scan->open_mask];
	if (!open->reader && !(open->reader = hd_record_reader_new()))
		return NULL;
	if (open->batch != k + 1) {
		open->batch = 0;
		if (hd_record_reader_begin(open->reader, scan->bytes + scan->table.entries[k].offset + BATCH_HEADER_BYTES, scan->body_lens[k], count) !=
		    HYDRO_OK)
			return NULL;
		open->batch = k + 1;
	}
	return open->reader;
}

/* Checks and opens a batch in memory and notes where its records begin. */
static int take_batch(struct hd_journal_scan *scan, uint32_t k)
{
	uint64_t offset = scan->table.entries[k].offset, end = batch_end(&scan->table, k), span = scan->segment->index.span;
	uint32_t ordinal = scan->table.entries[k].ordinal;
	struct batch_header header;
	struct hd_sample sample;
	size_t body_len = 0;
	uint8_t *at = scan->bytes + offset;
	if (end < offset + BATCH_HEADER_BYTES || end > scan->segment->end || !format_batch_get(at, &header) ||
	    header.epoch != scan->segment->header.epoch || batch_bytes(header.body_bytes) > end - offset || ordinal + (uint64_t)header.count > span)
		return HYDRO_E_CORRUPT;
	int rc = format_body_open(&header, scan->journal->key, at + BATCH_HEADER_BYTES, &body_len);
	if (rc != HYDRO_OK)
		return rc;
	scan->body_lens[k] = (uint32_t)body_len;
	struct hd_record_reader *reader = batch_reader(scan, k, header.count);
	if (!reader)
		return HYDRO_E_NOMEM;
	for (uint32_t i = 0; i < header.count; i++) {
		scan->positions[ordinal + i] = (uint32_t)(offset + BATCH_HEADER_BYTES) + hd_record_tell(reader);
		if (hd_record_read(reader, &sample) != HYDRO_OK) {
			scan->positions[ordinal + i] = 0;
			return HYDRO_E_CORRUPT;
		}
	}
	return HYDRO_OK;
}

static int read_all(struct hd_journal_scan *scan, struct hydro_error *err)
{
	struct segment *segment = scan->segment;
	uint32_t slots = 1;
	size_t len = 0;
	HD_CLEANUP(hd_cleanup_fd) int fd = -1;
	scan->table = segment_batches(segment);
	while (slots < scan->table.count && slots < READERS_MAX)
		slots *= 2;
	scan->open = calloc(slots, sizeof *scan->open);
	scan->open_mask = slots - 1;
	scan->bytes = malloc(segment->end + 1);
	scan->positions = calloc((size_t)segment->index.span + 1, sizeof *scan->positions);
	scan->body_lens = calloc((size_t)scan->table.count + 1, sizeof *scan->body_lens);
	if (!scan->open || !scan->bytes || !scan->positions || !scan->body_lens)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to read a segment of the journal");
	if (!index_check(&segment->index))
		return hd_error_set(err, HYDRO_E_CORRUPT, "the index of segment %016" PRIx64 " does not check", segment->header.id);
	int rc = segment_open(scan->journal, segment, &fd, err);
	if (rc == HYDRO_OK)
		rc = hd_fs_pread(fd, scan->bytes, segment->end, 0, &len, err);
	if (rc != HYDRO_OK)
		return rc;
	if (len < segment->end)
		return hd_error_set(err, HYDRO_E_CORRUPT, "segment %016" PRIx64 " is shorter than its index says", segment->header.id);
	for (uint32_t k = 0; k < scan->table.count; k++) {
		rc = take_batch(scan, k);
		if (rc == HYDRO_E_CORRUPT)
			segment_set_aside(scan->journal, segment->header.id, fd, scan->table.entries[k].offset, batch_end(&scan->table, k),
					  "a batch does not check");
		else if (rc != HYDRO_OK)
			return hd_error_set(err, rc, "cannot read segment %016" PRIx64 " of the journal", segment->header.id);
	}
	return HYDRO_OK;
}

int hd_journal_scan_open(struct hd_journal *journal, uint64_t segment_id, struct hd_journal_scan **ret, struct hydro_error *err)
{
	struct hd_journal_scan *scan = calloc(1, sizeof *scan);
	if (!scan)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to read a segment of the journal");
	scan->magic = SCAN_MAGIC;
	scan->journal = journal;
	scan->segment = pin(journal, segment_id);
	int rc = scan->segment ? read_all(scan, err) : hd_error_set(err, HYDRO_E_NOTFOUND, "there is no sealed segment %016" PRIx64, segment_id);
	if (rc != HYDRO_OK) {
		hd_journal_scan_close(&scan);
		return rc;
	}
	*ret = scan;
	return HYDRO_OK;
}

int hd_journal_scan_next(struct hd_journal_scan *scan, struct hd_sample *ret, uint64_t *ret_lsn)
{
	const struct index_file *index = &scan->segment->index;
	HD_ASSERT(scan->magic == SCAN_MAGIC);
	while (scan->next < index->record_count) {
		uint32_t ordinal = index->ordinals[scan->next++];
		if (ordinal >= index->span || scan->positions[ordinal] == 0)
			continue;
		uint32_t k = batch_of(&scan->table, ordinal), first = scan->table.entries[k].ordinal;
		uint64_t body = (uint64_t)scan->table.entries[k].offset + BATCH_HEADER_BYTES;
		struct batch_header header;
		HD_ASSERT(format_batch_get(scan->bytes + scan->table.entries[k].offset, &header));
		struct hd_record_reader *reader = batch_reader(scan, k, header.count);
		if (!reader)
			return HYDRO_E_NOMEM;
		hd_record_jump(reader, scan->positions[ordinal] - (uint32_t)body, ordinal - first);
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
	int rc = hd_journal_scan_open(journal, segment_id, &scan, err);
	if (rc != HYDRO_OK)
		return rc;
	while ((rc = hd_journal_scan_next(scan, &sample, &lsn)) == HYDRO_OK && (rc = row(arg, &sample, lsn)) == HYDRO_OK)
		;
	hd_journal_scan_close(&scan);
	if (rc == HYDRO_E_NOMEM)
		return hd_error_set(err, rc, "no memory to read a segment of the journal");
	return rc == HYDRO_E_NOTFOUND ? HYDRO_OK : rc;
}
