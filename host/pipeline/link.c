/* SPDX-License-Identifier: MIT */
#include "pipeline/link.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define HOLD_NAME "state"

struct hd_pipeline_link {
	struct hd_journal *journal;
	struct hd_journal_reader *hold; /* never reads: keeps what a start would need */
	_Atomic(struct hd_pipeline *) pipeline;
	_Atomic uint32_t replays;
};

int hd_pipeline_link_new(struct hd_pipeline_link **ret)
{
	*ret = calloc(1, sizeof **ret);
	return *ret ? HYDRO_OK : HYDRO_E_NOMEM;
}

void hd_pipeline_link_free(struct hd_pipeline_link **link)
{
	free(*link);
	*link = NULL;
}

static int append(void *arg, struct hd_batch *batch, struct hydro_error *err)
{
	const struct hd_pipeline_link *link = arg;
	return hd_journal_append(link->journal, batch, err);
}

static void release(void *arg, uint64_t lsn)
{
	const struct hd_pipeline_link *link = arg;
	if (link->hold)
		hd_journal_reader_release(link->hold, lsn);
}

static int read_all(struct hd_journal_reader *reader, hd_sample_row_fn row, void *row_arg, struct hydro_error *err)
{
	struct hd_sample sample;
	uint64_t lsn;
	for (;;) {
		int rc = hd_journal_reader_next(reader, &sample, &lsn, err);
		if (rc == HYDRO_E_AGAIN)
			return HYDRO_OK;
		if (rc == HYDRO_E_CORRUPT)
			continue; /* set aside and reported by the journal */
		if (rc == HYDRO_OK)
			rc = row(row_arg, &sample, lsn);
		if (rc != HYDRO_OK)
			return rc;
	}
}

/* A reader of its own for each worker, forgotten afterwards. */
static int replay(void *arg, uint64_t from_lsn, hd_sample_row_fn row, void *row_arg, struct hydro_error *err)
{
	struct hd_pipeline_link *link = arg;
	char name[HD_JOURNAL_READER_NAME_MAX + 1];
	(void)snprintf(name, sizeof name, HOLD_NAME ".replay.%u", atomic_fetch_add(&link->replays, 1));
	struct hd_journal_reader *reader = NULL;
	int rc = hd_journal_reader_open(link->journal, name, 0, from_lsn, &reader, err);
	if (rc == HYDRO_E_STALE) /* what is gone was not needed by any shard that was written */
		rc = hd_journal_reader_open(link->journal, name, 0, 0, &reader, err);
	if (rc != HYDRO_OK)
		return rc;
	rc = read_all(reader, row, row_arg, err);
	hd_journal_reader_close(&reader);
	(void)hd_journal_reader_forget(link->journal, name, NULL);
	return rc;
}

int hd_pipeline_link_journal(struct hd_pipeline_link *link, struct hd_journal *journal, struct hd_pipeline_config *config, struct hydro_error *err)
{
	link->journal = journal;
	config->append = append;
	config->append_arg = link;
	config->replay = replay;
	config->replay_arg = link;
	config->release = release;
	config->release_arg = link;
	return hd_journal_reader_open(journal, HOLD_NAME, 0, 0, &link->hold, err);
}

void hd_pipeline_link_pipeline(struct hd_pipeline_link *link, struct hd_pipeline *pipeline)
{
	atomic_store(&link->pipeline, pipeline);
}

void hd_pipeline_link_detach(struct hd_pipeline_link *link)
{
	hd_journal_reader_close(&link->hold);
}

void hd_pipeline_link_synced(void *arg, struct hd_batch *batch)
{
	struct hd_pipeline_link *link = arg;
	hd_pipeline_synced(atomic_load(&link->pipeline), batch);
}
