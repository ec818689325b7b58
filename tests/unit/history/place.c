/* SPDX-License-Identifier: MIT */
#include "place.h"

#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void event(void *arg, uint32_t level, const char *name, const char *text)
{
	(void)level;
	(void)text;
	if (strcmp(name, "history_month_damaged") == 0 || strcmp(name, "history_day_damaged") == 0)
		((struct place *)arg)->damaged++;
}

void open_place(struct place *p, const struct hd_key *seal)
{
	struct hydro_error err = {0};
	struct hd_journal_config jc = {.dir = p->journal_dir, .segment_bytes = HD_JOURNAL_SEGMENT_BYTES_MIN, .commit_ms = HD_JOURNAL_COMMIT_NOW, .seal = seal};
	cr_assert_eq(hd_journal_open(&jc, &p->journal, &err), HYDRO_OK, "%s", err.text);
	struct hd_history_config hc = {.dir = p->history_dir, .journal = p->journal, .seal = seal, .manual = true, .merge_bytes = p->merge_bytes,
					.month_step_bytes = p->month_step_bytes, .event = event, .event_arg = p};
	cr_assert_eq(hd_history_open(&hc, &p->history, &err), HYDRO_OK, "%s", err.text);
}

void close_place(struct place *p)
{
	hd_history_close(&p->history);
	hd_journal_close(&p->journal);
}

void new_place(struct place *p, const struct hd_key *seal)
{
	*p = (struct place){.dir = "/tmp/hydro-history-XXXXXX"};
	cr_assert_not_null(mkdtemp(p->dir));
	(void)snprintf(p->journal_dir, sizeof p->journal_dir, "%s/journal", p->dir);
	(void)snprintf(p->history_dir, sizeof p->history_dir, "%s/history", p->dir);
	open_place(p, seal);
}

void remove_place(struct place *p)
{
	char command[128];
	close_place(p);
	(void)snprintf(command, sizeof command, "rm -rf %s", p->dir);
	cr_assert_eq(system(command), 0);
}

void flush(struct place *p)
{
	cr_assert_eq(hd_journal_flush(p->journal, 10000), HYDRO_OK);
}

void merge(struct place *p)
{
	struct hydro_error err = {0};
	cr_assert_eq(hd_history_merge(p->history, true, &err), HYDRO_OK, "%s", err.text);
}

uint32_t merge_months(struct place *p, int64_t now_ms)
{
	struct hydro_error err = {0};
	uint32_t steps = 0;
	for (bool more = true; more; steps++)
		cr_assert_eq(hd_history_merge_months(p->history, now_ms, &more, &err), HYDRO_OK, "%s", err.text);
	return steps;
}
