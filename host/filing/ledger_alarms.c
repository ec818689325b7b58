/* SPDX-License-Identifier: MIT */
/* Alarms: one for each (kind, work, centre), open until cleared. */
#include "filing/ledger_inner.h"

#include <string.h>

/* An alarm that is raised again and says the same is written down again after so long only. */
#define REPEAT_MS INT64_C(60000)

static uint32_t count_of(const struct hd_alarm *alarm)
{
	return alarm->count ? alarm->count : 1;
}

static void bind_key(sqlite3_stmt *stmt, const char *kind, uint32_t work, uint32_t centre)
{
	hd_bind_text(stmt, 1, kind);
	hd_bind_int(stmt, 2, work);
	hd_bind_int(stmt, 3, centre);
}

struct question {
	const struct hd_alarm *alarm;
	bool open, same;
};

static int look(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct question *q = arg;
	const struct hd_alarm *alarm = q->alarm;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT level, count, text, text_en, last_ms FROM alarms WHERE kind = ?1 AND work = ?2 AND centre = ?3 AND cleared_ms = 0", err);
	if (!stmt)
		return HYDRO_E_IO;
	bind_key(stmt, alarm->kind, alarm->work, alarm->centre);
	int rc = hd_db_step(db, stmt, &q->open, err);
	if (rc == HYDRO_OK && q->open && alarm->text)
		q->same = sqlite3_column_int64(stmt, 0) == alarm->level && sqlite3_column_int64(stmt, 1) == count_of(alarm) &&
			  strcmp(hd_column_text(stmt, 2), alarm->text) == 0 && strcmp(hd_column_text(stmt, 3), alarm->text_en ? alarm->text_en : "") == 0 &&
			  alarm->last_ms - sqlite3_column_int64(stmt, 4) < REPEAT_MS;
	(void)sqlite3_reset(stmt);
	return rc;
}

static int raise(struct hd_db *db, void *arg, struct hydro_error *err)
{
	const struct hd_alarm *alarm = arg;
	/* A graver level is to be seen anew. */
	sqlite3_stmt *stmt = hd_db_prepare(db, "INSERT INTO alarms (kind, work, centre, level, count, text, text_en, since_ms, last_ms, cleared_ms, seen_ms, seen_by)"
					       " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0, 0, '') ON CONFLICT (kind, work, centre) WHERE cleared_ms = 0 DO UPDATE SET"
					       " seen_ms = iif(excluded.level > level, 0, seen_ms), seen_by = iif(excluded.level > level, '', seen_by),"
					       " level = excluded.level, count = excluded.count, text = excluded.text, text_en = excluded.text_en, last_ms = excluded.last_ms", err);
	if (!stmt)
		return HYDRO_E_IO;
	bind_key(stmt, alarm->kind, alarm->work, alarm->centre);
	hd_bind_int(stmt, 4, alarm->level);
	hd_bind_int(stmt, 5, count_of(alarm));
	hd_bind_text(stmt, 6, alarm->text);
	hd_bind_text(stmt, 7, alarm->text_en);
	hd_bind_int(stmt, 8, alarm->since_ms ? alarm->since_ms : alarm->last_ms);
	hd_bind_int(stmt, 9, alarm->last_ms);
	return hd_db_run(db, stmt, err);
}

int hd_ledger_alarm_raise(struct hd_ledger *ledger, const struct hd_alarm *alarm, struct hydro_error *err)
{
	struct question q = {.alarm = alarm};
	struct hd_alarm copy = *alarm;
	if (!alarm->kind || !alarm->kind[0] || (alarm->level != HD_ALARM_AMBER && alarm->level != HD_ALARM_RED))
		return hd_error_set(err, HYDRO_E_INVALID, "an alarm needs a kind and a level");
	copy.text = alarm->text ? alarm->text : "";
	q.alarm = &copy;
	int rc = hd_ledger_read(ledger, look, &q, err);
	return rc != HYDRO_OK || q.same ? rc : hd_ledger_write(ledger, raise, &copy, err);
}

struct clearing {
	const char *kind;
	uint32_t work, centre;
	int64_t now_ms;
};

static int clear(struct hd_db *db, void *arg, struct hydro_error *err)
{
	const struct clearing *c = arg;
	sqlite3_stmt *stmt = hd_db_prepare(db, "UPDATE alarms SET cleared_ms = ?4 WHERE kind = ?1 AND work = ?2 AND centre = ?3 AND cleared_ms = 0", err);
	if (!stmt)
		return HYDRO_E_IO;
	bind_key(stmt, c->kind, c->work, c->centre);
	hd_bind_int(stmt, 4, c->now_ms);
	return hd_db_run(db, stmt, err);
}

int hd_ledger_alarm_clear(struct hd_ledger *ledger, const char *kind, uint32_t work, uint32_t centre, int64_t now_ms, struct hydro_error *err)
{
	struct hd_alarm alarm = {.kind = kind, .work = work, .centre = centre};
	struct question q = {.alarm = &alarm};
	struct clearing clearing = {kind, work, centre, now_ms};
	int rc = hd_ledger_read(ledger, look, &q, err);
	return rc != HYDRO_OK || !q.open ? rc : hd_ledger_write(ledger, clear, &clearing, err);
}

struct seeing {
	uint64_t number;
	const char *by;
	int64_t now_ms;
};

static int see(struct hd_db *db, void *arg, struct hydro_error *err)
{
	const struct seeing *s = arg;
	sqlite3_stmt *stmt = hd_db_prepare(db, "UPDATE alarms SET seen_ms = ?2, seen_by = ?3 WHERE number = ?1", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, (int64_t)s->number);
	hd_bind_int(stmt, 2, s->now_ms);
	hd_bind_text(stmt, 3, s->by);
	int rc = hd_db_run(db, stmt, err);
	if (rc == HYDRO_OK && sqlite3_changes(hd_db_handle(db)) == 0)
		rc = hd_error_set(err, HYDRO_E_NOTFOUND, "there is no alarm %llu", (unsigned long long)s->number);
	return rc;
}

int hd_ledger_alarm_seen(struct hd_ledger *ledger, uint64_t number, const char *by, int64_t now_ms, struct hydro_error *err)
{
	struct seeing seeing = {number, by, now_ms};
	return hd_ledger_write(ledger, see, &seeing, err);
}

struct listing {
	bool open_only;
	uint32_t work;
	hd_alarm_fn fn;
	void *arg;
};

static int list(struct hd_db *db, void *arg, struct hydro_error *err)
{
	const struct listing *l = arg;
	bool row = false;
	int rc;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT number, kind, work, centre, level, count, text, text_en, since_ms, last_ms, cleared_ms, seen_ms, seen_by FROM alarms"
					       " WHERE (?1 = 0 OR cleared_ms = 0) AND (?2 < 0 OR work = ?2) ORDER BY cleared_ms <> 0, level DESC, number DESC", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, l->open_only);
	hd_bind_int(stmt, 2, l->work == HD_LEDGER_ALL ? -1 : (int64_t)l->work);
	while ((rc = hd_db_step(db, stmt, &row, err)) == HYDRO_OK && row) {
		struct hd_alarm alarm = {.number = (uint64_t)sqlite3_column_int64(stmt, 0), .kind = hd_column_text(stmt, 1), .work = (uint32_t)sqlite3_column_int64(stmt, 2),
					 .centre = (uint32_t)sqlite3_column_int64(stmt, 3), .level = (uint32_t)sqlite3_column_int64(stmt, 4),
					 .count = (uint32_t)sqlite3_column_int64(stmt, 5), .text = hd_column_text(stmt, 6), .text_en = hd_column_text(stmt, 7),
					 .since_ms = sqlite3_column_int64(stmt, 8), .last_ms = sqlite3_column_int64(stmt, 9), .cleared_ms = sqlite3_column_int64(stmt, 10),
					 .seen_ms = sqlite3_column_int64(stmt, 11), .seen_by = hd_column_text(stmt, 12)};
		if ((rc = l->fn(l->arg, &alarm, err)) != HYDRO_OK)
			break;
	}
	(void)sqlite3_reset(stmt);
	return rc;
}

int hd_ledger_alarm_list(struct hd_ledger *ledger, bool open_only, uint32_t work, hd_alarm_fn fn, void *arg, struct hydro_error *err)
{
	struct listing listing = {open_only, work, fn, arg};
	return hd_ledger_read(ledger, list, &listing, err);
}
