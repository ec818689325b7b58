/* SPDX-License-Identifier: MIT */
#include "journal/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Upper edge of the bucket in which the share of all syncs is reached. */
static int64_t percentile(const struct hd_journal *journal, uint64_t total, uint64_t per_cent)
{
	uint64_t wanted = (total * per_cent + 99) / 100, seen = 0;
	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS && wanted; i++) {
		seen += journal->histogram[i];
		if (seen >= wanted)
			return (int64_t)((UINT64_C(8) + (i & 7) + 1) << (i / 8 - 3));
	}
	return 0;
}

void hd_journal_status(struct hd_journal *journal, struct hd_journal_status *ret)
{
	const char *holder = "";
	(void)pthread_mutex_lock(&journal->lock);
	*ret = journal->status;
	ret->first_lsn = journal->first ? journal->first->header.first_lsn : journal->next_lsn;
	ret->next_lsn = journal->next_lsn;
	ret->synced_lsn = journal->next_lsn - 1;
	ret->bytes = journal_bytes_locked(journal);
	ret->segments = 0;
	for (const struct segment *s = journal->first; s; s = s->next)
		ret->segments++;
	ret->spares = journal->spare_count;
	ret->queued = atomic_load(&journal->in_flight);
	ret->sync_p50_ns = percentile(journal, ret->syncs, 50);
	ret->sync_p99_ns = percentile(journal, ret->syncs, 99);
	ret->held_lsn = holds_first_locked(journal, &holder);
	(void)snprintf(ret->holder, sizeof ret->holder, "%s", holder);
	(void)pthread_mutex_unlock(&journal->lock);
	if (ret->error_code == HYDRO_OK && atomic_load(&journal->over_bound)) {
		ret->error_code = HYDRO_E_FULL;
		(void)snprintf(ret->error_text, sizeof ret->error_text, "the journal is at its bound of %" PRIu64 " bytes, held by %s from record %" PRIu64,
			       journal->config.max_bytes, *holder ? ret->holder : "no known reader", ret->held_lsn);
	}
}
