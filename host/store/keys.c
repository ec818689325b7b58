/* SPDX-License-Identifier: MIT */
#include "store/keys.h"

#include "base/clock.h"

#include <string.h>

/* ---- API keys ------------------------------------------------------------------------------------------------------- */

struct creation {
	struct hd_store_key *key;
	bool only_first;
};

static int run_create(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct creation *creation = arg;
	struct hd_store_key *key = creation->key;
	bool row = false;
	key->created_ms = hd_clock_wall_ms();
	sqlite3_stmt *stmt = hd_db_prepare(db, "INSERT INTO api_keys (name, role, hash, created_ms) SELECT ?1, ?2, ?3, ?4"
					       " WHERE ?5 = 0 OR NOT EXISTS (SELECT 1 FROM api_keys) RETURNING id", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_text(stmt, 1, key->name);
	hd_bind_int(stmt, 2, key->role);
	hd_bind_blob(stmt, 3, key->hash, sizeof key->hash);
	hd_bind_int(stmt, 4, key->created_ms);
	hd_bind_int(stmt, 5, creation->only_first);
	int rc = hd_db_step(db, stmt, &row, err);
	if (rc == HYDRO_OK && row)
		key->id = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_reset(stmt);
	return rc == HYDRO_OK && !row ? hd_error_set(err, HYDRO_E_EXISTS, "there are API keys already") : rc;
}

int hd_store_key_create(struct hd_store *store, struct hd_store_key *key, bool only_first, struct hydro_error *err)
{
	struct creation creation = {key, only_first};
	return hd_store_write(store, run_create, NULL, &creation, err);
}

static int run_revoke(struct hd_db *db, void *arg, struct hydro_error *err)
{
	int64_t *id = arg;
	sqlite3_stmt *stmt = hd_db_prepare(db, "UPDATE api_keys SET revoked_ms = ?2 WHERE id = ?1 AND revoked_ms = 0", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, *id);
	hd_bind_int(stmt, 2, hd_clock_wall_ms());
	int rc = hd_db_run(db, stmt, err);
	if (rc == HYDRO_OK && sqlite3_changes(hd_db_handle(db)) == 0)
		rc = hd_error_set(err, HYDRO_E_NOTFOUND, "there is no such key, or it is revoked");
	return rc;
}

int hd_store_key_revoke(struct hd_store *store, int64_t id, struct hydro_error *err)
{
	return hd_store_write(store, run_revoke, NULL, &id, err);
}

struct touch {
	const int64_t (*pairs)[2];
	size_t count;
};

static int run_touch(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct touch *touch = arg;
	int rc = HYDRO_OK;
	for (size_t i = 0; i < touch->count && rc == HYDRO_OK; i++) {
		sqlite3_stmt *stmt = hd_db_prepare(db, "UPDATE api_keys SET last_used_ms = ?2 WHERE id = ?1 AND last_used_ms < ?2", err);
		if (!stmt)
			return HYDRO_E_IO;
		hd_bind_int(stmt, 1, touch->pairs[i][0]);
		hd_bind_int(stmt, 2, touch->pairs[i][1]);
		rc = hd_db_run(db, stmt, err);
	}
	return rc;
}

int hd_store_keys_touch(struct hd_store *store, const int64_t (*pairs)[2], size_t count, struct hydro_error *err)
{
	struct touch touch = {pairs, count};
	return count == 0 ? HYDRO_OK : hd_store_write(store, run_touch, NULL, &touch, err);
}

struct list {
	void (*fn)(void *arg, const struct hd_store_key *key);
	void *arg;
};

static int run_list(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct list *list = arg;
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT id, name, role, hash, created_ms, last_used_ms, revoked_ms FROM api_keys ORDER BY id", err);
	int rc = stmt ? HYDRO_OK : HYDRO_E_IO;
	while (rc == HYDRO_OK && (rc = hd_db_step(db, stmt, &row, err)) == HYDRO_OK && row) {
		struct hd_store_key key = {.id = sqlite3_column_int64(stmt, 0), .name = hd_column_text(stmt, 1), .role = (uint32_t)sqlite3_column_int64(stmt, 2),
					   .created_ms = sqlite3_column_int64(stmt, 4), .last_used_ms = sqlite3_column_int64(stmt, 5),
					   .revoked_ms = sqlite3_column_int64(stmt, 6)};
		const void *hash = sqlite3_column_blob(stmt, 3);
		if (!hash || sqlite3_column_bytes(stmt, 3) != (int)sizeof key.hash)
			return hd_error_set(err, HYDRO_E_CORRUPT, "API key %lld has no hash", (long long)key.id);
		memcpy(key.hash, hash, sizeof key.hash);
		list->fn(list->arg, &key);
	}
	return rc;
}

int hd_store_keys_list(struct hd_store *store, void (*fn)(void *arg, const struct hd_store_key *key), void *arg, struct hydro_error *err)
{
	struct list list = {fn, arg};
	return hd_store_read(store, run_list, &list, err);
}

/* ---- kept answers ---------------------------------------------------------------------------------------------------- */

int hd_store_kept_insert(struct hd_db *db, const struct hd_store_kept *kept, struct hydro_error *err)
{
	int64_t now = hd_clock_wall_ms();
	sqlite3_stmt *old = hd_db_prepare(db, "DELETE FROM idempotency WHERE created_ms < ?1", err);
	if (!old)
		return HYDRO_E_IO;
	hd_bind_int(old, 1, now - HD_STORE_KEPT_MS);
	int rc = hd_db_run(db, old, err);
	if (rc != HYDRO_OK || kept->body_len > HD_STORE_KEPT_BODY_BYTES_MAX)
		return rc;
	sqlite3_stmt *stmt = hd_db_prepare(db, "INSERT INTO idempotency (principal, key, fingerprint, status, etag, location, body, created_ms)"
					       " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, kept->principal);
	hd_bind_text(stmt, 2, kept->key);
	hd_bind_blob(stmt, 3, kept->fingerprint, sizeof kept->fingerprint);
	hd_bind_int(stmt, 4, kept->status);
	hd_bind_text(stmt, 5, kept->etag);
	hd_bind_text(stmt, 6, kept->location);
	hd_bind_blob(stmt, 7, kept->body ? kept->body : "", kept->body_len);
	hd_bind_int(stmt, 8, now);
	return hd_db_run(db, stmt, err);
}

struct kept_get {
	int64_t principal;
	const char *key;
	void (*fn)(void *arg, const struct hd_store_kept *kept);
	void *arg;
};

static int run_kept_get(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct kept_get *get = arg;
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT fingerprint, status, etag, location, body FROM idempotency"
					       " WHERE principal = ?1 AND key = ?2 AND created_ms >= ?3", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, get->principal);
	hd_bind_text(stmt, 2, get->key);
	hd_bind_int(stmt, 3, hd_clock_wall_ms() - HD_STORE_KEPT_MS);
	int rc = hd_db_step(db, stmt, &row, err);
	if (rc != HYDRO_OK || !row)
		return rc != HYDRO_OK ? rc : HYDRO_E_NOTFOUND;
	struct hd_store_kept kept = {.principal = get->principal, .key = get->key, .status = (uint32_t)sqlite3_column_int64(stmt, 1),
				     .etag = hd_column_text(stmt, 2), .location = hd_column_text(stmt, 3), .body = sqlite3_column_blob(stmt, 4),
				     .body_len = (size_t)sqlite3_column_bytes(stmt, 4)};
	const void *print = sqlite3_column_blob(stmt, 0);
	if (!print || sqlite3_column_bytes(stmt, 0) != (int)sizeof kept.fingerprint)
		return hd_error_set(err, HYDRO_E_CORRUPT, "a kept answer has no fingerprint");
	memcpy(kept.fingerprint, print, sizeof kept.fingerprint);
	get->fn(get->arg, &kept);
	return HYDRO_OK;
}

int hd_store_kept_get(struct hd_store *store, int64_t principal, const char *key, void (*fn)(void *arg, const struct hd_store_kept *kept), void *arg,
		      struct hydro_error *err)
{
	struct kept_get get = {principal, key, fn, arg};
	return hd_store_read(store, run_kept_get, &get, err);
}
