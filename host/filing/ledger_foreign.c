/* SPDX-License-Identifier: MIT */
/* Receipts of another system. */
#include "filing/ledger_inner.h"

#include <math.h>
#include <string.h>

#define CHECK_TEXT_BYTES_MAX 1024u

static int work_of(struct hd_db *db, const char *code, uint32_t *ret, struct hydro_error *err)
{
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT number FROM works WHERE code = ?1 AND deleted = 0", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_text(stmt, 1, code);
	int rc = hd_db_step(db, stmt, &row, err);
	if (rc == HYDRO_OK && row)
		*ret = (uint32_t)sqlite3_column_int64(stmt, 0);
	(void)sqlite3_reset(stmt);
	return rc == HYDRO_OK && !row ? hd_error_set(err, HYDRO_E_NOTFOUND, "code: there is no work \"%.64s\"", code) : rc;
}

static int put(struct hd_db *db, const struct hd_foreign_receipt *r, struct hydro_error *err)
{
	uint32_t work = 0;
	const char *text = r->check_text ? r->check_text : "", *source = r->source ? r->source : "";
	if (!r->code || !r->receipt || strlen(r->receipt) >= HD_RECEIPT_BYTES || strlen(text) > CHECK_TEXT_BYTES_MAX || strlen(source) > CHECK_TEXT_BYTES_MAX)
		return hd_error_set(err, HYDRO_E_INVALID, "code, receipt: not set, or a text that is too long");
	int rc = work_of(db, r->code, &work, err);
	sqlite3_stmt *stmt = rc == HYDRO_OK ? hd_db_prepare(db, "INSERT OR REPLACE INTO foreign_receipts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)", err) : NULL;
	if (!stmt)
		return rc != HYDRO_OK ? rc : HYDRO_E_IO;
	hd_bind_int(stmt, 1, work);
	hd_bind_int(stmt, 2, r->due_ms);
	hd_bind_text(stmt, 3, source);
	hd_bind_text(stmt, 4, r->receipt);
	for (int i = 0; i < (int)HYDRO_FIELDS; i++)
		if (!isnan(r->values[i]))
			(void)sqlite3_bind_double(stmt, 5 + i, r->values[i]);
	hd_bind_int(stmt, 8, r->check);
	hd_bind_text(stmt, 9, text);
	return hd_db_run(db, stmt, err);
}

static int note(struct hd_tx *tx, const struct hd_foreign_receipt *first, uint32_t count, struct hydro_error *err)
{
	struct hd_buf detail = {0};
	(void)hd_buf_printf(&detail, "{\"act\":\"foreign_receipts\",\"count\":%u,\"source\":", count);
	(void)hd_buf_add_json(&detail, first->source ? first->source : "", first->source ? strlen(first->source) : 0);
	(void)hd_buf_add_char(&detail, '}');
	int rc = hd_tx_note(tx, 0, "", &detail, err);
	hd_buf_done(&detail);
	return rc;
}

int hd_ledger_foreign_put(struct hd_ledger *ledger, const struct hd_foreign_receipt *receipts, uint32_t count, struct hydro_error *err)
{
	struct hd_tx tx;
	int rc = hd_tx_begin(ledger, &tx, err);
	if (rc != HYDRO_OK)
		return rc;
	for (uint32_t i = 0; i < count && rc == HYDRO_OK; i++)
		rc = put(tx.db, &receipts[i], err);
	if (rc == HYDRO_OK && count)
		rc = note(&tx, &receipts[0], count, err);
	return hd_tx_end(&tx, rc, err);
}

struct listing {
	uint32_t work;
	int64_t from_ms, to_ms;
	hd_foreign_fn fn;
	void *arg;
};

static int list(struct hd_db *db, void *arg, struct hydro_error *err)
{
	const struct listing *l = arg;
	bool row = false, all = l->work == HD_LEDGER_ALL;
	int rc;
	sqlite3_stmt *stmt = all ? hd_db_prepare(db, "SELECT w.code, f.due, f.receipt, f.source, f.flow, f.total, f.level, f.checked, f.check_text FROM foreign_receipts f"
						     " JOIN works w ON w.number = f.work WHERE f.due >= ?1 AND f.due < ?2 ORDER BY f.work, f.due", err)
				 : hd_db_prepare(db, "SELECT w.code, f.due, f.receipt, f.source, f.flow, f.total, f.level, f.checked, f.check_text FROM foreign_receipts f"
						     " JOIN works w ON w.number = f.work WHERE f.work = ?3 AND f.due >= ?1 AND f.due < ?2 ORDER BY f.due", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, l->from_ms || l->to_ms ? l->from_ms : INT64_MIN);
	hd_bind_int(stmt, 2, l->from_ms || l->to_ms ? l->to_ms : INT64_MAX);
	if (!all)
		hd_bind_int(stmt, 3, l->work);
	while ((rc = hd_db_step(db, stmt, &row, err)) == HYDRO_OK && row) {
		struct hd_foreign_receipt receipt = {.code = hd_column_text(stmt, 0), .due_ms = sqlite3_column_int64(stmt, 1), .receipt = hd_column_text(stmt, 2),
						     .source = hd_column_text(stmt, 3), .check = (uint32_t)sqlite3_column_int64(stmt, 7), .check_text = hd_column_text(stmt, 8)};
		for (int i = 0; i < (int)HYDRO_FIELDS; i++)
			receipt.values[i] = sqlite3_column_type(stmt, 4 + i) == SQLITE_NULL ? NAN : sqlite3_column_double(stmt, 4 + i);
		if ((rc = l->fn(l->arg, &receipt, err)) != HYDRO_OK)
			break;
	}
	(void)sqlite3_reset(stmt);
	return rc;
}

int hd_ledger_foreign_list(struct hd_ledger *ledger, uint32_t work, int64_t from_ms, int64_t to_ms, hd_foreign_fn fn, void *arg, struct hydro_error *err)
{
	struct listing listing = {work, from_ms, to_ms, fn, arg};
	return hd_ledger_read(ledger, list, &listing, err);
}
