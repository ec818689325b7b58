/* SPDX-License-Identifier: MIT */
/*
 * Old rows of a chain, many to a compressed pack. Only the hash of a pack's last row is stored: those before it are reckoned when it
 * is opened, so that a pack proves as much as its rows did. Packing and taking away what was packed go in small steps.
 */
#include "filing/ledger_inner.h"

#include "base/bytes.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define FORM 1u
#define HEAD_BYTES 9u /* form (1), bytes of the opened numbers (4), of the opened whole (4) */
#define OPEN_BYTES_MAX (64u << 20)
#define LEVEL 6
#define ROWS_MIN 512u
#define ROWS_MAX 2048u
#define SWEEP_IDS 4000

/* ---- opening ---------------------------------------------------------------------------------------------------------- */

/* Numbers of a row: due and time (differences to the row before, zigzag), from, to, then the lengths of actor, detail and payload
 * (+ 1; 0 = none), all varints. The texts follow after all the numbers, each ended by NUL but for the payload. */
struct opened {
	const uint8_t *number, *numbers_end;
	const char *text, *texts_end;
	int64_t due_ms, at_ms;
};

static bool take_number(struct opened *o, uint64_t *ret)
{
	o->number = o->number ? hd_get_varint(o->number, o->numbers_end, ret) : NULL;
	return o->number != NULL;
}

static const char *take_text(struct opened *o, uint64_t len, bool ended)
{
	const char *text = o->text;
	if ((uint64_t)(o->texts_end - o->text) < len + ended || (ended && (text[len] != '\0' || strlen(text) != len)))
		return NULL;
	o->text += len + ended;
	return text;
}

static bool take_row(struct opened *o, struct hd_audit_row *ret)
{
	uint64_t due, at, from, to, actor, detail, payload;
	if (!take_number(o, &due) || !take_number(o, &at) || !take_number(o, &from) || !take_number(o, &to) || !take_number(o, &actor) || !take_number(o, &detail) ||
	    !take_number(o, &payload) || from > 255 || to > 255 || actor > HD_ACTOR_BYTES_MAX || detail > HD_DETAIL_BYTES_MAX || payload > HD_PAYLOAD_BYTES_MAX + 1)
		return false;
	o->due_ms = (int64_t)((uint64_t)o->due_ms + (uint64_t)hd_unzigzag(due));
	o->at_ms = (int64_t)((uint64_t)o->at_ms + (uint64_t)hd_unzigzag(at));
	ret->due_ms = o->due_ms;
	ret->at_ms = o->at_ms;
	ret->from = (uint32_t)from;
	ret->to = (uint32_t)to;
	ret->actor = take_text(o, actor, true);
	ret->detail = ret->actor ? take_text(o, detail, true) : NULL;
	ret->payload = ret->detail && payload ? take_text(o, payload - 1, false) : NULL;
	ret->payload_len = payload ? payload - 1 : 0;
	return ret->detail && (!payload || ret->payload);
}

static int give_rows(struct opened *o, uint32_t work, uint64_t first, uint64_t last, hd_pack_fn fn, void *arg, struct hydro_error *err)
{
	int rc = HYDRO_OK;
	for (uint64_t sequence = first; sequence <= last && rc == HYDRO_OK; sequence++) {
		struct hd_audit_row row = {.work = work, .sequence = sequence};
		if (!take_row(o, &row))
			return hd_error_set(err, HYDRO_E_CORRUPT, "the pack of rows %llu to %llu of chain %u does not open", (unsigned long long)first, (unsigned long long)last, work);
		rc = fn(arg, &row, err);
	}
	if (rc == HYDRO_OK && (o->number != o->numbers_end || o->text != o->texts_end))
		rc = hd_error_set(err, HYDRO_E_CORRUPT, "the pack of rows %llu to %llu of chain %u holds more than these", (unsigned long long)first, (unsigned long long)last, work);
	return rc;
}

int hd_pack_open(uint32_t work, uint64_t first, uint64_t last, const void *data, size_t len, hd_pack_fn fn, void *arg, struct hydro_error *err)
{
	const uint8_t *in = data;
	uint32_t numbers = len > HEAD_BYTES ? hd_get_u32(in + 1) : 0, whole = len > HEAD_BYTES ? hd_get_u32(in + 5) : 0;
	if (len <= HEAD_BYTES || in[0] != FORM || whole > OPEN_BYTES_MAX || numbers > whole || first > last || last - first >= whole)
		return hd_error_set(err, HYDRO_E_CORRUPT, "the pack of rows %llu to %llu of chain %u is none", (unsigned long long)first, (unsigned long long)last, work);
	HD_CLEANUP(hd_cleanup_free) char *open = malloc(whole);
	if (!open)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to open a pack of the filing ledger");
	size_t got = ZSTD_decompress(open, whole, in + HEAD_BYTES, len - HEAD_BYTES);
	if (ZSTD_isError(got) || got != whole)
		return hd_error_set(err, HYDRO_E_CORRUPT, "the pack of rows %llu to %llu of chain %u does not open", (unsigned long long)first, (unsigned long long)last, work);
	struct opened o = {.number = (const uint8_t *)open, .numbers_end = (const uint8_t *)open + numbers, .text = open + numbers, .texts_end = open + whole};
	return give_rows(&o, work, first, last, fn, arg, err);
}

/* ---- walking ---------------------------------------------------------------------------------------------------------- */

struct stepping {
	struct hd_chain_walk *walk;
	uint64_t expected;
};

static int step(void *arg, struct hd_audit_row *row, struct hydro_error *err)
{
	struct stepping *s = arg;
	return hd_chain_step(s->walk, row, s->expected++, NULL, err);
}

static void break_at(struct hd_chain_walk *walk, uint64_t sequence)
{
	if (!walk->broken)
		walk->broken_at = sequence;
	walk->broken = true;
}

/* One pack: opened after the hash of the one before, and ending in its own. What does not open is a break, not an error. */
static int walk_pack(sqlite3_stmt *stmt, struct hd_chain_walk *walk, struct hydro_error *err)
{
	uint64_t first = (uint64_t)sqlite3_column_int64(stmt, 0), last = (uint64_t)sqlite3_column_int64(stmt, 1);
	struct stepping s = {walk, first};
	uint8_t hash[HD_HASH_BYTES] = {0};
	if (sqlite3_column_bytes(stmt, 2) == (int)HD_HASH_BYTES)
		memcpy(hash, sqlite3_column_blob(stmt, 2), HD_HASH_BYTES);
	int rc = hd_pack_open(walk->work, first, last, sqlite3_column_blob(stmt, 3), (size_t)sqlite3_column_bytes(stmt, 3), step, &s, err);
	if (rc == HYDRO_E_CORRUPT) {
		hd_error_clear(err);
		rc = HYDRO_OK;
		break_at(walk, HD_MIN(s.expected, last));
	}
	if (rc == HYDRO_OK && sodium_memcmp(walk->hash, hash, HD_HASH_BYTES) != 0)
		break_at(walk, first);
	memcpy(walk->hash, hash, HD_HASH_BYTES);
	return rc;
}

int hd_packs_walk(struct hd_db *db, struct hd_chain_walk *walk, uint64_t packed, struct hydro_error *err)
{
	bool row = false;
	uint64_t expected = 0;
	int rc;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT p.first, p.last, p.hash, p.data, (SELECT b.hash FROM packs b WHERE b.work = p.work AND b.first < p.first ORDER BY b.first DESC LIMIT 1)"
					       " FROM packs p WHERE p.work = ?1 AND p.last >= ?2 AND p.first <= ?3 ORDER BY p.first", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, walk->work);
	hd_bind_int(stmt, 2, (int64_t)HD_MIN(walk->first, (uint64_t)INT64_MAX));
	hd_bind_int(stmt, 3, (int64_t)HD_MIN(walk->last, (uint64_t)INT64_MAX));
	while ((rc = hd_db_step(db, stmt, &row, err)) == HYDRO_OK && row) {
		uint64_t first = (uint64_t)sqlite3_column_int64(stmt, 0);
		if (expected == 0 && sqlite3_column_bytes(stmt, 4) == (int)HD_HASH_BYTES)
			memcpy(walk->hash, sqlite3_column_blob(stmt, 4), HD_HASH_BYTES);
		if (first != (expected ? expected : first) || (expected == 0 && walk->first == 1 && first != 1))
			break_at(walk, expected ? expected : 1);
		expected = (uint64_t)sqlite3_column_int64(stmt, 1) + 1;
		if ((rc = walk_pack(stmt, walk, err)) != HYDRO_OK)
			break;
	}
	(void)sqlite3_reset(stmt);
	if (rc == HYDRO_OK && expected <= HD_MIN(walk->last, packed))
		break_at(walk, expected ? expected : walk->first);
	return rc;
}

int hd_packs_last_hash(struct hd_db *db, uint32_t work, uint8_t ret[HD_HASH_BYTES], struct hydro_error *err)
{
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT hash FROM packs WHERE work = ?1 ORDER BY first DESC LIMIT 1", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, work);
	int rc = hd_db_step(db, stmt, &row, err);
	if (rc == HYDRO_OK && row && sqlite3_column_bytes(stmt, 0) == (int)HD_HASH_BYTES)
		memcpy(ret, sqlite3_column_blob(stmt, 0), HD_HASH_BYTES);
	(void)sqlite3_reset(stmt);
	return rc;
}

/* ---- packing ---------------------------------------------------------------------------------------------------------- */

struct packing {
	int64_t before_ms, due_ms, at_ms;
	struct hd_buf numbers, texts, data;
	uint64_t last;
	uint32_t count;
	uint8_t hash[HD_HASH_BYTES];
};

static int add_row(void *arg, const struct hd_audit_row *row, struct hydro_error *err)
{
	struct packing *p = arg;
	uint8_t numbers[7 * HD_VARINT_MAX], *n = numbers;
	if (row->at_ms >= p->before_ms)
		return HYDRO_E_CANCELLED; /* from here on they stay */
	n = hd_put_varint(n, hd_zigzag((int64_t)((uint64_t)row->due_ms - (uint64_t)p->due_ms)));
	n = hd_put_varint(n, hd_zigzag((int64_t)((uint64_t)row->at_ms - (uint64_t)p->at_ms)));
	n = hd_put_varint(n, row->from);
	n = hd_put_varint(n, row->to);
	n = hd_put_varint(n, strlen(row->actor));
	n = hd_put_varint(n, strlen(row->detail));
	n = hd_put_varint(n, row->payload ? row->payload_len + 1 : 0);
	if (!hd_buf_add(&p->numbers, numbers, (size_t)(n - numbers)) || !hd_buf_add(&p->texts, row->actor, strlen(row->actor) + 1) ||
	    !hd_buf_add(&p->texts, row->detail, strlen(row->detail) + 1) || (row->payload && !hd_buf_add(&p->texts, row->payload, row->payload_len)))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to pack rows of the filing ledger");
	p->due_ms = row->due_ms;
	p->at_ms = row->at_ms;
	p->last = row->sequence;
	p->count++;
	memcpy(p->hash, row->hash, HD_HASH_BYTES);
	return p->numbers.len + p->texts.len > OPEN_BYTES_MAX / 4 ? HYDRO_E_CANCELLED : HYDRO_OK;
}

static int compress(struct packing *p, struct hydro_error *err)
{
	size_t numbers = p->numbers.len, whole = numbers + p->texts.len;
	if (!hd_buf_add(&p->numbers, p->texts.data, p->texts.len) || !hd_buf_reserve(&p->data, HEAD_BYTES + ZSTD_compressBound(whole)))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to pack rows of the filing ledger");
	uint8_t *out = (uint8_t *)p->data.data;
	out[0] = FORM;
	hd_put_u32(out + 1, (uint32_t)numbers);
	hd_put_u32(out + 5, (uint32_t)whole);
	size_t len = ZSTD_compress(out + HEAD_BYTES, p->data.cap - HEAD_BYTES, p->numbers.data, whole, LEVEL);
	if (ZSTD_isError(len))
		return hd_error_set(err, HYDRO_E_NOMEM, "cannot pack rows of the filing ledger: %s", ZSTD_getErrorName(len));
	p->data.len = HEAD_BYTES + len;
	return HYDRO_OK;
}

static int store_pack(struct hd_db *db, uint32_t work, uint64_t first, struct packing *p, struct hydro_error *err)
{
	int rc = compress(p, err);
	sqlite3_stmt *stmt = rc == HYDRO_OK ? hd_db_prepare(db, "INSERT INTO packs VALUES (?1, ?2, ?3, ?4, ?5)", err) : NULL;
	if (!stmt)
		return rc != HYDRO_OK ? rc : HYDRO_E_IO;
	hd_bind_int(stmt, 1, work);
	hd_bind_int(stmt, 2, (int64_t)first);
	hd_bind_int(stmt, 3, (int64_t)p->last);
	hd_bind_blob(stmt, 4, p->hash, HD_HASH_BYTES);
	hd_bind_blob(stmt, 5, p->data.data, p->data.len);
	if ((rc = hd_db_run(db, stmt, err)) != HYDRO_OK)
		return rc;
	stmt = hd_db_prepare(db, "UPDATE chains SET packed = ?2 WHERE work = ?1", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, work);
	hd_bind_int(stmt, 2, (int64_t)p->last);
	return hd_db_run(db, stmt, err);
}

/* A chain that does not check is left as it is, for whoever looks into it. */
static int pack_chain(struct hd_db *db, uint32_t work, uint64_t packed, const struct hd_pack_plan *plan, uint64_t *ret_rows, struct hydro_error *err)
{
	struct packing p = {.before_ms = plan->before_ms};
	struct hd_chain_walk walk = {.work = work, .first = packed + 1, .last = packed + ROWS_MAX, .fn = add_row, .arg = &p};
	struct hydro_error own = {.struct_size = sizeof own};
	int rc = hd_chain_walk(db, &walk, &own);
	if (rc == HYDRO_E_CANCELLED)
		rc = HYDRO_OK;
	else if (rc != HYDRO_OK)
		(void)hd_error_set(err, rc, "%s", own.text);
	if (rc == HYDRO_OK && !walk.broken && p.count >= plan->rows_min && (rc = store_pack(db, work, packed + 1, &p, err)) == HYDRO_OK)
		*ret_rows += p.count;
	hd_buf_done(&p.numbers);
	hd_buf_done(&p.texts);
	hd_buf_done(&p.data);
	return rc;
}

struct candidate {
	uint32_t work;
	uint64_t packed;
};

/* Chains behind the cursor that are long enough: twice what a pack needs, as the newest rows stay and a walk in vain costs a millisecond. */
static int candidates(struct hd_tx *tx, const struct hd_pack_plan *plan, struct candidate *ret, uint32_t *ret_count, struct hydro_error *err)
{
	bool row = false;
	int rc;
	sqlite3_stmt *stmt = hd_db_prepare(tx->db, "SELECT work, packed FROM chains WHERE work > ?1 AND sequence - packed >= ?2 ORDER BY work LIMIT ?3", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, tx->ledger->pack_work);
	hd_bind_int(stmt, 2, 2 * (int64_t)plan->rows_min);
	hd_bind_int(stmt, 3, plan->chains_max);
	for (*ret_count = 0; (rc = hd_db_step(tx->db, stmt, &row, err)) == HYDRO_OK && row; ++*ret_count)
		ret[*ret_count] = (struct candidate){(uint32_t)sqlite3_column_int64(stmt, 0), (uint64_t)sqlite3_column_int64(stmt, 1)};
	(void)sqlite3_reset(stmt);
	return rc;
}

/* The next ids whose rows are packed go; never the last of all, from which ids are counted on. */
static int sweep(struct hd_tx *tx, bool *ret_more, struct hydro_error *err)
{
	bool row = false;
	int64_t *cursor = &tx->ledger->sweep_row, last = 0;
	sqlite3_stmt *stmt = hd_db_prepare(tx->db, "SELECT (SELECT min(id) FROM audit WHERE id > ?1), (SELECT max(id) FROM audit)", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, *cursor);
	int rc = hd_db_step(tx->db, stmt, &row, err);
	int64_t first = rc == HYDRO_OK && row ? sqlite3_column_int64(stmt, 0) : 0;
	last = rc == HYDRO_OK && row ? sqlite3_column_int64(stmt, 1) : 0;
	(void)sqlite3_reset(stmt);
	*ret_more = first > 0 && first < last;
	if (rc != HYDRO_OK || !*ret_more)
		return rc;
	int64_t end = HD_MIN(first + SWEEP_IDS, last);
	stmt = hd_db_prepare(tx->db, "DELETE FROM audit WHERE id >= ?1 AND id < ?2 AND sequence <= (SELECT c.packed FROM chains c WHERE c.work = audit.work)", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, first);
	hd_bind_int(stmt, 2, end);
	rc = hd_db_run(tx->db, stmt, err);
	*cursor = end - 1;
	return rc;
}

static int pack(struct hd_tx *tx, const struct hd_pack_plan *plan, struct hd_pack_done *ret, struct hydro_error *err)
{
	struct candidate list[HD_PACK_CHAINS_MAX];
	struct hd_ledger *ledger = tx->ledger;
	uint32_t count = 0;
	int rc = HYDRO_OK;
	if (!ledger->sweeping) {
		rc = candidates(tx, plan, list, &count, err);
		for (uint32_t i = 0; i < count && rc == HYDRO_OK; i++)
			rc = pack_chain(tx->db, list[i].work, list[i].packed, plan, &ret->rows, err);
		ledger->pack_work = count ? list[count - 1].work : 0;
		ledger->to_sweep |= ret->rows > 0;
		bool last = count < plan->chains_max;
		ledger->sweeping = last && ledger->to_sweep;
		ledger->sweep_row = 0;
		if (last)
			ledger->pack_work = 0;
		ret->more = !last || ledger->sweeping;
		return rc;
	}
	rc = sweep(tx, &ret->more, err);
	ledger->sweeping = ledger->to_sweep = ret->more;
	return rc;
}

int hd_ledger_pack(struct hd_ledger *ledger, const struct hd_pack_plan *plan, struct hd_pack_done *ret, struct hydro_error *err)
{
	struct hd_pack_plan own = *plan;
	struct hd_tx tx;
	own.rows_min = plan->rows_min ? plan->rows_min : ROWS_MIN;
	own.chains_max = plan->chains_max ? HD_MIN(plan->chains_max, HD_PACK_CHAINS_MAX) : 8;
	*ret = (struct hd_pack_done){0};
	int rc = hd_tx_begin(ledger, &tx, err);
	return rc == HYDRO_OK ? hd_tx_end(&tx, pack(&tx, &own, ret, err), err) : rc;
}
