/* SPDX-License-Identifier: MIT */
/*
 * Anchors: once a day the heads of all chains that have grown, under a hash that needs the ledger's key and follows from the anchor
 * before. Who can write to the file but has not the key cannot write a chain anew up to an anchor, nor cut it short.
 */
#include "filing/ledger_inner.h"

#include "base/bytes.h"

#include <sodium.h>
#include <string.h>

/* ---- the heads of an anchor: for each chain the difference of works, the sequence (both varints), the hash ------------------ */

int hd_anchor_heads(const uint8_t *data, size_t len, hd_anchor_fn fn, void *arg, struct hydro_error *err)
{
	const uint8_t *p = data, *end = len ? data + len : data;
	uint64_t work = 0, step, sequence;
	bool first = true;
	int rc = HYDRO_OK;
	while (rc == HYDRO_OK && p < end) {
		p = hd_get_varint(p, end, &step);
		p = p ? hd_get_varint(p, end, &sequence) : NULL;
		if (!p || (size_t)(end - p) < HD_HASH_BYTES || step > UINT32_MAX || work + step > UINT32_MAX || (step == 0 && !first) || sequence == 0)
			return hd_error_set(err, HYDRO_E_CORRUPT, "the heads of an anchor are none");
		first = false;
		work += step;
		if (fn)
			rc = fn(arg, (uint32_t)work, sequence, p, err);
		p += HD_HASH_BYTES;
	}
	return rc;
}

static bool add_head(struct hd_buf *out, uint64_t step, uint64_t sequence, const void *hash)
{
	uint8_t numbers[2 * HD_VARINT_MAX];
	uint8_t *end = hd_put_varint(hd_put_varint(numbers, step), sequence);
	return hd_buf_add(out, numbers, (size_t)(end - numbers)) && hd_buf_add(out, hash, HD_HASH_BYTES);
}

struct anchor {
	int64_t day, at_ms;
	uint64_t chains;
	const void *heads;
	size_t len;
	uint8_t previous[HD_HASH_BYTES], hash[HD_HASH_BYTES];
};

static void hash_anchor(const struct hd_key *key, const struct anchor *anchor, uint8_t ret[HD_HASH_BYTES])
{
	crypto_generichash_state state;
	uint8_t head[HD_HASH_BYTES + 32];
	memcpy(head, anchor->previous, HD_HASH_BYTES);
	hd_put_u64(head + 32, (uint64_t)anchor->day);
	hd_put_u64(head + 40, (uint64_t)anchor->at_ms);
	hd_put_u64(head + 48, anchor->chains);
	hd_put_u64(head + 56, anchor->len);
	(void)crypto_generichash_init(&state, key->bytes, HD_KEY_BYTES, HD_HASH_BYTES);
	(void)crypto_generichash_update(&state, head, sizeof head);
	if (anchor->len)
		(void)crypto_generichash_update(&state, anchor->heads, anchor->len);
	(void)crypto_generichash_final(&state, ret, HD_HASH_BYTES);
}

/* ---- sealing ---------------------------------------------------------------------------------------------------------- */

/* *ret_done: that day, or a later one, is anchored. */
static int read_last(struct hd_db *db, int64_t day, struct anchor *ret, bool *ret_done, struct hydro_error *err)
{
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT day, hash FROM anchors ORDER BY day DESC LIMIT 1", err);
	if (!stmt)
		return HYDRO_E_IO;
	int rc = hd_db_step(db, stmt, &row, err);
	*ret_done = rc == HYDRO_OK && row && sqlite3_column_int64(stmt, 0) >= day;
	if (rc == HYDRO_OK && row && sqlite3_column_bytes(stmt, 1) == (int)HD_HASH_BYTES)
		memcpy(ret->previous, sqlite3_column_blob(stmt, 1), HD_HASH_BYTES);
	(void)sqlite3_reset(stmt);
	return rc;
}

static int gather(struct hd_db *db, struct hd_buf *out, uint64_t *ret_chains, struct hydro_error *err)
{
	bool row = false;
	uint64_t before = 0;
	int rc;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT work, sequence, hash, anchored FROM chains ORDER BY work", err);
	if (!stmt)
		return HYDRO_E_IO;
	while ((rc = hd_db_step(db, stmt, &row, err)) == HYDRO_OK && row) {
		uint64_t work = (uint64_t)sqlite3_column_int64(stmt, 0);
		++*ret_chains;
		if (sqlite3_column_int64(stmt, 1) <= sqlite3_column_int64(stmt, 3) || sqlite3_column_bytes(stmt, 2) != (int)HD_HASH_BYTES)
			continue;
		if (!add_head(out, work - before, (uint64_t)sqlite3_column_int64(stmt, 1), sqlite3_column_blob(stmt, 2))) {
			rc = hd_error_set(err, HYDRO_E_NOMEM, "no memory for an anchor");
			break;
		}
		before = work;
	}
	(void)sqlite3_reset(stmt);
	return rc;
}

static int insert(struct hd_db *db, const struct anchor *anchor, struct hydro_error *err)
{
	sqlite3_stmt *stmt = hd_db_prepare(db, "INSERT INTO anchors VALUES (?1, ?2, ?3, ?4, ?5)", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, anchor->day);
	hd_bind_int(stmt, 2, anchor->at_ms);
	hd_bind_int(stmt, 3, (int64_t)anchor->chains);
	hd_bind_blob(stmt, 4, anchor->len ? anchor->heads : "", anchor->len);
	hd_bind_blob(stmt, 5, anchor->hash, HD_HASH_BYTES);
	int rc = hd_db_run(db, stmt, err);
	return rc == HYDRO_OK ? hd_db_exec(db, "UPDATE chains SET anchored = sequence WHERE sequence > anchored", err) : rc;
}

static int seal(struct hd_tx *tx, int64_t day, int64_t now_ms, struct hydro_error *err)
{
	struct anchor anchor = {.day = day, .at_ms = now_ms};
	struct hd_buf heads = {0};
	bool done = false;
	int rc = read_last(tx->db, day, &anchor, &done, err);
	if (rc != HYDRO_OK || done)
		return rc;
	rc = gather(tx->db, &heads, &anchor.chains, err);
	anchor.heads = heads.data;
	anchor.len = heads.len;
	hash_anchor(&tx->ledger->anchor_key, &anchor, anchor.hash);
	if (rc == HYDRO_OK)
		rc = insert(tx->db, &anchor, err);
	hd_buf_done(&heads);
	tx->anchors = rc == HYDRO_OK;
	tx->anchored_day = day;
	return rc;
}

int hd_ledger_anchor(struct hd_ledger *ledger, int64_t day, int64_t now_ms, struct hydro_error *err)
{
	struct hd_tx tx;
	int rc = hd_tx_begin(ledger, &tx, err);
	return rc == HYDRO_OK ? hd_tx_end(&tx, seal(&tx, day, now_ms, err), err) : rc;
}

/* ---- reading ---------------------------------------------------------------------------------------------------------- */

int hd_anchors_walk(struct hd_ledger *ledger, struct hd_db *db, hd_anchor_fn fn, void *arg, uint64_t *ret_count, int64_t *ret_bad_day, struct hydro_error *err)
{
	struct anchor anchor = {0};
	uint8_t hash[HD_HASH_BYTES];
	bool row = false;
	int rc;
	*ret_bad_day = INT64_MIN;
	*ret_count = 0;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT day, at, chains, heads, hash FROM anchors ORDER BY day", err);
	if (!stmt)
		return HYDRO_E_IO;
	while ((rc = hd_db_step(db, stmt, &row, err)) == HYDRO_OK && row) {
		anchor.day = sqlite3_column_int64(stmt, 0);
		anchor.at_ms = sqlite3_column_int64(stmt, 1);
		anchor.chains = (uint64_t)sqlite3_column_int64(stmt, 2);
		anchor.heads = sqlite3_column_blob(stmt, 3);
		anchor.len = (size_t)sqlite3_column_bytes(stmt, 3);
		hash_anchor(&ledger->anchor_key, &anchor, hash);
		bool good = sqlite3_column_bytes(stmt, 4) == (int)HD_HASH_BYTES && sodium_memcmp(hash, sqlite3_column_blob(stmt, 4), HD_HASH_BYTES) == 0;
		if (!good && *ret_bad_day == INT64_MIN)
			*ret_bad_day = anchor.day;
		if (!good)
			break;
		++*ret_count;
		if ((rc = hd_anchor_heads(anchor.heads, anchor.len, fn, arg, err)) != HYDRO_OK)
			break;
		memcpy(anchor.previous, hash, HD_HASH_BYTES);
	}
	(void)sqlite3_reset(stmt);
	return rc;
}
