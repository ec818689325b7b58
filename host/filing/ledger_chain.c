/* SPDX-License-Identifier: MIT */
/* The hash chains of works: what a row's hash is, and going along a chain. */
#include "filing/ledger_inner.h"

#include "base/array.h"
#include "base/bytes.h"

#include <sodium.h>
#include <stdlib.h>
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

int hd_chain_head(struct hd_db *db, uint32_t work, struct hd_chain_head *ret, struct hydro_error *err)
{
	bool row = false;
	*ret = (struct hd_chain_head){0};
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT sequence, packed, row, hash FROM chains WHERE work = ?1", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, work);
	int rc = hd_db_step(db, stmt, &row, err);
	if (rc == HYDRO_OK && row) {
		ret->sequence = (uint64_t)sqlite3_column_int64(stmt, 0);
		ret->packed = (uint64_t)sqlite3_column_int64(stmt, 1);
		ret->row = sqlite3_column_int64(stmt, 2);
		if (sqlite3_column_bytes(stmt, 3) == (int)HD_HASH_BYTES)
			memcpy(ret->hash, sqlite3_column_blob(stmt, 3), HD_HASH_BYTES);
	}
	(void)sqlite3_reset(stmt);
	return rc;
}

static void break_at(struct hd_chain_walk *walk, uint64_t sequence)
{
	if (!walk->broken)
		walk->broken_at = sequence;
	walk->broken = true;
}

int hd_chain_step(struct hd_chain_walk *walk, struct hd_audit_row *row, uint64_t expected, const uint8_t *stored, struct hydro_error *err)
{
	memcpy(row->previous, walk->hash, HD_HASH_BYTES);
	hd_chain_hash(row, row->hash);
	if (row->sequence != expected || (stored && sodium_memcmp(row->hash, stored, HD_HASH_BYTES) != 0))
		break_at(walk, expected);
	memcpy(walk->hash, stored ? stored : row->hash, HD_HASH_BYTES);
	memcpy(row->hash, walk->hash, HD_HASH_BYTES);
	if (row->sequence < walk->first || row->sequence > walk->last)
		return HYDRO_OK;
	walk->rows++;
	return walk->fn ? walk->fn(walk->arg, row, err) : HYDRO_OK;
}

/* ---- rows that are not packed: the ids backwards, then the rows forwards ------------------------------------------------ */

struct ids {
	int64_t *rows;
	uint32_t count, cap;
};

/* Down to the row of sequence `first`; fewer when the links do not lead there. */
static int collect(struct hd_db *db, uint32_t work, uint64_t first, int64_t id, struct ids *ids, struct hydro_error *err)
{
	uint64_t sequence = UINT64_MAX;
	int rc = HYDRO_OK;
	while (rc == HYDRO_OK && id > 0) {
		bool row = false;
		sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT work, sequence, back FROM audit WHERE id = ?1", err);
		if (!stmt)
			return HYDRO_E_IO;
		hd_bind_int(stmt, 1, id);
		rc = hd_db_step(db, stmt, &row, err);
		uint64_t own = row ? (uint64_t)sqlite3_column_int64(stmt, 1) : 0;
		int64_t back = row ? sqlite3_column_int64(stmt, 2) : 0;
		bool good = row && (uint32_t)sqlite3_column_int64(stmt, 0) == work && own < sequence && own >= first;
		(void)sqlite3_reset(stmt);
		if (!good)
			break;
		if (!HD_RESERVE(ids->rows, ids->cap, ids->count, 1))
			return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a chain of the filing ledger");
		ids->rows[ids->count++] = id;
		sequence = own;
		id = back > 0 && own > first ? id - back : 0;
	}
	return rc;
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
}

static int walk_row(struct hd_db *db, struct hd_chain_walk *walk, int64_t id, uint64_t *expected, struct hydro_error *err)
{
	static const uint8_t none[HD_HASH_BYTES];
	struct hd_audit_row row;
	bool there = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT a.sequence, a.due, a.at, a.states, coalesce(n.text, ''), a.detail, a.payload, a.hash FROM audit a"
					       " LEFT JOIN names n ON n.id = a.actor WHERE a.id = ?1", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, id);
	int rc = hd_db_step(db, stmt, &there, err);
	if (rc == HYDRO_OK && there) {
		read_row(stmt, walk->work, &row);
		const uint8_t *stored = sqlite3_column_bytes(stmt, 7) == (int)HD_HASH_BYTES ? sqlite3_column_blob(stmt, 7) : none;
		if (row.sequence < walk->first) /* the one before, for its hash alone */
			memcpy(walk->hash, stored, HD_HASH_BYTES);
		else
			rc = hd_chain_step(walk, &row, *expected, stored, err);
		*expected = row.sequence + 1;
	}
	(void)sqlite3_reset(stmt);
	return rc;
}

static int walk_rows(struct hd_db *db, struct hd_chain_walk *walk, const struct hd_chain_head *head, uint64_t expected, struct hydro_error *err)
{
	struct ids ids = {0};
	int rc = collect(db, walk->work, expected, walk->row ? walk->row : head->row, &ids, err);
	for (uint32_t i = ids.count; i > 0 && rc == HYDRO_OK; i--)
		rc = walk_row(db, walk, ids.rows[i - 1], &expected, err);
	free(ids.rows);
	if (rc == HYDRO_OK && expected <= HD_MIN(walk->last, head->sequence))
		break_at(walk, expected);
	return rc;
}

int hd_chain_walk(struct hd_db *db, struct hd_chain_walk *walk, struct hydro_error *err)
{
	struct hd_chain_head head;
	int rc = hd_chain_head(db, walk->work, &head, err);
	if (rc != HYDRO_OK || head.sequence == 0)
		return rc;
	if (walk->first <= head.packed)
		rc = hd_packs_walk(db, walk, head.packed, err);
	if (rc != HYDRO_OK || walk->last <= head.packed)
		return rc;
	/* One row more at the beginning, unless that is packed or none: its hash is what the first one follows. */
	uint64_t from = HD_MAX(walk->first, head.packed + 1);
	if (from > head.packed + 1)
		from--;
	else if (walk->first == head.packed + 1 && head.packed > 0)
		rc = hd_packs_last_hash(db, walk->work, walk->hash, err);
	return rc == HYDRO_OK ? walk_rows(db, walk, &head, from, err) : rc;
}
