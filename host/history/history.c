/* SPDX-License-Identifier: MIT */
#include "history/internal.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define MERGE_AFTER_MS HOUR_MS
#define MERGE_PENDING (UINT64_C(1) << 30)
#define MONTH_STEP_BYTES (4u << 20)
#define MONTH_AFTER_MS (3 * DAY_MS)
#define LOOK_EVERY_S 1
#define ROLL_TIMEOUT_MS 30000
#define READER_NAME "history"

void history_event(struct hd_history *history, uint32_t level, const char *name, const char *text)
{
	if (history->config.event)
		history->config.event(history->config.event_arg, level, name, text);
}

static void set_error(struct hd_history *history, const struct hydro_error *err)
{
	(void)pthread_mutex_lock(&history->status_lock);
	history->status.error_code = err ? err->code : HYDRO_OK;
	(void)snprintf(history->status.error_text, sizeof history->status.error_text, "%s", err ? err->text : "");
	(void)pthread_mutex_unlock(&history->status_lock);
}

int hd_history_merge(struct hd_history *history, bool roll, struct hydro_error *err)
{
	struct hydro_error own = {0};
	(void)pthread_mutex_lock(&history->merge_lock);
	int rc = roll ? hd_journal_roll(history->config.journal, ROLL_TIMEOUT_MS, &own) : HYDRO_OK;
	if (rc == HYDRO_OK)
		rc = history_merge(history, &own);
	set_error(history, rc == HYDRO_OK ? NULL : &own);
	(void)pthread_mutex_unlock(&history->merge_lock);
	return rc == HYDRO_OK ? rc : hd_error_set(err, rc, "%s", own.text);
}

int hd_history_merge_months(struct hd_history *history, int64_t now_ms, bool *ret_more, struct hydro_error *err)
{
	struct hydro_error own = {0};
	(void)pthread_mutex_lock(&history->merge_lock);
	int rc = history_months_step(history, now_ms, ret_more, &own);
	(void)pthread_mutex_lock(&history->status_lock);
	bool again = rc != HYDRO_OK && strcmp(history->status.month_error_text, own.text) == 0;
	history->status.month_error_code = rc;
	(void)snprintf(history->status.month_error_text, sizeof history->status.month_error_text, "%s", own.text);
	(void)pthread_mutex_unlock(&history->status_lock);
	(void)pthread_mutex_unlock(&history->merge_lock);
	if (rc == HYDRO_OK)
		return rc;
	if (!again)
		history_event(history, HISTORY_LOG_ERROR, "history_months_failed", own.text);
	return hd_error_set(err, rc, "%s", own.text);
}

/* Whether it is time: enough in sealed segments, or a day that is over and not merged. *ret_roll: the open segment too. */
static bool due(struct hd_history *history, int64_t *rolled_day, bool *ret_roll)
{
	struct hd_history_status status;
	hd_history_status(history, &status);
	int64_t day = history_day(hd_clock_wall_ms() - history->config.merge_after_ms);
	*ret_roll = day > *rolled_day;
	if (*ret_roll)
		*rolled_day = day;
	return *ret_roll || status.bytes_waiting >= history->config.merge_pending;
}

static void *merge_thread(void *arg)
{
	struct hd_history *history = arg;
	int64_t rolled_day = history_day(hd_clock_wall_ms() - history->config.merge_after_ms);
	(void)pthread_mutex_lock(&history->wake_lock);
	while (!history->stop) {
		struct timespec until;
		(void)clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += LOOK_EVERY_S;
		(void)pthread_cond_timedwait(&history->wake, &history->wake_lock, &until);
		(void)pthread_mutex_unlock(&history->wake_lock);
		bool roll;
		struct hydro_error err = {0};
		if (due(history, &rolled_day, &roll) && hd_history_merge(history, roll, &err) != HYDRO_OK)
			history_event(history, HISTORY_LOG_ERROR, "history_merge_failed", err.text);
		/* A step a look: months have time, and others the machine. */
		bool more;
		(void)hd_history_merge_months(history, hd_clock_wall_ms(), &more, NULL);
		(void)pthread_mutex_lock(&history->wake_lock);
	}
	(void)pthread_mutex_unlock(&history->wake_lock);
	return NULL;
}

static int start(struct hd_history *history, struct hydro_error *err)
{
	int rc = hd_fs_mkdirs(history->config.dir, 0700, err);
	if (rc == HYDRO_OK)
		rc = history_db_open(history, err);
	if (rc == HYDRO_OK)
		rc = history_slices_load(history, err);
	if (rc == HYDRO_OK) {
		uint64_t from = history->status.merged_lsn ? history->status.merged_lsn + 1 : 0;
		rc = hd_journal_reader_open(history->config.journal, READER_NAME, 0, from, &history->hold, err);
	}
	if (rc == HYDRO_OK && !history->config.manual) {
		rc = hd_thread_start(&history->thread, HD_ROLE_HISTORY, "history", merge_thread, history, err);
		history->thread_started = rc == HYDRO_OK;
	}
	return rc;
}

int hd_history_open(const struct hd_history_config *config, struct hd_history **ret, struct hydro_error *err)
{
	struct hd_history *history = calloc(1, sizeof *history);
	if (!history)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for history");
	history->config = *config;
	if (!history->config.merge_after_ms)
		history->config.merge_after_ms = MERGE_AFTER_MS;
	if (!history->config.merge_pending)
		history->config.merge_pending = MERGE_PENDING;
	if (!history->config.month_after_ms)
		history->config.month_after_ms = MONTH_AFTER_MS;
	if (!history->config.month_step_bytes)
		history->config.month_step_bytes = MONTH_STEP_BYTES;
	if (config->seal) {
		hd_key_derive(config->seal, "history_", &history->seal);
		history->sealed = true;
	}
	(void)pthread_mutex_init(&history->pool_lock, NULL);
	(void)pthread_rwlock_init(&history->segments_lock, NULL);
	(void)pthread_mutex_init(&history->slices_lock, NULL);
	(void)pthread_mutex_init(&history->merge_lock, NULL);
	(void)pthread_mutex_init(&history->wake_lock, NULL);
	(void)pthread_cond_init(&history->wake, NULL);
	(void)pthread_mutex_init(&history->status_lock, NULL);
	int rc = start(history, err);
	if (rc != HYDRO_OK) {
		hd_error_while(err, "opening the history");
		hd_history_close(&history);
		return rc;
	}
	*ret = history;
	return HYDRO_OK;
}

void hd_history_close(struct hd_history **history_pointer)
{
	struct hd_history *history = *history_pointer;
	if (!history)
		return;
	if (history->thread_started) {
		(void)pthread_mutex_lock(&history->wake_lock);
		history->stop = true;
		(void)pthread_cond_signal(&history->wake);
		(void)pthread_mutex_unlock(&history->wake_lock);
		(void)pthread_join(history->thread, NULL);
	}
	hd_journal_reader_close(&history->hold);
	history_db_close(history);
	hd_chunk_codec_done(&history->codec);
	history_chunks_done(&history->chunks);
	rowset_done(&history->rows);
	rowset_done(&history->day);
	hd_buf_done(&history->chunk);
	hd_buf_done(&history->sealed_chunk);
	hd_key_wipe(&history->seal);
	(void)pthread_mutex_destroy(&history->pool_lock);
	(void)pthread_rwlock_destroy(&history->segments_lock);
	history_slices_done(history);
	free(history->days.list);
	(void)pthread_mutex_destroy(&history->slices_lock);
	(void)pthread_mutex_destroy(&history->merge_lock);
	(void)pthread_mutex_destroy(&history->wake_lock);
	(void)pthread_cond_destroy(&history->wake);
	(void)pthread_mutex_destroy(&history->status_lock);
	free(history);
	*history_pointer = NULL;
}

static uint64_t file_bytes(const char *path, const char *suffix)
{
	char name[4096];
	struct stat st;
	(void)snprintf(name, sizeof name, "%s%s", path, suffix);
	return stat(name, &st) == 0 ? (uint64_t)st.st_size : 0;
}

void history_pending(struct hd_history *history, struct history_pending *ret)
{
	struct hd_journal_sealed list[64];
	(void)pthread_mutex_lock(&history->status_lock);
	*ret = (struct history_pending){.last_lsn = history->status.merged_lsn};
	(void)pthread_mutex_unlock(&history->status_lock);
	for (size_t count; (count = hd_journal_sealed_list(history->config.journal, ret->last_lsn, list, HD_ARRAY_LEN(list))) > 0;) {
		for (size_t i = 0; i < count; i++)
			ret->bytes += list[i].bytes;
		ret->segments += count;
		ret->last_lsn = list[count - 1].last_lsn;
	}
}

void hd_history_status(struct hd_history *history, struct hd_history_status *ret)
{
	struct history_pending pending;
	(void)pthread_mutex_lock(&history->status_lock);
	*ret = history->status;
	(void)pthread_mutex_unlock(&history->status_lock);
	history_pending(history, &pending);
	ret->segments_waiting = pending.segments;
	ret->bytes_waiting = pending.bytes;
	ret->bytes = file_bytes(history->path, "") + file_bytes(history->path, "-wal");
}
