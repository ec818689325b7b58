/* SPDX-License-Identifier: MIT */
/* A journal and a history over it in a temporary folder, merged by hand. */
#ifndef HD_TESTS_HISTORY_PLACE_H
#define HD_TESTS_HISTORY_PLACE_H

#include "history/history.h"

struct place {
	char dir[64];
	char journal_dir[96], history_dir[96];
	uint64_t merge_bytes, month_step_bytes;
	uint32_t damaged; /* events that told of damage */
	struct hd_journal *journal;
	struct hd_history *history;
};

void open_place(struct place *p, const struct hd_key *seal);
void close_place(struct place *p);
void new_place(struct place *p, const struct hd_key *seal);
void remove_place(struct place *p);
/* Everything appended is synced. */
void flush(struct place *p);
void merge(struct place *p);
/* Whatever is due for months at now_ms; how many steps did something or looked in vain. */
uint32_t merge_months(struct place *p, int64_t now_ms);

#endif
