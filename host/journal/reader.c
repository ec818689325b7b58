/* SPDX-License-Identifier: MIT */
/* Readers find their place by LSN at each batch, so they hold no segment between two calls. */
#include "journal/internal.h"

#include "base/clock.h"

#include <stdlib.h>
#include <unistd.h>

#define READER_MAGIC 0x4a524452u

struct hd_journal_reader {
	uint32_t magic;
	struct hd_journal *journal;
	struct hold *hold;
	uint64_t next_lsn;  /* the next one to give */
	uint64_t batch_end; /* LSN behind the batch that is loaded; <= next_lsn: none is */
	bool woken;         /* guarded by journal.lock */
	int fd;
	uint64_t fd_segment;
	struct hd_buf buf;
	struct hd_record_reader *records;
};

int hd_journal_reader_open(struct hd_journal *journal, const char *name, uint32_t flags, uint64_t from_lsn, struct hd_journal_reader **ret,
			   struct hydro_error *err)
{
	struct hd_journal_reader *reader = calloc(1, sizeof *reader);
	if (reader)
		reader->records = hd_record_reader_new();
	if (!reader || !reader->records) {
		free(reader);
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a reader of the journal");
	}
	reader->magic = READER_MAGIC;
	reader->journal = journal;
	reader->fd = -1;
	reader->next_lsn = from_lsn;
	int rc = holds_take(journal, name, flags, &reader->next_lsn, &reader->hold, err);
	if (rc != HYDRO_OK) {
		hd_record_reader_free(&reader->records);
		free(reader);
		return rc;
	}
	*ret = reader;
	return HYDRO_OK;
}

void hd_journal_reader_close(struct hd_journal_reader **pointer)
{
	if (!*pointer)
		return;
	struct hd_journal_reader *reader = HD_CAST(struct hd_journal_reader, READER_MAGIC, *pointer);
	holds_let_go(reader->journal, reader->hold);
	(void)holds_save(reader->journal, NULL); /* the file's older LSN only keeps more */
	if (reader->fd >= 0)
		(void)close(reader->fd);
	hd_buf_done(&reader->buf);
	hd_record_reader_free(&reader->records);
	reader->magic = 0;
	free(reader);
	*pointer = NULL;
}

struct place {
	struct segment *segment; /* referenced */
	uint64_t offset, end;
	uint64_t following; /* LSN of the batch after it */
};

/* HYDRO_E_AGAIN: nothing synced from lsn on. */
static int find_place(struct hd_journal_reader *reader, struct place *ret)
{
	struct hd_journal *journal = reader->journal;
	int rc = HYDRO_E_AGAIN;
	(void)pthread_mutex_lock(&journal->lock);
	struct segment *s = journal->first;
	while (s && (s->last_lsn < reader->next_lsn || segment_batches(s).count == 0))
		s = s->next;
	if (reader->hold->shed) {
		rc = HYDRO_E_STALE;
	} else if (s) {
		struct batch_table table = segment_batches(s);
		uint64_t first = s->header.first_lsn;
		reader->next_lsn = HD_MAX(reader->next_lsn, first);
		uint32_t k = batch_of(&table, (uint32_t)(reader->next_lsn - first));
		s->refs++;
		*ret = (struct place){.segment = s, .offset = table.entries[k].offset, .end = batch_end(&table, k),
				      .following = k + 1 < table.count ? first + table.entries[k + 1].ordinal : s->last_lsn + 1};
		rc = HYDRO_OK;
	}
	(void)pthread_mutex_unlock(&journal->lock);
	return rc;
}

static int use_file(struct hd_journal_reader *reader, const struct segment *segment, struct hydro_error *err)
{
	if (reader->fd >= 0 && reader->fd_segment == segment->header.id)
		return HYDRO_OK;
	if (reader->fd >= 0)
		(void)close(reader->fd);
	reader->fd = -1;
	reader->fd_segment = segment->header.id;
	return segment_open(reader->journal, segment, &reader->fd, err);
}

/* Loads the batch of next_lsn, or the next one there is. */
static int load(struct hd_journal_reader *reader, struct hydro_error *err)
{
	for (;;) {
		struct place place;
		struct batch_header header = {0};
		int rc = find_place(reader, &place);
		if (rc == HYDRO_E_AGAIN)
			return rc;
		if (rc != HYDRO_OK)
			return hd_error_set(err, rc, "the reader %s was shed: the journal is over its bound", reader->hold->name);
		rc = use_file(reader, place.segment, err);
		if (rc == HYDRO_OK)
			rc = segment_read_batch(reader->journal, place.segment, reader->fd, place.offset, place.end, &reader->buf, reader->records,
						&header, err);
		segment_unref(reader->journal, place.segment);
		if (rc == HYDRO_E_CORRUPT)
			reader->next_lsn = place.following;
		if (rc != HYDRO_OK)
			return rc;
		if (header.first_lsn + header.count <= reader->next_lsn) { /* lost records lie between this batch and the next */
			reader->next_lsn = place.following;
			continue;
		}
		reader->next_lsn = HD_MAX(reader->next_lsn, header.first_lsn);
		reader->batch_end = header.first_lsn + header.count;
		rc = hd_record_seek(reader->records, (uint32_t)(reader->next_lsn - header.first_lsn));
		return rc == HYDRO_OK ? rc : hd_error_set(err, HYDRO_E_CORRUPT, "a batch of the journal does not decode");
	}
}

int hd_journal_reader_next(struct hd_journal_reader *reader, struct hd_sample *ret, uint64_t *ret_lsn, struct hydro_error *err)
{
	HD_ASSERT(reader->magic == READER_MAGIC);
	if (reader->next_lsn >= reader->batch_end) {
		int rc = load(reader, err);
		if (rc != HYDRO_OK)
			return rc;
	}
	int rc = hd_record_read(reader->records, ret);
	if (rc != HYDRO_OK) { /* checked by its CRC, so written like that: leave the batch behind */
		reader->next_lsn = reader->batch_end;
		return hd_error_set(err, HYDRO_E_CORRUPT, "a record of the journal does not decode");
	}
	*ret_lsn = reader->next_lsn++;
	return HYDRO_OK;
}

bool hd_journal_reader_wait(struct hd_journal_reader *reader, int timeout_ms)
{
	struct hd_journal *journal = reader->journal;
	struct timespec until;
	journal_deadline(timeout_ms, &until);
	(void)pthread_mutex_lock(&journal->lock);
	while (!reader->woken && !reader->hold->shed && journal->next_lsn <= reader->next_lsn)
		if (pthread_cond_timedwait(&journal->changed, &journal->lock, &until) != 0)
			break;
	bool ready = reader->hold->shed || journal->next_lsn > reader->next_lsn;
	reader->woken = false;
	(void)pthread_mutex_unlock(&journal->lock);
	return ready;
}

void hd_journal_reader_wake(struct hd_journal_reader *reader)
{
	(void)pthread_mutex_lock(&reader->journal->lock);
	reader->woken = true;
	(void)pthread_cond_broadcast(&reader->journal->changed);
	(void)pthread_mutex_unlock(&reader->journal->lock);
}

void hd_journal_reader_release(struct hd_journal_reader *reader, uint64_t lsn)
{
	struct hd_journal *journal = reader->journal;
	(void)pthread_mutex_lock(&journal->lock);
	if (lsn + 1 > reader->hold->lsn)
		reader->hold->lsn = lsn + 1;
	if (journal->first && journal->first->last_lsn <= lsn)
		journal_keep_locked(journal);
	(void)pthread_mutex_unlock(&journal->lock);
}
