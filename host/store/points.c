/* SPDX-License-Identifier: MIT */
#include "store/points.h"

#include "base/clock.h"
#include "store/point_row.h"
#include "store/secrets.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS HD_STORE_POINT_COLUMNS
#define FROM HD_STORE_POINT_FROM
#define SEALED_COLUMN HD_STORE_POINT_SEALED

void hd_store_point_read(sqlite3_stmt *stmt, struct hd_store_point *ret)
{
	*ret = (struct hd_store_point){
		.number = (uint32_t)sqlite3_column_int64(stmt, 0),
		.id = hd_column_uuid(stmt, 1),
		.version = (uint64_t)sqlite3_column_int64(stmt, 2),
		.bits = (uint32_t)sqlite3_column_int64(stmt, 3),
		.account = (uint32_t)sqlite3_column_int64(stmt, 4),
		.period_s = (uint32_t)sqlite3_column_int64(stmt, 5),
		.join_ms = (uint32_t)sqlite3_column_int64(stmt, 6),
		.start_ms = sqlite3_column_int64(stmt, 7),
		.created_ms = sqlite3_column_int64(stmt, 8),
		.updated_ms = sqlite3_column_int64(stmt, 9),
		.name = hd_column_text(stmt, 10),
		.provider = hd_column_text(stmt, 11),
		.pipeline = hd_column_text(stmt, 12),
		.zone = hd_column_text(stmt, 13),
		.shown = hd_column_text(stmt, 14),
		.params = hd_column_text(stmt, 16),
		.account_id = hd_column_uuid(stmt, 17),
	};
	ret->has_secret = sqlite3_column_type(stmt, SEALED_COLUMN) != SQLITE_NULL;
}

/* Sets options to the full text, which is in `opened` when it was sealed. */
static int open_secrets(struct hd_store *store, sqlite3_stmt *stmt, struct hd_store_point *point, struct hd_buf *opened, struct hydro_error *err)
{
	point->options = point->shown;
	return point->has_secret ? hd_secrets_open(store, "points", &point->id, stmt, SEALED_COLUMN, opened, &point->options, err) : HYDRO_OK;
}

/* ---- writing -------------------------------------------------------------------------------------------------------- */

static int check_limits(const struct hd_store_point *p, struct hydro_error *err)
{
	size_t texts = strlen(p->name) + strlen(p->provider) + strlen(p->pipeline) + strlen(p->zone) + strlen(p->options) + strlen(p->params) + 6;
	if (texts > HD_POINT_TEXT_BYTES_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "configuration of a point is larger than %u bytes", HD_POINT_TEXT_BYTES_MAX);
	return HYDRO_OK;
}

static int check_account(struct hd_db *db, const struct hd_store_point *point, struct hydro_error *err)
{
	bool row = false;
	if (point->account == 0)
		return HYDRO_OK;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT provider FROM accounts WHERE id = ?1", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, point->account);
	int rc = hd_db_step(db, stmt, &row, err);
	if (rc == HYDRO_OK && !row)
		rc = hd_error_set(err, HYDRO_E_INVALID, "account: there is no such account");
	else if (rc == HYDRO_OK && strcmp(hd_column_text(stmt, 0), point->provider) != 0)
		rc = hd_error_set(err, HYDRO_E_INVALID, "account: it is an account of provider %.64s, the point is of %.64s", hd_column_text(stmt, 0),
				  point->provider);
	(void)sqlite3_reset(stmt);
	return rc;
}

static int next_number(struct hd_db *db, uint32_t *ret, struct hydro_error *err)
{
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT coalesce(max(number) + 1, 0) FROM points", err);
	int rc = stmt ? hd_db_step(db, stmt, &row, err) : HYDRO_E_IO;
	int64_t number = rc == HYDRO_OK ? sqlite3_column_int64(stmt, 0) : 0;
	if (stmt)
		(void)sqlite3_reset(stmt);
	if (rc == HYDRO_OK && number >= (int64_t)HD_POINTS_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "more than %u points", HD_POINTS_MAX);
	*ret = (uint32_t)number;
	return rc;
}

/* Binds ?2 … ?16, which insert and update share; *sealed holds the sealed text until the statement has run. */
static int bind_row(struct hd_store *store, sqlite3_stmt *stmt, const struct hd_store_point *p, struct hd_buf *sealed, struct hydro_error *err)
{
	hd_bind_uuid(stmt, 2, &p->id);
	hd_bind_int(stmt, 3, p->bits);
	hd_bind_int(stmt, 4, p->account);
	hd_bind_int(stmt, 5, p->period_s);
	hd_bind_int(stmt, 6, p->join_ms);
	hd_bind_int(stmt, 7, p->start_ms);
	hd_bind_int(stmt, 8, p->updated_ms);
	hd_bind_text(stmt, 9, p->name);
	hd_bind_text(stmt, 10, p->provider);
	hd_bind_text(stmt, 11, p->pipeline);
	hd_bind_text(stmt, 12, p->zone);
	hd_bind_text(stmt, 13, p->shown);
	hd_bind_text(stmt, 15, p->params);
	return p->has_secret ? hd_secrets_bind(store, "points", &p->id, stmt, 14, p->options, sealed, err) : HYDRO_OK;
}

int hd_store_point_insert(struct hd_store *store, struct hd_db *db, struct hd_store_point *point, struct hydro_error *err)
{
	static const struct hd_uuid none;
	struct hd_buf sealed = {0};
	int rc = check_limits(point, err);
	if (rc == HYDRO_OK && (rc = check_account(db, point, err)) == HYDRO_OK)
		rc = next_number(db, &point->number, err);
	if (rc != HYDRO_OK)
		return rc;
	if (hd_uuid_equal(&point->id, &none))
		point->id = hd_uuid_new();
	point->version = 1;
	point->created_ms = point->updated_ms = hd_clock_wall_ms();
	sqlite3_stmt *stmt = hd_db_prepare(db, "INSERT INTO points (number, uuid, version, bits, account, period_s, join_ms, start_ms, created_ms, updated_ms,"
					       " name, provider, pipeline, zone, options, sealed, params)"
					       " VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, point->number);
	rc = bind_row(store, stmt, point, &sealed, err);
	if (rc == HYDRO_OK)
		rc = hd_db_run(db, stmt, err);
	hd_buf_done(&sealed);
	return rc;
}

static int missing_or_stale(struct hd_db *db, const struct hd_store_point *point, struct hydro_error *err)
{
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT version FROM points WHERE uuid = ?1 AND bits & 2 = 0", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_uuid(stmt, 1, &point->id);
	int rc = hd_db_step(db, stmt, &row, err);
	if (rc == HYDRO_OK && row)
		rc = hd_error_set(err, HYDRO_E_STALE, "it is at version %lld now; read it again before changing it", (long long)sqlite3_column_int64(stmt, 0));
	else if (rc == HYDRO_OK)
		rc = hd_error_set(err, HYDRO_E_NOTFOUND, "there is no such point");
	(void)sqlite3_reset(stmt);
	return rc;
}

int hd_store_point_update(struct hd_store *store, struct hd_db *db, struct hd_store_point *point, struct hydro_error *err)
{
	struct hd_buf sealed = {0};
	bool row = false;
	int rc = check_limits(point, err);
	if (rc != HYDRO_OK || (rc = check_account(db, point, err)) != HYDRO_OK)
		return rc;
	point->updated_ms = hd_clock_wall_ms();
	sqlite3_stmt *stmt = hd_db_prepare(db, "UPDATE points SET version = version + 1, bits = ?3, account = ?4, period_s = ?5, join_ms = ?6, start_ms = ?7,"
					       " updated_ms = ?8, name = ?9, provider = ?10, pipeline = ?11, zone = ?12, options = ?13, sealed = ?14,"
					       " params = ?15 WHERE uuid = ?2 AND version = ?1 AND bits & 2 = 0 RETURNING number, created_ms", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, (int64_t)point->version);
	rc = bind_row(store, stmt, point, &sealed, err);
	if (rc == HYDRO_OK)
		rc = hd_db_step(db, stmt, &row, err);
	if (rc == HYDRO_OK && row) {
		point->number = (uint32_t)sqlite3_column_int64(stmt, 0);
		point->created_ms = sqlite3_column_int64(stmt, 1);
		point->version++;
	}
	(void)sqlite3_reset(stmt);
	hd_buf_done(&sealed);
	return rc == HYDRO_OK && !row ? missing_or_stale(db, point, err) : rc;
}

struct change {
	struct hd_store *store;
	struct hd_store_point *point;
	bool is_new;
	hd_store_point_also also;
	void *arg;
	int published;
	struct hydro_error *err;
};

static int account_id(struct hd_db *db, struct hd_store_point *point, struct hydro_error *err)
{
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT uuid FROM accounts WHERE id = ?1", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, point->account);
	int rc = hd_db_step(db, stmt, &row, err);
	point->account_id = rc == HYDRO_OK && row ? hd_column_uuid(stmt, 0) : (struct hd_uuid){{0}};
	(void)sqlite3_reset(stmt);
	return rc;
}

static int run_change(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct change *change = arg;
	int rc = change->is_new ? hd_store_point_insert(change->store, db, change->point, err) : hd_store_point_update(change->store, db, change->point, err);
	if (rc == HYDRO_OK)
		rc = account_id(db, change->point, err);
	return rc == HYDRO_OK && change->also ? change->also(change->arg, db, change->point, err) : rc;
}

static void publish_change(struct hd_db *db, void *arg)
{
	struct change *change = arg;
	change->published = hd_store_points_publish(change->store, db, change->point->number, change->point->number, change->err);
}

int hd_store_point_create(struct hd_store *store, struct hd_store_point *point, hd_store_point_also also, void *arg, struct hydro_error *err)
{
	struct change change = {.store = store, .point = point, .is_new = true, .also = also, .arg = arg, .err = err};
	int rc = hd_store_write(store, run_change, publish_change, &change, err);
	return rc == HYDRO_OK ? change.published : rc;
}

int hd_store_point_replace(struct hd_store *store, struct hd_store_point *point, hd_store_point_also also, void *arg, struct hydro_error *err)
{
	struct change change = {.store = store, .point = point, .also = also, .arg = arg, .err = err};
	int rc = hd_store_write(store, run_change, publish_change, &change, err);
	return rc == HYDRO_OK ? change.published : rc;
}

/* ---- reading --------------------------------------------------------------------------------------------------------- */

struct get {
	struct hd_store *store;
	const struct hd_uuid *id;
	bool with_secrets;
	hd_store_point_fn fn;
	void *arg;
};

static int run_get(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct get *get = arg;
	struct hd_store_point point;
	struct hd_buf opened = {0};
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT " COLUMNS FROM "WHERE p.uuid = ?1 AND p.bits & 2 = 0", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_uuid(stmt, 1, get->id);
	int rc = hd_db_step(db, stmt, &row, err);
	if (rc == HYDRO_OK && !row)
		rc = hd_error_set(err, HYDRO_E_NOTFOUND, "there is no such point");
	if (rc == HYDRO_OK) {
		hd_store_point_read(stmt, &point);
		if (get->with_secrets)
			rc = open_secrets(get->store, stmt, &point, &opened, err);
	}
	if (rc == HYDRO_OK)
		rc = get->fn(get->arg, &point, err);
	hd_buf_done(&opened);
	return rc;
}

int hd_store_point_get(struct hd_store *store, const struct hd_uuid *id, bool with_secrets, hd_store_point_fn fn, void *arg, struct hydro_error *err)
{
	struct get get = {store, id, with_secrets, fn, arg};
	return hd_store_read(store, run_get, &get, err);
}

struct list {
	const struct hd_store_point_filter *filter;
	hd_store_point_fn fn;
	void *arg;
	struct hd_store_page page;
	char prefix_end[512];
};

/* A NULL parameter switches its condition off; SQLite plans again for what is bound. */
#define WHERE \
	"WHERE p.bits & 2 = 0 AND (?1 IS NULL OR p.provider = ?1) AND (?2 IS NULL OR p.pipeline = ?2)" \
	" AND (?3 IS NULL OR (p.name >= ?3 AND p.name < ?4)) AND (?5 < 0 OR p.bits & 1 = ?5) "

static void bind_filter(sqlite3_stmt *stmt, const struct list *list)
{
	const struct hd_store_point_filter *filter = list->filter;
	if (filter->provider)
		hd_bind_text(stmt, 1, filter->provider);
	if (filter->pipeline)
		hd_bind_text(stmt, 2, filter->pipeline);
	if (filter->name_prefix && filter->name_prefix[0]) {
		hd_bind_text(stmt, 3, filter->name_prefix);
		hd_bind_text(stmt, 4, list->prefix_end);
	}
	hd_bind_int(stmt, 5, filter->active);
}

static int count_all(struct hd_db *db, struct list *list, struct hydro_error *err)
{
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT count(*) FROM points p " WHERE, err);
	if (!stmt)
		return HYDRO_E_IO;
	bind_filter(stmt, list);
	int rc = hd_db_step(db, stmt, &row, err);
	if (rc == HYDRO_OK)
		list->page.total = (uint64_t)sqlite3_column_int64(stmt, 0);
	return rc;
}

static int run_list(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct list *list = arg;
	struct hd_store_point point;
	bool row = false;
	uint32_t count = 0;
	int rc = list->filter->want_total ? count_all(db, list, err) : HYDRO_OK;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT " COLUMNS FROM WHERE "AND p.number > ?6 ORDER BY p.number LIMIT ?7", err);
	if (!stmt)
		return HYDRO_E_IO;
	bind_filter(stmt, list);
	hd_bind_int(stmt, 6, list->filter->after);
	hd_bind_int(stmt, 7, (int64_t)list->filter->limit + 1);
	list->page.next = -1;
	while (rc == HYDRO_OK && (rc = hd_db_step(db, stmt, &row, err)) == HYDRO_OK && row) {
		if (count++ == list->filter->limit) {
			list->page.next = point.number;
			break;
		}
		hd_store_point_read(stmt, &point);
		rc = list->fn(list->arg, &point, err);
	}
	return rc;
}

int hd_store_point_list(struct hd_store *store, const struct hd_store_point_filter *filter, hd_store_point_fn fn, void *arg, struct hd_store_page *ret,
			struct hydro_error *err)
{
	struct list list = {.filter = filter, .fn = fn, .arg = arg};
	HD_ASSERT(filter->limit > 0 && filter->limit <= HD_STORE_PAGE_MAX);
	/* The least text that no name with the prefix reaches: the prefix followed by the highest code point. */
	if (filter->name_prefix && snprintf(list.prefix_end, sizeof list.prefix_end, "%s\xf4\x8f\xbf\xbf", filter->name_prefix) >= (int)sizeof list.prefix_end)
		return hd_error_set(err, HYDRO_E_LIMIT, "the prefix is too long");
	int rc = hd_store_read(store, run_list, &list, err);
	if (rc == HYDRO_OK)
		*ret = list.page;
	return rc;
}
