/* SPDX-License-Identifier: MIT */
/* Works. */
#include "filing/ledger_fields.h"

#include "base/clock.h"

#include <cjson/cJSON.h>
#include <string.h>

/* As in struct hd_work and in the table, in the same order in both statements. */
#define WORK_FIELDS(X) \
	X(U32, mode) X(U32, centre) X(U32, informant) X(U32, every) X(U32, pick) X(U32, lag_months) X(BOOL, by_sheet) X(BOOL, deleted) X(UUID, point) \
	X(MS, lag_ms) X(MS, at_ms) X(MS, window_ms) X(MS, starts_ms) X(MS, ends_ms) X(MS, held_since_ms) X(REAL, granted_lps) X(REAL, granted_m3_year) \
	X(TEXT, code) X(TEXT, name) X(TEXT, kind) X(TEXT, standard) X(TEXT, family) X(TEXT, client) X(TEXT, region) X(TEXT, shac) X(TEXT, notes) \
	X(TEXT, held_why) X(TEXT, options) X(TEXT, adapters) X(TEXT, flow_metric) X(TEXT, total_metric) X(TEXT, level_metric)
#define WORK_ROW(type_, name_) {.name = #name_, .type = HD_FIELD_##type_, .offset = offsetof(struct hd_work, name_)},
static const struct hd_field work_fields[] = {WORK_FIELDS(WORK_ROW)};
#define SELECT_WORKS "SELECT number, uuid, version, created_ms, updated_ms" WORK_FIELDS(HD_FIELD_COLUMN) " FROM works "

static void read_work(sqlite3_stmt *stmt, struct hd_work *ret)
{
	ret->number = (uint32_t)sqlite3_column_int64(stmt, 0);
	ret->id = hd_column_uuid(stmt, 1);
	ret->version = (uint64_t)sqlite3_column_int64(stmt, 2);
	ret->created_ms = sqlite3_column_int64(stmt, 3);
	ret->updated_ms = sqlite3_column_int64(stmt, 4);
	hd_fields_read(stmt, work_fields, HD_ARRAY_LEN(work_fields), ret);
}

/* ---- checks ----------------------------------------------------------------------------------------------------------- */

static int check_json(const char *name, const char *text, bool array, struct hydro_error *err)
{
	const char *end = NULL;
	cJSON *json = cJSON_ParseWithOpts(text, &end, true);
	bool good = json && (array ? cJSON_IsArray(json) : cJSON_IsObject(json));
	cJSON_Delete(json);
	return good ? HYDRO_OK : hd_error_set(err, HYDRO_E_INVALID, "%s: not a JSON %s", name, array ? "array" : "object");
}

static int check_there(struct hd_db *db, const char *name, bool centre, uint32_t number, struct hydro_error *err)
{
	bool row = false;
	if (number == 0)
		return HYDRO_OK;
	sqlite3_stmt *stmt = centre ? hd_db_prepare(db, "SELECT 1 FROM centres WHERE number = ?1", err) : hd_db_prepare(db, "SELECT 1 FROM informants WHERE number = ?1", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, number);
	int rc = hd_db_step(db, stmt, &row, err);
	(void)sqlite3_reset(stmt);
	return rc == HYDRO_OK && !row ? hd_error_set(err, HYDRO_E_INVALID, "%s: there is none with number %u", name, number) : rc;
}

static int check_work(struct hd_db *db, const struct hd_work *work, struct hydro_error *err)
{
	int rc = hd_fields_check(work_fields, HD_ARRAY_LEN(work_fields), work, err);
	if (rc != HYDRO_OK)
		return rc;
	if (!work->code[0] || strlen(work->code) > HD_WORK_CODE_BYTES_MAX)
		return hd_error_set(err, HYDRO_E_INVALID, "code: 1 to %u bytes", HD_WORK_CODE_BYTES_MAX);
	if (work->mode > HD_MODE_LIVE)
		return hd_error_set(err, HYDRO_E_INVALID, "mode: there is no mode %u", work->mode);
	if (work->every > HYDRO_EVERY_HALF_YEAR)
		return hd_error_set(err, HYDRO_E_INVALID, "every: there is no frequency %u", work->every);
	if (work->pick != HD_PICK_NEAREST && work->pick != HD_PICK_MEAN)
		return hd_error_set(err, HYDRO_E_INVALID, "pick: there is no way %u", work->pick);
	if (work->lag_ms < 0 || work->at_ms < -1 || work->window_ms < 0)
		return hd_error_set(err, HYDRO_E_INVALID, "lag_ms, at_ms, window_ms: below zero");
	if (work->ends_ms && work->ends_ms < work->starts_ms)
		return hd_error_set(err, HYDRO_E_INVALID, "ends_ms: before starts_ms");
	if (work->options[0] && (rc = check_json("options", work->options, false, err)) != HYDRO_OK)
		return rc;
	if (work->adapters[0] && (rc = check_json("adapters", work->adapters, true, err)) != HYDRO_OK)
		return rc;
	rc = check_there(db, "centre", true, work->centre, err);
	return rc == HYDRO_OK ? check_there(db, "informant", false, work->informant, err) : rc;
}

/* ---- writing ---------------------------------------------------------------------------------------------------------- */

static int write_work(struct hd_db *db, const struct hd_work *work, bool is_new, struct hydro_error *err)
{
	sqlite3_stmt *stmt = is_new ? hd_db_prepare(db, "INSERT INTO works (number, uuid, version, created_ms, updated_ms" WORK_FIELDS(HD_FIELD_COLUMN)
						    ") VALUES (?1, ?2, ?3, ?4, ?5" WORK_FIELDS(HD_FIELD_PARAMETER) ")", err)
				    : hd_db_prepare(db, "UPDATE works SET number = ?1, uuid = ?2, version = ?3, created_ms = ?4, updated_ms = ?5" WORK_FIELDS(HD_FIELD_SET)
						    " WHERE number = ?1", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, work->number);
	hd_bind_uuid(stmt, 2, &work->id);
	hd_bind_int(stmt, 3, (int64_t)work->version);
	hd_bind_int(stmt, 4, work->created_ms);
	hd_bind_int(stmt, 5, work->updated_ms);
	hd_fields_bind(stmt, work_fields, HD_ARRAY_LEN(work_fields), work);
	int rc = hd_db_run(db, stmt, err);
	return rc == HYDRO_E_EXISTS ? hd_error_set(err, rc, "code: there is a work \"%s\" already", work->code) : rc;
}

static int next_number(struct hd_db *db, uint32_t *ret, struct hydro_error *err)
{
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT coalesce(max(number), 0) + 1 FROM works", err);
	if (!stmt)
		return HYDRO_E_IO;
	int rc = hd_db_step(db, stmt, &row, err);
	if (rc == HYDRO_OK && row)
		*ret = (uint32_t)sqlite3_column_int64(stmt, 0);
	(void)sqlite3_reset(stmt);
	return rc;
}

static int create(struct hd_tx *tx, struct hd_work *work, const char *by, struct hydro_error *err)
{
	static const struct hd_uuid none;
	struct hd_buf detail = {0};
	int rc = check_work(tx->db, work, err);
	if (rc == HYDRO_OK)
		rc = next_number(tx->db, &work->number, err);
	if (rc != HYDRO_OK)
		return rc;
	if (hd_uuid_equal(&work->id, &none))
		work->id = hd_uuid_new();
	work->version = 1;
	work->created_ms = work->updated_ms = hd_clock_wall_ms();
	rc = write_work(tx->db, work, true, err);
	(void)hd_buf_add_text(&detail, "{\"act\":\"create\"");
	hd_fields_json(&detail, work_fields, HD_ARRAY_LEN(work_fields), NULL, work);
	(void)hd_buf_add_char(&detail, '}');
	if (rc == HYDRO_OK)
		rc = hd_tx_note(tx, work->number, by, &detail, err);
	hd_buf_done(&detail);
	tx->revises = true;
	return rc;
}

int hd_ledger_work_create(struct hd_ledger *ledger, struct hd_work *work, const char *by, struct hydro_error *err)
{
	struct hd_tx tx;
	int rc = hd_tx_begin(ledger, &tx, err);
	return rc == HYDRO_OK ? hd_tx_end(&tx, create(&tx, work, by, err), err) : rc;
}

static void describe_change(struct hd_buf *out, const char *why, const struct hd_work *before, const struct hd_work *work)
{
	(void)hd_buf_add_text(out, "{\"act\":\"replace\",\"why\":");
	(void)hd_buf_add_json(out, why ? why : "", why ? strlen(why) : 0);
	hd_fields_json(out, work_fields, HD_ARRAY_LEN(work_fields), before, work);
	(void)hd_buf_add_char(out, '}');
}

static int replace(struct hd_tx *tx, struct hd_work *work, const char *by, const char *why, struct hydro_error *err)
{
	struct hd_work before;
	struct hd_buf detail = {0};
	bool row = false;
	int rc = check_work(tx->db, work, err);
	if (rc != HYDRO_OK)
		return rc;
	sqlite3_stmt *stmt = hd_db_prepare(tx->db, SELECT_WORKS "WHERE uuid = ?1 AND deleted = 0", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_uuid(stmt, 1, &work->id);
	rc = hd_db_step(tx->db, stmt, &row, err);
	if (rc == HYDRO_OK && !row)
		rc = hd_error_set(err, HYDRO_E_NOTFOUND, "there is no such work");
	if (rc == HYDRO_OK)
		read_work(stmt, &before);
	if (rc == HYDRO_OK && work->version && work->version != before.version)
		rc = hd_error_set(err, HYDRO_E_STALE, "work %s was changed since: it is at version %llu", before.code, (unsigned long long)before.version);
	if (rc == HYDRO_OK) {
		work->number = before.number;
		work->version = before.version + 1;
		work->created_ms = before.created_ms;
		work->updated_ms = hd_clock_wall_ms();
		describe_change(&detail, why, &before, work);
	}
	(void)sqlite3_reset(stmt);
	if (rc == HYDRO_OK)
		rc = write_work(tx->db, work, false, err);
	if (rc == HYDRO_OK)
		rc = hd_tx_note(tx, work->number, by, &detail, err);
	hd_buf_done(&detail);
	tx->revises = true;
	return rc;
}

int hd_ledger_work_replace(struct hd_ledger *ledger, struct hd_work *work, const char *by, const char *why, struct hydro_error *err)
{
	struct hd_tx tx;
	int rc = hd_tx_begin(ledger, &tx, err);
	return rc == HYDRO_OK ? hd_tx_end(&tx, replace(&tx, work, by, why, err), err) : rc;
}

int hd_ledger_works_put(struct hd_ledger *ledger, struct hd_work *const *works, uint32_t count, const char *by, const char *why, uint32_t *ret_failed,
			struct hydro_error *err)
{
	struct hd_tx tx;
	int rc = hd_tx_begin(ledger, &tx, err);
	*ret_failed = count;
	if (rc != HYDRO_OK)
		return rc;
	for (uint32_t i = 0; i < count && rc == HYDRO_OK; i++) {
		rc = works[i]->number ? replace(&tx, works[i], by, why, err) : create(&tx, works[i], by, err);
		if (rc != HYDRO_OK)
			*ret_failed = i;
	}
	return hd_tx_end(&tx, rc, err);
}

/* ---- reading ---------------------------------------------------------------------------------------------------------- */

struct query {
	uint32_t number;
	const struct hd_uuid *id;
	const char *code;
	const struct hd_work_filter *filter;
	hd_work_fn fn;
	void *arg;
	struct hd_store_page *page;
};

static int get_work(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct query *query = arg;
	struct hd_work work;
	bool row = false;
	sqlite3_stmt *stmt = query->number ? hd_db_prepare(db, SELECT_WORKS "WHERE number = ?1", err)
			   : query->id ? hd_db_prepare(db, SELECT_WORKS "WHERE uuid = ?1 AND deleted = 0", err)
				       : hd_db_prepare(db, SELECT_WORKS "WHERE code = ?1 AND deleted = 0", err);
	if (!stmt)
		return HYDRO_E_IO;
	if (query->number)
		hd_bind_int(stmt, 1, query->number);
	else if (query->id)
		hd_bind_uuid(stmt, 1, query->id);
	else
		hd_bind_text(stmt, 1, query->code);
	int rc = hd_db_step(db, stmt, &row, err);
	if (rc == HYDRO_OK && !row)
		rc = hd_error_set(err, HYDRO_E_NOTFOUND, "there is no such work");
	if (rc == HYDRO_OK) {
		read_work(stmt, &work);
		rc = query->fn(query->arg, &work, err);
	}
	(void)sqlite3_reset(stmt);
	return rc;
}

int hd_ledger_work_get(struct hd_ledger *ledger, uint32_t number, const struct hd_uuid *id, const char *code, hd_work_fn fn, void *arg, struct hydro_error *err)
{
	struct query query = {.number = number, .id = id, .code = code, .fn = fn, .arg = arg};
	return hd_ledger_read(ledger, get_work, &query, err);
}

#define WORK_PASSES \
	"WHERE deleted = 0 AND (?1 = '' OR substr(code, 1, length(?1)) = ?1) AND (?2 IS NULL OR client = ?2) AND (?3 IS NULL OR standard = ?3)" \
	" AND (?4 IS NULL OR region = ?4) AND (?5 IS NULL OR shac = ?5) AND (?6 < 0 OR mode = ?6) AND (?7 < 0 OR (held_since_ms <> 0) = ?7)" \
	" AND (?8 < 0 OR centre = ?8) AND (?9 IS NULL OR point = ?9) "

static void bind_optional(sqlite3_stmt *stmt, int at, const char *text)
{
	if (text)
		hd_bind_text(stmt, at, text);
}

static void bind_filter(sqlite3_stmt *stmt, const struct hd_work_filter *f)
{
	static const struct hd_uuid none;
	hd_bind_text(stmt, 1, f->code_prefix);
	bind_optional(stmt, 2, f->client);
	bind_optional(stmt, 3, f->standard);
	bind_optional(stmt, 4, f->region);
	bind_optional(stmt, 5, f->shac);
	hd_bind_int(stmt, 6, f->mode);
	hd_bind_int(stmt, 7, f->held);
	hd_bind_int(stmt, 8, f->centre == HD_LEDGER_ALL ? -1 : (int64_t)f->centre);
	if (!hd_uuid_equal(&f->point, &none))
		hd_bind_uuid(stmt, 9, &f->point);
}

static int count_works(struct hd_db *db, const struct hd_work_filter *f, uint64_t *ret, struct hydro_error *err)
{
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT count(*) FROM works " WORK_PASSES, err);
	if (!stmt)
		return HYDRO_E_IO;
	bind_filter(stmt, f);
	int rc = hd_db_step(db, stmt, &row, err);
	if (rc == HYDRO_OK && row)
		*ret = (uint64_t)sqlite3_column_int64(stmt, 0);
	(void)sqlite3_reset(stmt);
	return rc;
}

static int list_works(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct query *query = arg;
	const struct hd_work_filter *f = query->filter;
	struct hd_store_page page = {.next = -1};
	struct hd_work work;
	bool row = false;
	uint32_t count = 0;
	int rc = f->want_total ? count_works(db, f, &page.total, err) : HYDRO_OK;
	sqlite3_stmt *stmt = rc == HYDRO_OK ? hd_db_prepare(db, SELECT_WORKS WORK_PASSES "AND number > ?10 ORDER BY number LIMIT ?11", err) : NULL;
	if (!stmt)
		return rc != HYDRO_OK ? rc : HYDRO_E_IO;
	bind_filter(stmt, f);
	hd_bind_int(stmt, 10, f->after);
	hd_bind_int(stmt, 11, f->limit ? (int64_t)f->limit + 1 : -1); /* one more says whether there is a next page */
	while ((rc = hd_db_step(db, stmt, &row, err)) == HYDRO_OK && row) {
		if (f->limit && count == f->limit) {
			page.next = work.number;
			break;
		}
		read_work(stmt, &work);
		count++;
		if ((rc = query->fn(query->arg, &work, err)) != HYDRO_OK)
			break;
	}
	(void)sqlite3_reset(stmt);
	if (rc == HYDRO_OK && query->page)
		*query->page = page;
	return rc;
}

int hd_ledger_work_list(struct hd_ledger *ledger, const struct hd_work_filter *filter, hd_work_fn fn, void *arg, struct hd_store_page *ret, struct hydro_error *err)
{
	struct query query = {.filter = filter, .fn = fn, .arg = arg, .page = ret};
	return hd_ledger_read(ledger, list_works, &query, err);
}
