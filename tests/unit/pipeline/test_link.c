/* SPDX-License-Identifier: MIT */
/* The pipeline on the real journal: what was acknowledged is there after a restart, once, and counting goes on. */
#include "rig.h"

#include "pipeline/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POINTS 50u

struct real {
	struct rig rig; /* names, points and helpers; its own journal is not used */
	struct hd_pipeline_link *link;
	struct hd_journal *journal;
	struct hd_journal_reader *merger; /* stands for history, which would have kept what the state lets go */
	struct hd_spec spec;
	char dir[64], journal_dir[128], state_dir[128];
};

static int history(void *arg, uint32_t point, int64_t from_ms, int64_t to_ms, hd_sample_row_fn row, void *row_arg, struct hydro_error *err)
{
	const struct real *real = arg;
	return hd_journal_query(real->journal, point, from_ms, to_ms, 0, row, row_arg, err);
}

static void begin(struct real *real)
{
	struct hydro_error err = {.struct_size = sizeof err};
	cr_assert_eq(hd_pipeline_link_new(&real->link), HYDRO_OK);
	struct hd_journal_config journal = {.dir = real->journal_dir, .segment_bytes = 1 << 20, .synced = hd_pipeline_link_synced, .synced_arg = real->link};
	cr_assert_eq(hd_journal_open(&journal, &real->journal, &err), HYDRO_OK);
	cr_assert_eq(hd_journal_reader_open(real->journal, "history", 0, 0, &real->merger, &err), HYDRO_OK);
	struct hd_pipeline_config config = {.workers = 2, .names = real->rig.names, .points = real->rig.points, .state_dir = real->state_dir,
					    .history = history, .history_arg = real};
	cr_assert_eq(hd_pipeline_link_journal(real->link, real->journal, &config, &err), HYDRO_OK);
	cr_assert_eq(hd_pipeline_open(&config, &real->rig.pipeline, &err), HYDRO_OK);
	hd_pipeline_link_pipeline(real->link, real->rig.pipeline);
	(void)rig_plan(&real->rig, &real->spec, POINTS);
	uint64_t records;
	cr_assert_eq(hd_pipeline_recover(real->rig.pipeline, &records, &err), HYDRO_OK);
}

static void end(struct real *real)
{
	cr_assert_eq(hd_pipeline_drain(real->rig.pipeline, 10000, NULL), HYDRO_OK);
	hd_pipeline_link_detach(real->link);
	hd_journal_reader_close(&real->merger);
	hd_journal_close(&real->journal);
	hd_pipeline_close(&real->rig.pipeline);
	hd_pipeline_link_free(&real->link);
}

static void open_real(struct real *real)
{
	memset(real, 0, sizeof *real);
	rig_open(&real->rig, POINTS, "well", NULL);
	hd_pipeline_close(&real->rig.pipeline);
	(void)snprintf(real->dir, sizeof real->dir, "/tmp/hydro-link-XXXXXX");
	cr_assert_not_null(mkdtemp(real->dir));
	(void)snprintf(real->journal_dir, sizeof real->journal_dir, "%s/journal", real->dir);
	(void)snprintf(real->state_dir, sizeof real->state_dir, "%s/state", real->dir);
	rig_well(&real->spec);
	begin(real);
}

static void close_real(struct real *real)
{
	end(real);
	hd_spec_done(&real->spec);
	hd_points_free(&real->rig.points);
	hd_names_close(&real->rig.names);
	hd_batch_free(&real->rig.stored);
	char command[128];
	(void)snprintf(command, sizeof command, "rm -rf '%s'", real->dir);
	cr_assert_eq(system(command), 0);
}

static void feed_hour(struct real *real, int h)
{
	(void)pthread_mutex_lock(&real->rig.lock);
	real->rig.acked = real->rig.acked_accepted = real->rig.acked_dropped = 0;
	(void)pthread_mutex_unlock(&real->rig.lock);
	for (uint32_t i = 0; i < POINTS; i++)
		cr_assert_eq(rig_feed1(&real->rig, i, RIG_T0 + h * RIG_HOUR, HD_METRIC_PULSES, 1000 + 36 * h), HYDRO_OK);
	(void)pthread_mutex_lock(&real->rig.lock);
	while (real->rig.acked < POINTS)
		(void)pthread_cond_wait(&real->rig.changed, &real->rig.lock);
	(void)pthread_mutex_unlock(&real->rig.lock);
}

static void all_flow_one(struct real *real, int h)
{
	struct hd_latest_value latest;
	for (uint32_t i = 0; i < POINTS; i++) {
		cr_assert(hd_latest_get(hd_pipeline_latest(real->rig.pipeline), i, &latest));
		cr_assert_eq(latest.ts_ms, RIG_T0 + h * RIG_HOUR);
		bool found = false;
		for (uint32_t k = 0; k < latest.count; k++)
			if (latest.metrics[k].metric == HD_METRIC_FLOW) {
				cr_assert_float_eq(latest.metrics[k].value, 1.0, 1e-9);
				found = true;
			}
		cr_assert(found || h == 0);
	}
}

Test(link, what_was_acknowledged_is_there_once_after_a_restart_and_counting_goes_on)
{
	struct real real;
	open_real(&real);
	for (int h = 0; h < 5; h++)
		feed_hour(&real, h);
	all_flow_one(&real, 4);
	for (int round = 0; round < 2; round++) {
		end(&real);
		if (round == 1) { /* without any state file */
			char command[160];
			(void)snprintf(command, sizeof command, "rm -f '%s'/*", real.state_dir);
			cr_assert_eq(system(command), 0);
		}
		begin(&real);
		all_flow_one(&real, 4 + round);
		struct hd_journal_status before, after;
		hd_journal_status(real.journal, &before);
		for (int h = 0; h < 5 + round; h++) { /* all of it comes again */
			feed_hour(&real, h);
			cr_assert_eq(real.rig.acked_dropped, POINTS);
		}
		hd_journal_status(real.journal, &after);
		cr_assert_eq(after.next_lsn, before.next_lsn);
		feed_hour(&real, 5 + round);
		all_flow_one(&real, 5 + round);
	}
	close_real(&real);
}

Test(link, late_data_is_redone_from_the_journal)
{
	struct real real;
	open_real(&real);
	for (int h = 0; h < 6; h++)
		if (h != 3)
			feed_hour(&real, h);
	feed_hour(&real, 3);
	struct hd_pipeline_status status;
	do {
		rig_settle(&real.rig, 0);
		for (uint32_t i = 0; i < POINTS; i++)
			rig_settle(&real.rig, i);
		hd_pipeline_status(real.rig.pipeline, UINT32_MAX, &status);
	} while (status.redone < 3 * POINTS);
	cr_assert_eq(status.late, POINTS);
	/* Of the three readings since then only the late one changed: the flow was even. */
	cr_assert_eq(status.revisions, POINTS);
	all_flow_one(&real, 5);
	close_real(&real);
}
