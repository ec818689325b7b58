/* SPDX-License-Identifier: MIT */
/* The hash chains of works: what a row's hash is, and going along a chain. */
#include "filing/ledger_inner.h"

#include "base/bytes.h"

#include <sodium.h>
#include <string.h>

static void add_text(crypto_generichash_state *state, const char *text, size_t len)
{
	uint8_t size[4];
	hd_put_u32(size, (uint32_t)len);
	(void)crypto_generichash_update(state, size, sizeof size);
	if (len)
		(void)crypto_generichash_update(state, (const uint8_t *)text, len);
}

/* Little-endian: previous (32), sequence (8), work (4), due (8), at (8), from (4), to (4), then actor, detail, payload, each after
 * its length (4). */
void hd_chain_hash(const struct hd_audit_row *row, uint8_t ret[HD_HASH_BYTES])
{
	crypto_generichash_state state;
	uint8_t head[HD_HASH_BYTES + 36];
	memcpy(head, row->previous, HD_HASH_BYTES);
	hd_put_u64(head + 32, row->sequence);
	hd_put_u32(head + 40, row->work);
	hd_put_u64(head + 44, (uint64_t)row->due_ms);
	hd_put_u64(head + 52, (uint64_t)row->at_ms);
	hd_put_u32(head + 60, row->from);
	hd_put_u32(head + 64, row->to);
	(void)crypto_generichash_init(&state, NULL, 0, HD_HASH_BYTES);
	(void)crypto_generichash_update(&state, head, sizeof head);
	add_text(&state, row->actor, strlen(row->actor));
	add_text(&state, row->detail, strlen(row->detail));
	add_text(&state, row->payload, row->payload ? row->payload_len : 0);
	(void)crypto_generichash_final(&state, ret, HD_HASH_BYTES);
}

static void read_row(sqlite3_stmt *stmt, uint32_t work, struct hd_audit_row *ret)
{
	int64_t states = sqlite3_column_int64(stmt, 3);
	*ret = (struct hd_audit_row){.work = work,
				     .sequence = (uint64_t)sqlite3_column_int64(stmt, 0),
				     .due_ms = sqlite3_column_int64(stmt, 1),
				     .at_ms = sqlite3_column_int64(stmt, 2),
				     .from = (uint32_t)(states >> 8) & 0xff,
				     .to = (uint32_t)states & 0xff,
				     .actor = hd_column_text(stmt, 4),
				     .detail = hd_column_text(stmt, 5),
				     .payload = sqlite3_column_blob(stmt, 6),
				     .payload_len = (size_t)sqlite3_column_bytes(stmt, 6)};
	if (sqlite3_column_bytes(stmt, 7) == (int)HD_HASH_BYTES)
		memcpy(ret->hash, sqlite3_column_blob(stmt, 7), HD_HASH_BYTES);
}

/* The row follows the one before and its own hash is right; the chain's first follows zeros. */
static bool follows(struct hd_chain_walk *walk, struct hd_audit_row *row, uint64_t expected)
{
	uint8_t hash[HD_HASH_BYTES];
	memcpy(row->previous, walk->hash, HD_HASH_BYTES);
	hd_chain_hash(row, hash);
	bool good = row->sequence == expected && sodium_memcmp(hash, row->hash, HD_HASH_BYTES) == 0;
	memcpy(walk->hash, row->hash, HD_HASH_BYTES);
	if (!good && !walk->broken) {
		walk->broken = true;
		walk->broken_at = expected;
	}
	return good;
}

int hd_chain_walk(struct hd_db *db, struct hd_chain_walk *walk, struct hydro_error *err)
{
	struct hd_audit_row row;
	bool there = false;
	/* One row more at the beginning: its hash is what the first one follows. */
	uint64_t expected = walk->first > 1 ? walk->first - 1 : 1;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT a.sequence, a.due, a.at, a.states, coalesce(n.text, ''), a.detail, a.payload, a.hash FROM audit a"
					       " LEFT JOIN names n ON n.id = a.actor WHERE a.work = ?1 AND a.sequence BETWEEN ?2 AND ?3 ORDER BY a.sequence", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, walk->work);
	hd_bind_int(stmt, 2, (int64_t)expected);
	hd_bind_int(stmt, 3, (int64_t)HD_MIN(walk->last, (uint64_t)INT64_MAX));
	int rc = hd_db_step(db, stmt, &there, err);
	while (rc == HYDRO_OK && there) {
		read_row(stmt, walk->work, &row);
		if (row.sequence < walk->first) {
			memcpy(walk->hash, row.hash, HD_HASH_BYTES);
		} else {
			(void)follows(walk, &row, expected);
			walk->rows++;
			if (walk->fn)
				rc = walk->fn(walk->arg, &row, err);
		}
		expected = row.sequence + 1;
		if (rc == HYDRO_OK)
			rc = hd_db_step(db, stmt, &there, err);
	}
	(void)sqlite3_reset(stmt);
	return rc;
}
