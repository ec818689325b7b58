/* SPDX-License-Identifier: MIT */
/* Transactions on the writing connection, and what they gather: heads of chains, counts of days. */
#include "filing/ledger_inner.h"

#include "base/array.h"
#include "base/clock.h"
#include "base/hash.h"
#include "filing/calendar.h"

#include <stdlib.h>
#include <string.h>

/* ---- numbers to indexes ---------------------------------------------------------------------------------------------- */

static uint32_t *find(const struct hd_index *index, uint64_t key)
{
	uint32_t at = (uint32_t)hd_hash_u64(key) & index->mask;
	while (index->values[at] && index->keys[at] != key)
		at = (at + 1) & index->mask;
	index->keys[at] = key;
	return &index->values[at];
}

static bool grow(struct hd_index *index)
{
	uint32_t size = index->values ? (index->mask + 1) * 2 : 64;
	struct hd_index bigger = {.keys = calloc(size, sizeof *bigger.keys), .values = calloc(size, sizeof *bigger.values), .mask = size - 1, .count = index->count};
	if (!bigger.keys || !bigger.values) {
		free(bigger.keys);
		free(bigger.values);
		return false;
	}
	for (uint32_t i = 0; index->values && i <= index->mask; i++)
		if (index->values[i])
			*find(&bigger, index->keys[i]) = index->values[i];
	free(index->keys);
	free(index->values);
	*index = bigger;
	return true;
}

uint32_t *hd_index_place(struct hd_index *index, uint64_t key)
{
	if ((!index->values || index->count * 2 > index->mask) && !grow(index))
		return NULL;
	uint32_t *value = find(index, key);
	index->count += *value == 0;
	return value;
}

uint32_t hd_index_get(const struct hd_index *index, uint64_t key)
{
	return index->values ? *find(index, key) : 0;
}

void hd_index_done(struct hd_index *index)
{
	free(index->keys);
	free(index->values);
	*index = (struct hd_index){0};
}

static int no_memory(struct hydro_error *err)
{
	return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a transaction of the ledger");
}

/* ---- small tables ----------------------------------------------------------------------------------------------------- */

int hd_ledger_meta_get(struct hd_db *db, const char *key, int64_t *ret, struct hydro_error *err)
{
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT value FROM meta WHERE key = ?1", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_text(stmt, 1, key);
	int rc = hd_db_step(db, stmt, &row, err);
	if (rc == HYDRO_OK)
		*ret = row ? sqlite3_column_int64(stmt, 0) : 0;
	(void)sqlite3_reset(stmt);
	return rc;
}

int hd_ledger_meta_put(struct hd_db *db, const char *key, int64_t value, struct hydro_error *err)
{
	sqlite3_stmt *stmt = hd_db_prepare(db, "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_text(stmt, 1, key);
	hd_bind_int(stmt, 2, value);
	return hd_db_run(db, stmt, err);
}

static int look_up_name(struct hd_db *db, const char *text, int64_t *ret, struct hydro_error *err)
{
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT id FROM names WHERE text = ?1", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_text(stmt, 1, text);
	int rc = hd_db_step(db, stmt, &row, err);
	*ret = rc == HYDRO_OK && row ? sqlite3_column_int64(stmt, 0) : 0;
	(void)sqlite3_reset(stmt);
	return rc;
}

int hd_tx_name(struct hd_tx *tx, const char *text, uint32_t *ret, struct hydro_error *err)
{
	uint64_t known;
	int64_t id = 0;
	size_t len = strlen(text);
	if (hd_map_get(&tx->ledger->names, text, len, &known)) {
		*ret = (uint32_t)known;
		return HYDRO_OK;
	}
	int rc = look_up_name(tx->db, text, &id, err);
	if (rc == HYDRO_OK && id == 0) {
		sqlite3_stmt *stmt = hd_db_prepare(tx->db, "INSERT INTO names (text) VALUES (?1)", err);
		if (!stmt)
			return HYDRO_E_IO;
		hd_bind_text(stmt, 1, text);
		rc = hd_db_run(tx->db, stmt, err);
		id = sqlite3_last_insert_rowid(hd_db_handle(tx->db));
	}
	if (rc != HYDRO_OK)
		return rc;
	if (!hd_map_put(&tx->ledger->names, text, len, (uint64_t)id))
		return no_memory(err);
	*ret = (uint32_t)id;
	return HYDRO_OK;
}

/* ---- heads ------------------------------------------------------------------------------------------------------------ */

static int load_head(struct hd_tx *tx, struct hd_tx_head *head, struct hydro_error *err)
{
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(tx->db, "SELECT sequence, hash, row FROM chains WHERE work = ?1", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, head->work);
	int rc = hd_db_step(tx->db, stmt, &row, err);
	if (rc == HYDRO_OK && row) {
		head->sequence = (uint64_t)sqlite3_column_int64(stmt, 0);
		head->row = sqlite3_column_int64(stmt, 2);
		if (sqlite3_column_bytes(stmt, 1) == (int)HD_HASH_BYTES && head->sequence > 0)
			memcpy(head->hash, sqlite3_column_blob(stmt, 1), HD_HASH_BYTES);
		else
			rc = hd_error_set(err, HYDRO_E_CORRUPT, "the head of chain %u of the filing ledger is none", head->work);
	}
	(void)sqlite3_reset(stmt);
	return rc;
}

/* *ret is valid until the next call. */
static int head_of(struct hd_tx *tx, uint32_t work, struct hd_tx_head **ret, struct hydro_error *err)
{
	uint32_t *at = hd_index_place(&tx->head_index, work);
	if (!at || !HD_RESERVE(tx->heads, tx->head_cap, tx->head_count, 1))
		return no_memory(err);
	if (*at == 0) {
		struct hd_tx_head head = {.work = work};
		int rc = load_head(tx, &head, err);
		if (rc != HYDRO_OK)
			return rc;
		tx->heads[tx->head_count] = head;
		*at = ++tx->head_count;
	}
	*ret = &tx->heads[*at - 1];
	return HYDRO_OK;
}

static int write_heads(struct hd_tx *tx, struct hydro_error *err)
{
	int rc = HYDRO_OK;
	for (uint32_t i = 0; i < tx->head_count && rc == HYDRO_OK; i++) {
		const struct hd_tx_head *head = &tx->heads[i];
		if (head->sequence == 0)
			continue;
		sqlite3_stmt *stmt = hd_db_prepare(tx->db, "INSERT INTO chains (work, sequence, hash, row) VALUES (?1, ?2, ?3, ?4)"
							   " ON CONFLICT DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash, row = excluded.row", err);
		if (!stmt)
			return HYDRO_E_IO;
		hd_bind_int(stmt, 1, head->work);
		hd_bind_int(stmt, 2, (int64_t)head->sequence);
		hd_bind_blob(stmt, 3, head->hash, HD_HASH_BYTES);
		hd_bind_int(stmt, 4, head->row);
		rc = hd_db_run(tx->db, stmt, err);
	}
	return rc;
}

int hd_tx_has_chain(struct hd_tx *tx, uint32_t work, bool *ret, struct hydro_error *err)
{
	struct hd_tx_head *head = NULL;
	int rc = head_of(tx, work, &head, err);
	if (rc == HYDRO_OK)
		*ret = head->sequence > 0;
	return rc;
}

/* The id of the first row to come, once a transaction; from then on they are counted here. */
static int next_id(struct hd_tx *tx, int64_t *ret, struct hydro_error *err)
{
	bool row = false;
	int rc = HYDRO_OK;
	if (tx->next_id == 0) {
		sqlite3_stmt *stmt = hd_db_prepare(tx->db, "SELECT coalesce(max(id), 0) + 1 FROM audit", err);
		if (!stmt)
			return HYDRO_E_IO;
		rc = hd_db_step(tx->db, stmt, &row, err);
		if (rc == HYDRO_OK && row)
			tx->next_id = sqlite3_column_int64(stmt, 0);
		(void)sqlite3_reset(stmt);
	}
	/* Packed rows at the end may be gone: ids go on beyond what any chain has as its last. */
	*ret = tx->next_id;
	return rc;
}

static int insert_audit(struct hd_tx *tx, const struct hd_audit_row *row, int64_t id, int64_t back, uint32_t actor, struct hydro_error *err)
{
	sqlite3_stmt *stmt = hd_db_prepare(tx->db, "INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, id);
	hd_bind_int(stmt, 2, row->work);
	hd_bind_int(stmt, 3, (int64_t)row->sequence);
	hd_bind_int(stmt, 4, back);
	hd_bind_int(stmt, 5, row->due_ms);
	hd_bind_int(stmt, 6, row->at_ms);
	hd_bind_int(stmt, 7, (int64_t)(row->from << 8 | row->to));
	hd_bind_int(stmt, 8, actor);
	hd_bind_text(stmt, 9, row->detail);
	if (row->payload)
		hd_bind_blob(stmt, 10, row->payload, row->payload_len);
	hd_bind_blob(stmt, 11, row->hash, HD_HASH_BYTES);
	return hd_db_run(tx->db, stmt, err);
}

int hd_tx_audit(struct hd_tx *tx, struct hd_audit_row *row, int64_t *ret_id, struct hydro_error *err)
{
	struct hd_tx_head *head = NULL;
	uint32_t actor;
	int64_t id = 0;
	if (strlen(row->actor) > HD_ACTOR_BYTES_MAX || strlen(row->detail) > HD_DETAIL_BYTES_MAX || row->payload_len > HD_PAYLOAD_BYTES_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "an audit row's actor, detail or payload is too long (%u, %u, %u bytes at most)", HD_ACTOR_BYTES_MAX,
				    HD_DETAIL_BYTES_MAX, HD_PAYLOAD_BYTES_MAX);
	int rc = hd_tx_name(tx, row->actor, &actor, err);
	if (rc == HYDRO_OK)
		rc = next_id(tx, &id, err);
	if (rc == HYDRO_OK)
		rc = head_of(tx, row->work, &head, err);
	if (rc != HYDRO_OK)
		return rc;
	row->sequence = head->sequence + 1;
	memcpy(row->previous, head->hash, HD_HASH_BYTES);
	hd_chain_hash(row, row->hash);
	rc = insert_audit(tx, row, id, head->row ? id - head->row : 0, actor, err);
	if (rc == HYDRO_OK) {
		tx->next_id = id + 1;
		head->sequence = row->sequence;
		head->row = id;
		memcpy(head->hash, row->hash, HD_HASH_BYTES);
		*ret_id = id;
	}
	return rc;
}

int hd_tx_note(struct hd_tx *tx, uint32_t work, const char *by, struct hd_buf *detail, struct hydro_error *err)
{
	const char *text = hd_buf_text(detail);
	int64_t id;
	if (!text || detail->failed)
		return no_memory(err);
	struct hd_audit_row row = {.work = work, .at_ms = hd_clock_wall_ms(), .actor = by ? by : "", .detail = text};
	return hd_tx_audit(tx, &row, &id, err);
}

/* ---- counts ----------------------------------------------------------------------------------------------------------- */

static bool counts_as_filed(uint32_t state)
{
	return state == HD_SLOT_FILED || state == HD_SLOT_FILED_NO_RECEIPT || state == HD_SLOT_FILED_DIFFERS || state == HD_SLOT_BY_HAND;
}

int hd_tx_count(struct hd_tx *tx, uint32_t work, int64_t due_ms, uint32_t state, uint32_t marks, int sign, struct hydro_error *err)
{
	int64_t day = hd_calendar_day(tx->ledger->utc_offset_s, due_ms);
	uint32_t *at = hd_index_place(&tx->day_index, (uint64_t)work << 32 | (uint32_t)day);
	if (!at || !HD_RESERVE(tx->days, tx->day_cap, tx->day_count, 1))
		return no_memory(err);
	if (*at == 0) {
		tx->days[tx->day_count] = (struct hd_tx_day){.work = work, .day = day};
		*at = ++tx->day_count;
	}
	struct hd_tx_day *count = &tx->days[*at - 1];
	bool late = (marks & (HD_SLOT_LATE | HD_SLOT_OVER_LAG)) != 0;
	count->states[state] += sign;
	count->on_time += counts_as_filed(state) && !late ? sign : 0;
	count->late += late ? sign : 0;
	count->over_lag += marks & HD_SLOT_OVER_LAG ? sign : 0;
	count->checked += marks & HD_SLOT_CHECKED ? sign : 0;
	tx->totals[state] += sign;
	return HYDRO_OK;
}

#define ADD(name) name " = " name " + excluded." name

static int write_day(struct hd_tx *tx, const struct hd_tx_day *day, struct hydro_error *err)
{
	sqlite3_stmt *stmt = hd_db_prepare(tx->db,
		"INSERT INTO days VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20) ON CONFLICT DO UPDATE SET "
		ADD("s0") "," ADD("s1") "," ADD("s2") "," ADD("s3") "," ADD("s4") "," ADD("s5") "," ADD("s6") "," ADD("s7") "," ADD("s8") "," ADD("s9") ","
		ADD("s10") "," ADD("s11") "," ADD("s12") "," ADD("s13") "," ADD("on_time") "," ADD("late") "," ADD("over_lag") "," ADD("checked"), err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, day->work);
	hd_bind_int(stmt, 2, day->day);
	for (int i = 0; i < HD_SLOT_STATE_COUNT; i++)
		hd_bind_int(stmt, 3 + i, day->states[i]);
	hd_bind_int(stmt, 17, day->on_time);
	hd_bind_int(stmt, 18, day->late);
	hd_bind_int(stmt, 19, day->over_lag);
	hd_bind_int(stmt, 20, day->checked);
	return hd_db_run(tx->db, stmt, err);
}

static int write_counts(struct hd_tx *tx, struct hydro_error *err)
{
	int rc = HYDRO_OK;
	for (uint32_t i = 0; i < tx->day_count && rc == HYDRO_OK; i++)
		rc = write_day(tx, &tx->days[i], err);
	for (int state = 0; state < HD_SLOT_STATE_COUNT && rc == HYDRO_OK; state++) {
		if (tx->totals[state] == 0)
			continue;
		sqlite3_stmt *stmt = hd_db_prepare(tx->db, "INSERT INTO totals VALUES (?1, ?2) ON CONFLICT DO UPDATE SET count = count + excluded.count", err);
		if (!stmt)
			return HYDRO_E_IO;
		hd_bind_int(stmt, 1, state);
		hd_bind_int(stmt, 2, tx->totals[state]);
		rc = hd_db_run(tx->db, stmt, err);
	}
	return rc;
}

/* ---- begin and end ---------------------------------------------------------------------------------------------------- */

int hd_tx_begin(struct hd_ledger *ledger, struct hd_tx *tx, struct hydro_error *err)
{
	(void)pthread_mutex_lock(&ledger->write_lock);
	*tx = (struct hd_tx){.ledger = ledger, .db = ledger->writer};
	int rc = hd_db_exec(ledger->writer, "BEGIN IMMEDIATE", err);
	if (rc != HYDRO_OK)
		(void)pthread_mutex_unlock(&ledger->write_lock);
	return rc;
}

static int flush(struct hd_tx *tx, struct hd_mark *mark, struct hydro_error *err)
{
	int64_t counter = 0, now_ms = hd_clock_wall_ms();
	int rc = write_heads(tx, err);
	if (rc == HYDRO_OK)
		rc = write_counts(tx, err);
	if (rc == HYDRO_OK && tx->slots_ms != 0)
		rc = hd_ledger_meta_put(tx->db, "slots_ms", tx->slots_ms, err);
	if (rc != HYDRO_OK || !(tx->claims || tx->anchors || tx->marks))
		return rc;
	rc = hd_ledger_meta_get(tx->db, "counter", &counter, err);
	bool counts = tx->claims || tx->anchors;
	if (rc == HYDRO_OK && counts)
		rc = hd_ledger_meta_put(tx->db, "counter", counter + 1, err);
	*mark = tx->ledger->mark.last;
	mark->anchored_day = tx->anchors ? tx->anchored_day : mark->anchored_day;
	mark->counter = (uint64_t)counter + counts;
	mark->at_ms = now_ms;
	return rc;
}

static void drop(struct hd_tx *tx)
{
	hd_index_done(&tx->head_index);
	hd_index_done(&tx->day_index);
	free(tx->heads);
	free(tx->days);
	hd_buf_done(&tx->scratch);
}

int hd_tx_end(struct hd_tx *tx, int rc, struct hydro_error *err)
{
	struct hd_ledger *ledger = tx->ledger;
	struct hd_mark mark;
	if (rc == HYDRO_OK)
		rc = flush(tx, &mark, err);
	hd_db_reset(tx->db);
	if (rc == HYDRO_OK)
		rc = hd_db_exec(tx->db, "COMMIT", err);
	if (sqlite3_get_autocommit(hd_db_handle(tx->db)) == 0)
		(void)hd_db_exec(tx->db, "ROLLBACK", NULL);
	if (rc != HYDRO_OK)
		hd_map_done(&ledger->names); /* it may hold names that were undone */
	else if (tx->revises)
		atomic_fetch_add_explicit(&ledger->revision, 1, memory_order_release);
	/* Committed first: a mark behind the ledger is no harm, one before it looks like a restored ledger. */
	if (rc == HYDRO_OK && (tx->claims || tx->anchors || tx->marks) && ledger->has_mark)
		rc = hd_mark_write(&ledger->mark, &mark, err);
	(void)pthread_mutex_unlock(&ledger->write_lock);
	drop(tx);
	return rc;
}
