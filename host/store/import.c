/* SPDX-License-Identifier: MIT */
#include "store/import.h"

#include "base/array.h"
#include "base/timefmt.h"
#include "store/columns.h"
#include "store/internal.h"

#include <hydro/abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_LINES 4096u /* of one transaction when bad lines are skipped */
#define LARGE_BYTES (8 << 20)

struct importer {
	struct hd_store *store;
	const struct hd_store_checks *checks;
	struct hd_import_report *report;
	struct hd_csv csv;
	struct hd_columns columns;
	bool for_points, skip_bad, at_end;
	struct hd_buf options, shown, params; /* of the present line */
	int64_t first_new, last_new;          /* numbers made by the present transaction */
	uint32_t *replaced;                   /* numbers replaced by it */
	uint32_t replaced_count, replaced_cap;
	uint64_t created, updated;            /* by it */
	int published;
};

int hd_store_point_check(const struct hd_store_point *point, struct hydro_error *err)
{
	size_t name = strlen(point->name);
	if (name == 0 || name > 200)
		return hd_error_set(err, HYDRO_E_INVALID, "name: 1 to 200 bytes are wanted");
	if (!point->provider[0])
		return hd_error_set(err, HYDRO_E_INVALID, "provider: is missing");
	if (point->period_s == 0 || point->period_s > HD_POINT_PERIOD_S_MAX)
		return hd_error_set(err, HYDRO_E_INVALID, "period: from 1 s to %u s is wanted", HD_POINT_PERIOD_S_MAX);
	if (point->join_ms > HD_POINT_JOIN_MS_MAX)
		return hd_error_set(err, HYDRO_E_INVALID, "join: at most %u ms is wanted", HD_POINT_JOIN_MS_MAX);
	return HYDRO_OK;
}

int hd_store_account_check(const struct hd_store_account *account, struct hydro_error *err)
{
	size_t name = strlen(account->name);
	if (name == 0 || name > 200)
		return hd_error_set(err, HYDRO_E_INVALID, "name: 1 to 200 bytes are wanted");
	return account->provider[0] ? HYDRO_OK : hd_error_set(err, HYDRO_E_INVALID, "provider: is missing");
}

/* ---- errors by line --------------------------------------------------------------------------------------------------- */

/* "column: why" becomes column and why. */
static void note_error(struct importer *im, const struct hydro_error *why)
{
	struct hd_import_report *report = im->report;
	report->failed++;
	if (report->errors_kept == HD_IMPORT_ERRORS_MAX)
		return;
	const char *text = why->text, *colon = strstr(text, ": ");
	size_t len = colon ? (size_t)(colon - text) : 0;
	bool is_column = colon && len < 40 && strcspn(text, " ") >= len;
	hd_buf_printf(&report->errors, "%s{\"line\":%u,\"column\":", report->errors_kept++ ? "," : "", im->csv.record_line);
	if (is_column)
		hd_buf_add_json(&report->errors, text, len);
	else
		hd_buf_add_text(&report->errors, "null");
	text += is_column ? len + 2 : 0;
	hd_buf_add_text(&report->errors, ",\"detail\":");
	hd_buf_add_json(&report->errors, text, strlen(text));
	hd_buf_add_char(&report->errors, '}');
}

static int in_column(struct hydro_error *err, int rc, const char *column)
{
	char text[sizeof err->text];
	if (rc == HYDRO_OK)
		return rc;
	(void)snprintf(text, sizeof text, "%s", err->text);
	return hd_error_set(err, rc, "%s: %.440s", column, text);
}

/* ---- one line ----------------------------------------------------------------------------------------------------------- */

static const char *text_of(const struct importer *im, enum hd_column_kind kind)
{
	return hd_columns_text(&im->columns, &im->csv, kind);
}

static int take_options(struct importer *im, const char *provider, uint32_t scope, bool *ret_secret, struct hydro_error *err)
{
	const struct hd_store_checks *checks = im->checks;
	hd_buf_clear(&im->options);
	hd_buf_clear(&im->shown);
	*ret_secret = false;
	int rc = hd_columns_object(&im->columns, &im->csv, HD_COLUMN_OPTION, provider, scope, checks, &im->options, err);
	if (rc == HYDRO_OK && checks->options)
		rc = checks->options(checks->arg, provider, scope, hd_buf_text(&im->options), &im->shown, ret_secret, err);
	else if (rc == HYDRO_OK)
		hd_buf_add(&im->shown, im->options.data, im->options.len);
	return in_column(err, rc, "options");
}

static int take_id(const struct importer *im, struct hd_uuid *ret, struct hydro_error *err)
{
	const char *text = text_of(im, HD_COLUMN_ID);
	*ret = (struct hd_uuid){{0}};
	return !*text || hd_uuid_parse(text, ret) ? HYDRO_OK : hd_error_set(err, HYDRO_E_INVALID, "id: is no UUID");
}

static int take_duration(const struct importer *im, enum hd_column_kind kind, const char *column, int64_t preset_ms, int64_t *ret, struct hydro_error *err)
{
	const char *text = text_of(im, kind);
	*ret = preset_ms;
	return !*text || (hd_duration_parse(text, ret) && *ret >= 0 && *ret <= 1000 * (int64_t)HD_POINT_PERIOD_S_MAX)
		       ? HYDRO_OK
		       : hd_error_set(err, HYDRO_E_INVALID, "%s: a duration up to a day is wanted, such as 90s, 15m, 1h", column);
}

static int take_scalars(struct importer *im, struct hd_db *db, struct hd_store_point *point, struct hydro_error *err)
{
	int64_t period_ms, join_ms;
	const char *start = text_of(im, HD_COLUMN_START), *active = text_of(im, HD_COLUMN_ACTIVE), *account = text_of(im, HD_COLUMN_ACCOUNT);
	int rc = take_duration(im, HD_COLUMN_PERIOD, "period", 1000 * (int64_t)HD_POINT_PERIOD_S_DEFAULT, &period_ms, err);
	if (rc == HYDRO_OK)
		rc = take_duration(im, HD_COLUMN_JOIN, "join", HD_POINT_JOIN_MS_DEFAULT, &join_ms, err);
	if (rc != HYDRO_OK)
		return rc;
	point->period_s = (uint32_t)(period_ms / 1000);
	point->join_ms = (uint32_t)join_ms;
	if (*start && !hd_time_parse(start, strlen(start), true, &point->start_ms))
		return hd_error_set(err, HYDRO_E_INVALID, "start: a time as RFC 3339 is wanted");
	bool no = strcmp(active, "false") == 0 || strcmp(active, "0") == 0;
	if (*active && !no && strcmp(active, "true") != 0 && strcmp(active, "1") != 0)
		return hd_error_set(err, HYDRO_E_INVALID, "active: true or false is wanted");
	point->bits = no ? 0 : HD_POINT_ACTIVE;
	return *account ? in_column(err, hd_store_account_find(db, point->provider, account, &point->account, err), "account") : HYDRO_OK;
}

static int check_point(struct importer *im, const struct hd_store_point *point, struct hydro_error *err)
{
	int rc = hd_store_point_check(point, err);
	if (rc != HYDRO_OK || !im->checks->point)
		return rc;
	struct hd_point_spec spec = {.index = HD_POINT_NONE, .id = point->id, .bits = point->bits, .account = point->account, .period_s = point->period_s,
				     .join_ms = point->join_ms, .start_ms = point->start_ms, .name = point->name, .provider = point->provider,
				     .pipeline = point->pipeline, .options = point->options, .params = point->params, .zone = point->zone};
	return im->checks->point(im->checks->arg, &spec, err);
}

/* Version of the row with the id, 0 without one. */
static int find_version(struct hd_db *db, const char *table_sql, const struct hd_uuid *id, uint64_t *ret, struct hydro_error *err)
{
	static const struct hd_uuid none;
	bool row = false;
	*ret = 0;
	if (hd_uuid_equal(id, &none))
		return HYDRO_OK;
	sqlite3_stmt *stmt = hd_db_prepare(db, table_sql, err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_uuid(stmt, 1, id);
	int rc = hd_db_step(db, stmt, &row, err);
	if (rc == HYDRO_OK && row)
		*ret = (uint64_t)sqlite3_column_int64(stmt, 0);
	(void)sqlite3_reset(stmt);
	return rc;
}

static int note_number(struct importer *im, uint32_t number, bool is_new, struct hydro_error *err)
{
	im->created += is_new;
	im->updated += !is_new;
	if (!im->for_points)
		return HYDRO_OK;
	if (is_new) {
		im->first_new = im->first_new < 0 ? number : im->first_new;
		im->last_new = number;
		return HYDRO_OK;
	}
	if (!HD_RESERVE(im->replaced, im->replaced_cap, im->replaced_count, 1))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory");
	im->replaced[im->replaced_count++] = number;
	return HYDRO_OK;
}

static int store_point(struct importer *im, struct hd_db *db, struct hydro_error *err)
{
	struct hd_store_point point = {.name = text_of(im, HD_COLUMN_NAME), .provider = text_of(im, HD_COLUMN_PROVIDER),
				       .pipeline = text_of(im, HD_COLUMN_PIPELINE), .zone = text_of(im, HD_COLUMN_ZONE)};
	int rc = take_id(im, &point.id, err);
	hd_buf_clear(&im->params);
	if (rc == HYDRO_OK && (rc = take_scalars(im, db, &point, err)) == HYDRO_OK && (rc = take_options(im, point.provider, HYDRO_SCOPE_POINT, &point.has_secret, err)) == HYDRO_OK)
		rc = in_column(err, hd_columns_object(&im->columns, &im->csv, HD_COLUMN_PARAM, "", 0, im->checks, &im->params, err), "params");
	if (rc != HYDRO_OK)
		return rc;
	point.options = hd_buf_text(&im->options);
	point.shown = hd_buf_text(&im->shown);
	point.params = hd_buf_text(&im->params);
	if ((rc = check_point(im, &point, err)) != HYDRO_OK ||
	    (rc = find_version(db, "SELECT version FROM points WHERE uuid = ?1", &point.id, &point.version, err)) != HYDRO_OK)
		return rc;
	bool is_new = point.version == 0;
	rc = is_new ? hd_store_point_insert(im->store, db, &point, err) : hd_store_point_update(im->store, db, &point, err);
	return rc == HYDRO_OK ? note_number(im, point.number, is_new, err) : rc;
}

static int store_account(struct importer *im, struct hd_db *db, struct hydro_error *err)
{
	struct hd_store_account account = {.name = text_of(im, HD_COLUMN_NAME), .provider = text_of(im, HD_COLUMN_PROVIDER)};
	int rc = take_id(im, &account.id, err);
	if (rc == HYDRO_OK && (rc = hd_store_account_check(&account, err)) == HYDRO_OK)
		rc = take_options(im, account.provider, HYDRO_SCOPE_ACCOUNT, &account.has_secret, err);
	if (rc != HYDRO_OK)
		return rc;
	account.options = hd_buf_text(&im->options);
	account.shown = hd_buf_text(&im->shown);
	if ((rc = find_version(db, "SELECT version FROM accounts WHERE uuid = ?1", &account.id, &account.version, err)) != HYDRO_OK)
		return rc;
	bool is_new = account.version == 0;
	rc = is_new ? hd_store_account_insert(im->store, db, &account, err) : hd_store_account_update(im->store, db, &account, err);
	return rc == HYDRO_OK ? note_number(im, account.number, is_new, err) : rc;
}

/* ---- all lines ----------------------------------------------------------------------------------------------------------- */

/* Errors that are not the line's fault end the import. */
static bool is_fatal(int rc)
{
	return rc == HYDRO_E_IO || rc == HYDRO_E_FULL || rc == HYDRO_E_NOMEM || rc == HYDRO_E_AGAIN || rc == HYDRO_E_CORRUPT;
}

static int run_lines(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct importer *im = arg;
	uint32_t lines = 0;
	im->first_new = im->last_new = -1;
	im->created = im->updated = 0;
	im->replaced_count = 0;
	while (!im->skip_bad || lines < PIECE_LINES) {
		struct hydro_error why = {.struct_size = sizeof why};
		int rc = hd_csv_next(&im->csv, &im->at_end, &why);
		if (rc == HYDRO_OK && im->at_end)
			break;
		lines++;
		im->report->lines++;
		if (rc == HYDRO_OK && im->csv.count > im->columns.count)
			rc = hd_error_set(&why, HYDRO_E_INVALID, "the line has %u fields, the header %u", im->csv.count, im->columns.count);
		if (rc == HYDRO_OK)
			rc = im->for_points ? store_point(im, db, &why) : store_account(im, db, &why);
		if (rc != HYDRO_OK && is_fatal(rc))
			return hd_error_set(err, rc, "line %u: %.400s", im->csv.record_line, why.text);
		if (rc != HYDRO_OK)
			note_error(im, &why);
	}
	if (!im->skip_bad && im->report->failed > 0)
		return hd_error_set(err, HYDRO_E_INVALID, "%llu lines do not fit", (unsigned long long)im->report->failed);
	return HYDRO_OK;
}

/* A large transaction touches random pages of the index of ids: a cache that holds them all, given back afterwards. */
static int run_piece(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct importer *im = arg;
	bool large = !im->skip_bad && im->csv.end - im->csv.at > LARGE_BYTES;
	if (large)
		(void)hd_db_exec(db, "PRAGMA cache_size = -262144", NULL);
	int rc = run_lines(db, im, err);
	if (large) {
		(void)hd_db_exec(db, "PRAGMA cache_size = -16384", NULL);
		(void)sqlite3_db_release_memory(hd_db_handle(db));
	}
	return rc;
}

static void publish_lines(struct hd_db *db, void *arg)
{
	struct importer *im = arg;
	im->report->created += im->created;
	im->report->updated += im->updated;
	im->report->applied = true;
	im->published = im->first_new >= 0 ? hd_store_points_publish(im->store, db, im->first_new, im->last_new, NULL) : HYDRO_OK;
	for (size_t i = 0; i < im->replaced_count && im->published == HYDRO_OK; i++)
		im->published = hd_store_points_publish(im->store, db, im->replaced[i], im->replaced[i], NULL);
}

static int import_all(struct importer *im, struct hydro_error *err)
{
	int rc = hd_csv_next(&im->csv, &im->at_end, err);
	if (rc == HYDRO_OK && im->at_end)
		rc = hd_error_set(err, HYDRO_E_INVALID, "there is no line with the names of the columns");
	if (rc == HYDRO_OK)
		rc = hd_columns_take(&im->csv, im->for_points, &im->columns, err);
	while (rc == HYDRO_OK && !im->at_end)
		if ((rc = hd_store_write(im->store, run_piece, publish_lines, im, err)) == HYDRO_OK)
			rc = im->published;
	/* Bad lines are in the report: not an error of the call. */
	return rc == HYDRO_E_INVALID && im->report->failed > 0 ? HYDRO_OK : rc;
}

static int import(struct hd_store *store, const char *csv, size_t len, bool skip_bad, bool for_points, const struct hd_store_checks *checks,
		  struct hd_import_report *ret, struct hydro_error *err)
{
	*ret = (struct hd_import_report){.lines = 0};
	struct importer *im = calloc(1, sizeof *im);
	if (!im)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for an import");
	im->store = store;
	im->checks = checks;
	im->report = ret;
	im->for_points = for_points;
	im->skip_bad = skip_bad;
	hd_csv_init(&im->csv, csv, len);
	int rc = import_all(im, err);
	hd_csv_done(&im->csv);
	hd_buf_done(&im->options);
	hd_buf_done(&im->shown);
	hd_buf_done(&im->params);
	free(im->replaced);
	free(im);
	return rc;
}

int hd_store_points_import(struct hd_store *store, const char *csv, size_t len, bool skip_bad, const struct hd_store_checks *checks,
			   struct hd_import_report *ret, struct hydro_error *err)
{
	return import(store, csv, len, skip_bad, true, checks, ret, err);
}

int hd_store_accounts_import(struct hd_store *store, const char *csv, size_t len, bool skip_bad, const struct hd_store_checks *checks,
			     struct hd_import_report *ret, struct hydro_error *err)
{
	return import(store, csv, len, skip_bad, false, checks, ret, err);
}

void hd_import_report_done(struct hd_import_report *report)
{
	hd_buf_done(&report->errors);
}
