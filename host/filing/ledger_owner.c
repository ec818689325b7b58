/* SPDX-License-Identifier: MIT */
/* Which ledger this is, on which machine, how far it had come, and who holds claims. */
#include "filing/ledger_inner.h"

#include "base/array.h"
#include "base/clock.h"
#include "base/fs.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SMALL_FILE_BYTES 4096u

/* A small file of the system, with an ending NUL; "" when there is none. */
static int read_small(const char *path, struct hd_buf *ret, const char **ret_text, struct hydro_error *err)
{
	struct hydro_error own = {.struct_size = sizeof own};
	int rc = hd_fs_read(path, SMALL_FILE_BYTES, ret, &own);
	*ret_text = rc == HYDRO_OK ? hd_buf_text(ret) : "";
	if (rc == HYDRO_E_NOMEM || !*ret_text)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to read %s", path);
	return HYDRO_OK;
}

static int read_word(const char *path, char *ret, size_t size, struct hydro_error *err)
{
	struct hd_buf buf = {0};
	const char *text;
	size_t len = 0;
	int rc = read_small(path, &buf, &text, err);
	while (rc == HYDRO_OK && len < size - 1 && isgraph((unsigned char)text[len])) {
		ret[len] = text[len];
		len++;
	}
	ret[len] = '\0';
	hd_buf_done(&buf);
	return rc;
}

/* When the process began, in ticks since the boot (field 22 of proc_pid_stat(5)); 0 = there is none. */
static int process_start(int64_t pid, int64_t *ret, struct hydro_error *err)
{
	char path[64];
	struct hd_buf buf = {0};
	const char *at;
	(void)snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
	int rc = read_small(path, &buf, &at, err);
	*ret = 0;
	if (rc == HYDRO_OK) {
		at = strrchr(at, ')'); /* the name may hold anything */
		for (int field = 2; at && field < 22; field++)
			at = strchr(at + 1, ' ');
		if (at)
			*ret = strtoll(at, NULL, 10);
	}
	hd_buf_done(&buf);
	return rc;
}

/* ---- this process ----------------------------------------------------------------------------------------------------- */

static int write_owner(struct hd_ledger *ledger, struct hd_db *db, struct hydro_error *err)
{
	int64_t pid = getpid(), start;
	int rc = process_start(pid, &start, err);
	if (rc != HYDRO_OK)
		return rc;
	sqlite3_stmt *stmt = hd_db_prepare(db, "INSERT INTO owners (machine, boot, pid, started, opened_ms) VALUES (?1, ?2, ?3, ?4, ?5)", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_text(stmt, 1, ledger->machine);
	hd_bind_text(stmt, 2, ledger->boot);
	hd_bind_int(stmt, 3, pid);
	hd_bind_int(stmt, 4, start);
	hd_bind_int(stmt, 5, hd_clock_wall_ms());
	rc = hd_db_run(db, stmt, err);
	ledger->owner = (uint32_t)sqlite3_last_insert_rowid(hd_db_handle(db));
	return rc;
}

/* ---- which ledger ----------------------------------------------------------------------------------------------------- */

static int read_identity(struct hd_db *db, struct hd_uuid *ret_id, char ret_machine[HD_MACHINE_BYTES], bool *ret_there, struct hydro_error *err)
{
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT i.value, m.value FROM meta i, meta m WHERE i.key = 'ledger' AND m.key = 'machine'", err);
	if (!stmt)
		return HYDRO_E_IO;
	int rc = hd_db_step(db, stmt, &row, err);
	if (rc == HYDRO_OK && row) {
		*ret_id = hd_column_uuid(stmt, 0);
		(void)snprintf(ret_machine, HD_MACHINE_BYTES, "%s", hd_column_text(stmt, 1));
	}
	*ret_there = row;
	(void)sqlite3_reset(stmt);
	return rc;
}

static int write_identity(struct hd_ledger *ledger, struct hd_db *db, struct hydro_error *err)
{
	sqlite3_stmt *stmt = hd_db_prepare(db, "INSERT INTO meta VALUES ('ledger', ?1), ('machine', ?2) ON CONFLICT DO UPDATE SET value = excluded.value", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_uuid(stmt, 1, &ledger->id);
	hd_bind_text(stmt, 2, ledger->machine);
	return hd_db_run(db, stmt, err);
}

/* NULL: it is where it was, and not older than its mark. */
static const char *why_restored(const struct hd_ledger *ledger, bool marked, bool is_new, const char *machine, int64_t counter, int64_t anchored)
{
	const struct hd_mark *mark = &ledger->mark.last;
	if (ledger->has_mark && marked && !hd_uuid_equal(&mark->ledger, &ledger->id))
		return "the mark is another ledger's";
	if (is_new)
		return NULL;
	if (machine[0] && ledger->machine[0] && strcmp(machine, ledger->machine) != 0)
		return "it was another machine's";
	if (!ledger->has_mark)
		return NULL;
	if (!marked)
		return counter > 0 ? "its mark is gone" : NULL;
	if (mark->machine[0] && ledger->machine[0] && strcmp(mark->machine, ledger->machine) != 0)
		return "the mark is another machine's";
	return mark->counter > (uint64_t)counter || mark->anchored_day > anchored ? "it is older than its mark" : NULL;
}

static int last_anchor(struct hd_db *db, int64_t *ret, struct hydro_error *err)
{
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT coalesce(max(day), 0) FROM anchors", err);
	if (!stmt)
		return HYDRO_E_IO;
	int rc = hd_db_step(db, stmt, &row, err);
	if (rc == HYDRO_OK && row)
		*ret = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_reset(stmt);
	return rc;
}

/* ---- after a restore -------------------------------------------------------------------------------------------------- */

/* What to make of slots that `sql` selects (work, due, state, epoch): all become UNKNOWN. In steps, as the rows change under it. */
static int make_unknown(struct hd_tx *tx, sqlite3_stmt *stmt, int64_t now_ms, const char *cause, uint64_t *ret_count, struct hydro_error *err)
{
	struct hd_slot_change *changes = NULL;
	uint32_t count = 0, capacity = 0;
	bool row = false;
	int rc;
	while ((rc = hd_db_step(tx->db, stmt, &row, err)) == HYDRO_OK && row) {
		if (!HD_RESERVE(changes, capacity, count, 1)) {
			rc = hd_error_set(err, HYDRO_E_NOMEM, "no memory for expired claims");
			break;
		}
		changes[count++] = (struct hd_slot_change){.work = (uint32_t)sqlite3_column_int64(stmt, 0), .due_ms = sqlite3_column_int64(stmt, 1),
							   .from = (uint32_t)sqlite3_column_int64(stmt, 2), .to = HD_SLOT_UNKNOWN, .at_ms = now_ms,
							   .actor = "hydrod", .cause = cause};
	}
	(void)sqlite3_reset(stmt);
	for (uint32_t i = 0; i < count && rc == HYDRO_OK; i++)
		rc = hd_tx_apply(tx, &changes[i], err);
	free(changes);
	*ret_count += count;
	return rc;
}

static int put_time(struct hd_tx *tx, const char *key, int64_t ms, struct hydro_error *err)
{
	char text[24];
	(void)snprintf(text, sizeof text, "%" PRId64, ms);
	return hd_tx_setting_put(tx, key, text, "hydrod", "", err);
}

static int hold(struct hd_tx *tx, const char *why, struct hydro_error *err)
{
	int64_t now_ms = hd_clock_wall_ms(), since_ms = 0;
	uint64_t count = 0;
	int rc = hd_ledger_meta_get(tx->db, "slots_ms", &since_ms, err);
	sqlite3_stmt *stmt = hd_db_prepare(tx->db, "SELECT work, due, state FROM slots INDEXED BY slots_open WHERE state IN " HD_OPEN_STATES_SQL
						   " AND (state IN (2, 3, 4, 9) OR state = 10 AND epoch > 0)", err);
	if (!stmt)
		return HYDRO_E_IO;
	if (rc == HYDRO_OK)
		rc = make_unknown(tx, stmt, now_ms, "restored", &count, err);
	if (rc == HYDRO_OK)
		rc = hd_tx_setting_put(tx, "hold", "restored", "hydrod", why, err);
	if (rc == HYDRO_OK)
		rc = hd_tx_setting_put(tx, "hold_why", why, "hydrod", "", err);
	if (rc == HYDRO_OK)
		rc = put_time(tx, "restored_from_ms", since_ms, err);
	return rc == HYDRO_OK ? put_time(tx, "restored_to_ms", now_ms, err) : rc;
}

static int is_on_hold(struct hd_db *db, bool *ret, struct hydro_error *err)
{
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT value = 'restored' FROM settings WHERE key = 'hold'", err);
	if (!stmt)
		return HYDRO_E_IO;
	int rc = hd_db_step(db, stmt, &row, err);
	*ret = rc == HYDRO_OK && row && sqlite3_column_int(stmt, 0) != 0;
	(void)sqlite3_reset(stmt);
	return rc;
}

/* ---- opening ---------------------------------------------------------------------------------------------------------- */

struct identity {
	bool marked, there;
	char machine[HD_MACHINE_BYTES];
	int64_t counter, anchored;
	const char *why;
};

static int take_identity(struct hd_ledger *ledger, struct hd_db *db, struct identity *id, struct hydro_error *err)
{
	int64_t offset = 0;
	int rc = read_identity(db, &ledger->id, id->machine, &id->there, err);
	if (rc == HYDRO_OK)
		rc = hd_ledger_meta_get(db, "counter", &id->counter, err);
	if (rc == HYDRO_OK)
		rc = last_anchor(db, &id->anchored, err);
	if (rc == HYDRO_OK && id->there)
		rc = hd_ledger_meta_get(db, "utc_offset_s", &offset, err);
	if (rc != HYDRO_OK)
		return rc;
	if (id->there && offset != ledger->utc_offset_s)
		return hd_error_set(err, HYDRO_E_CONFIG, "its days are counted at %" PRId64 " s from UTC, not %" PRId32 " s", offset, ledger->utc_offset_s);
	if (!id->there)
		ledger->id = hd_uuid_new();
	id->why = why_restored(ledger, id->marked, !id->there, id->machine, id->counter, id->anchored);
	return HYDRO_OK;
}

/* The hold is durable with the new identity, before the mark is set anew: whatever dies in between, the hold stays. */
static int settle(struct hd_tx *tx, struct identity *id, struct hydro_error *err)
{
	struct hd_ledger *ledger = tx->ledger;
	int rc = take_identity(ledger, tx->db, id, err);
	if (rc == HYDRO_OK)
		rc = write_owner(ledger, tx->db, err);
	if (rc == HYDRO_OK && id->why)
		rc = hold(tx, id->why, err);
	if (rc == HYDRO_OK && (id->why || !id->there))
		rc = write_identity(ledger, tx->db, err);
	if (rc == HYDRO_OK && !id->there)
		rc = hd_ledger_meta_put(tx->db, "utc_offset_s", ledger->utc_offset_s, err);
	if (rc != HYDRO_OK || (!id->why && id->marked == ledger->has_mark))
		return rc;
	/* Beyond both, so that the mark's new place is the newer one. */
	int64_t counter = HD_MAX(id->counter, (int64_t)HD_MIN(ledger->mark.last.counter, (uint64_t)INT64_MAX / 2));
	ledger->mark.last = (struct hd_mark){.ledger = ledger->id, .anchored_day = id->anchored};
	memcpy(ledger->mark.last.machine, ledger->machine, sizeof ledger->machine);
	/* A first mark counts nothing: lost between the commit and it, the ledger is still one that needs none. */
	tx->marks = true;
	tx->claims = id->why != NULL;
	return id->why ? hd_ledger_meta_put(tx->db, "counter", counter, err) : HYDRO_OK;
}

int hd_ledger_identify(struct hd_ledger *ledger, const struct hd_ledger_config *config, bool *ret_restored, struct hydro_error *err)
{
	struct identity id = {0};
	struct hd_tx tx;
	int rc = read_word("/proc/sys/kernel/random/boot_id", ledger->boot, sizeof ledger->boot, err);
	if (config->machine)
		(void)snprintf(ledger->machine, sizeof ledger->machine, "%s", config->machine);
	else if (rc == HYDRO_OK)
		rc = read_word("/etc/machine-id", ledger->machine, sizeof ledger->machine, err);
	ledger->has_mark = config->mark_path != NULL;
	if (rc == HYDRO_OK && ledger->has_mark)
		rc = hd_mark_open(config->mark_path, &ledger->mark, &id.marked, err);
	if (rc == HYDRO_OK && (rc = hd_tx_begin(ledger, &tx, err)) == HYDRO_OK)
		rc = hd_tx_end(&tx, settle(&tx, &id, err), err);
	if (rc == HYDRO_OK)
		rc = is_on_hold(ledger->writer, ret_restored, err);
	hd_db_reset(ledger->writer);
	return rc;
}

/* ---- claims that are over --------------------------------------------------------------------------------------------- */

/* Whether an owner can still be at it: of this boot, a process that began then. */
static int lives(struct hd_ledger *ledger, sqlite3_stmt *stmt, bool *ret, struct hydro_error *err)
{
	int64_t start = 0;
	int rc = process_start(sqlite3_column_int64(stmt, 3), &start, err);
	*ret = strcmp(hd_column_text(stmt, 1), ledger->machine) == 0 && strcmp(hd_column_text(stmt, 2), ledger->boot) == 0 && start == sqlite3_column_int64(stmt, 4);
	return rc;
}

static int expire_owner(struct hd_tx *tx, int64_t owner, int64_t boot_ns, int64_t now_ms, uint64_t *ret_count, struct hydro_error *err)
{
	sqlite3_stmt *stmt = hd_db_prepare(tx->db, "SELECT work, due, state FROM slots INDEXED BY slots_claimed WHERE state IN (3, 4) AND owner = ?1 AND lease <= ?2", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, owner);
	hd_bind_int(stmt, 2, boot_ns);
	return make_unknown(tx, stmt, now_ms, "claim expired", ret_count, err);
}

#define OWNERS_MAX 64u

static int expire(struct hd_tx *tx, int64_t now_ms, int64_t boot_ns, uint64_t *ret_count, struct hydro_error *err)
{
	struct {
		int64_t number;
		bool lives;
	} owners[OWNERS_MAX];
	uint32_t count = 0;
	bool row = false;
	int rc;
	sqlite3_stmt *stmt = hd_db_prepare(tx->db, "SELECT DISTINCT s.owner, coalesce(o.machine, ''), coalesce(o.boot, ''), coalesce(o.pid, 0), coalesce(o.started, 0)"
						   " FROM slots s INDEXED BY slots_claimed LEFT JOIN owners o ON o.number = s.owner WHERE s.state IN (3, 4)", err);
	if (!stmt)
		return HYDRO_E_IO;
	while ((rc = hd_db_step(tx->db, stmt, &row, err)) == HYDRO_OK && row && count < OWNERS_MAX) {
		owners[count].number = sqlite3_column_int64(stmt, 0);
		if ((rc = lives(tx->ledger, stmt, &owners[count].lives, err)) != HYDRO_OK)
			break;
		owners[count].lives |= owners[count].number == tx->ledger->owner;
		count++;
	}
	(void)sqlite3_reset(stmt);
	for (uint32_t i = 0; i < count && rc == HYDRO_OK; i++)
		rc = expire_owner(tx, owners[i].number, owners[i].lives ? boot_ns : INT64_MAX, now_ms, ret_count, err);
	return rc;
}

int hd_ledger_expire_claims(struct hd_ledger *ledger, int64_t now_ms, int64_t boot_ns, uint64_t *ret_count, struct hydro_error *err)
{
	struct hd_tx tx;
	uint64_t count = 0;
	int rc = hd_tx_begin(ledger, &tx, err);
	if (rc == HYDRO_OK)
		rc = hd_tx_end(&tx, expire(&tx, now_ms, boot_ns, &count, err), err);
	if (rc == HYDRO_OK)
		*ret_count = count;
	return rc;
}
