/* SPDX-License-Identifier: MIT */
/* The pipeline's seams set to the real journal. */
#ifndef HD_PIPELINE_LINK_H
#define HD_PIPELINE_LINK_H

#include "journal/journal.h"
#include "pipeline/pipeline.h"

struct hd_pipeline_link;

/*
 * The journal wants its `synced` before there is a pipeline, the pipeline its journal: the link stands between them.
 *
 *     hd_pipeline_link_new(&link);
 *     journal.synced = hd_pipeline_link_synced; journal.synced_arg = link;   hd_journal_open(&journal, &j)
 *     hd_pipeline_link_journal(link, j, &config);                            hd_pipeline_open(&config, &p)
 *     hd_pipeline_link_pipeline(link, p);            plans, hd_pipeline_recover(p), feeding …
 *     hd_pipeline_drain(p); hd_pipeline_link_detach(link); hd_journal_close(&j); hd_pipeline_close(&p); hd_pipeline_link_free(&link);
 */
int hd_pipeline_link_new(struct hd_pipeline_link **ret);
void hd_pipeline_link_free(struct hd_pipeline_link **link);
/* Fills append, replay and release. Keeps a reader named "state" in the journal, so that nothing is reused that a start
 * would need. Errors as hd_journal_reader_open. [control] */
int hd_pipeline_link_journal(struct hd_pipeline_link *link, struct hd_journal *journal, struct hd_pipeline_config *config, struct hydro_error *err);
void hd_pipeline_link_pipeline(struct hd_pipeline_link *link, struct hd_pipeline *pipeline);
/* Closes the reader; after hd_pipeline_drain, before hd_journal_close. */
void hd_pipeline_link_detach(struct hd_pipeline_link *link);
void hd_pipeline_link_synced(void *arg, struct hd_batch *batch);

#endif
