/* SPDX-License-Identifier: MIT */
#include "store/accounts.h"

#include "base/clock.h"
#include "store/secrets.h"

#include <string.h>

#define OWN_COLUMNS "a.id, a.uuid, a.version, a.created_ms, a.updated_ms, a.provider, a.name, a.options, a.sealed,"
#define COLUMNS OWN_COLUMNS " (SELECT count(*) FROM points p WHERE p.account = a.id AND p.account <> 0 AND p.bits & 2 = 0)"
#define SEALED_COLUMN 8

static void read_row(sqlite3_stmt *stmt, struct hd_store_account *ret)
{
	*ret = (struct hd_store_account){
		.number = (uint32_t)sqlite3_column_int64(stmt, 0),
		.id = hd_column_uuid(stmt, 1),
		.version = (uint64_t)sqlite3_column_int64(stmt, 2),
		.created_ms = sqlite3_column_int64(stmt, 3),
		.updated_ms = sqlite3_column_int64(stmt, 4),
		.provider = hd_column_text(stmt, 5),
		.name = hd_column_text(stmt, 6),
		.shown = hd_column_text(stmt, 7),
		.has_secret = sqlite3_column_type(stmt, SEALED_COLUMN) != SQLITE_NULL,
		.points = (uint64_t)sqlite3_column_int64(stmt, 9),
	};
}

/* ---- writing -------------------------------------------------------------------------------------------------------- */

static int bind_row(struct hd_store *store, sqlite3_stmt *stmt, const struct hd_store_account *a, struct hd_buf *sealed, struct hydro_error *err)
{
	hd_bind_uuid(stmt, 1, &a->id);
	hd_bind_text(stmt, 2, a->provider);
	hd_bind_text(stmt, 3, a->name);
	hd_bind_text(stmt, 4, a->shown);
	hd_bind_int(stmt, 6, a->updated_ms);
	return a->has_secret ? hd_secrets_bind(store, "accounts", &a->id, stmt, 5, a->options, sealed, err) : HYDRO_OK;
}

static int name_taken(const struct hd_store_account *a, int rc, struct hydro_error *err)
{
	return rc != HYDRO_E_EXISTS ? rc : hd_error_set(err, rc, "name: there is an account \"%.64s\" at provider %.64s already", a->name, a->provider);
}

int hd_store_account_insert(struct hd_store *store, struct hd_db *db, struct hd_store_account *account, struct hydro_error *err)
{
	static const struct hd_uuid none;
	struct hd_buf sealed = {0};
	if (hd_uuid_equal(&account->id, &none))
		account->id = hd_uuid_new();
	account->version = 1;
	account->created_ms = account->updated_ms = hd_clock_wall_ms();
	sqlite3_stmt *stmt = hd_db_prepare(db, "INSERT INTO accounts (uuid, version, provider, name, options, sealed, created_ms, updated_ms)"
					       " VALUES (?1, 1, ?2, ?3, ?4, ?5, ?6, ?6)", err);
	if (!stmt)
		return HYDRO_E_IO;
	int rc = bind_row(store, stmt, account, &sealed, err);
	if (rc == HYDRO_OK)
		rc = name_taken(account, hd_db_run(db, stmt, err), err);
	if (rc == HYDRO_OK)
		account->number = (uint32_t)sqlite3_last_insert_rowid(hd_db_handle(db));
	hd_buf_done(&sealed);
	return rc;
}

/* What is there of the id: HYDRO_E_NOTFOUND, HYDRO_E_STALE for another version (0 = any), HYDRO_E_CONFLICT when `provider` is
 * another (NULL: about to be deleted) and points use it. */
static int check_present(struct hd_db *db, const struct hd_uuid *id, uint64_t version, const char *provider, struct hydro_error *err)
{
	struct hd_store_account now;
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT " COLUMNS " FROM accounts a WHERE a.uuid = ?1", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_uuid(stmt, 1, id);
	int rc = hd_db_step(db, stmt, &row, err);
	if (rc == HYDRO_OK && !row) {
		rc = hd_error_set(err, HYDRO_E_NOTFOUND, "there is no such account");
	} else if (rc == HYDRO_OK) {
		read_row(stmt, &now);
		if (version && version != now.version)
			rc = hd_error_set(err, HYDRO_E_STALE, "it is at version %llu now; read it again before changing it", (unsigned long long)now.version);
		else if (now.points > 0 && (!provider || strcmp(provider, now.provider) != 0))
			rc = hd_error_set(err, HYDRO_E_CONFLICT, "%llu points use this account", (unsigned long long)now.points);
	}
	(void)sqlite3_reset(stmt);
	return rc;
}

int hd_store_account_update(struct hd_store *store, struct hd_db *db, struct hd_store_account *account, struct hydro_error *err)
{
	struct hd_buf sealed = {0};
	bool row = false;
	int rc = check_present(db, &account->id, account->version, account->provider, err);
	if (rc != HYDRO_OK)
		return rc;
	account->updated_ms = hd_clock_wall_ms();
	sqlite3_stmt *stmt = hd_db_prepare(db, "UPDATE accounts SET version = version + 1, provider = ?2, name = ?3, options = ?4, sealed = ?5,"
					       " updated_ms = ?6 WHERE uuid = ?1 RETURNING id, version, created_ms", err);
	if (!stmt)
		return HYDRO_E_IO;
	rc = bind_row(store, stmt, account, &sealed, err);
	if (rc == HYDRO_OK)
		rc = name_taken(account, hd_db_step(db, stmt, &row, err), err);
	if (rc == HYDRO_OK && row) {
		account->number = (uint32_t)sqlite3_column_int64(stmt, 0);
		account->version = (uint64_t)sqlite3_column_int64(stmt, 1);
		account->created_ms = sqlite3_column_int64(stmt, 2);
	}
	(void)sqlite3_reset(stmt);
	hd_buf_done(&sealed);
	return rc;
}

struct change {
	struct hd_store *store;
	struct hd_store_account *account;
	bool is_new;
	hd_store_account_also also;
	void *arg;
};

static int run_change(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct change *c = arg;
	int rc = c->is_new ? hd_store_account_insert(c->store, db, c->account, err) : hd_store_account_update(c->store, db, c->account, err);
	return rc == HYDRO_OK && c->also ? c->also(c->arg, db, c->account, err) : rc;
}

int hd_store_account_create(struct hd_store *store, struct hd_store_account *account, hd_store_account_also also, void *arg, struct hydro_error *err)
{
	struct change change = {store, account, true, also, arg};
	return hd_store_write(store, run_change, NULL, &change, err);
}

int hd_store_account_replace(struct hd_store *store, struct hd_store_account *account, hd_store_account_also also, void *arg, struct hydro_error *err)
{
	struct change change = {store, account, false, also, arg};
	return hd_store_write(store, run_change, NULL, &change, err);
}

struct removal {
	const struct hd_uuid *id;
	uint64_t version;
};

static int run_delete(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct removal *removal = arg;
	int rc = check_present(db, removal->id, removal->version, NULL, err);
	sqlite3_stmt *stmt = rc == HYDRO_OK ? hd_db_prepare(db, "DELETE FROM accounts WHERE uuid = ?1", err) : NULL;
	if (!stmt)
		return rc != HYDRO_OK ? rc : HYDRO_E_IO;
	hd_bind_uuid(stmt, 1, removal->id);
	return hd_db_run(db, stmt, err);
}

int hd_store_account_delete(struct hd_store *store, const struct hd_uuid *id, uint64_t version, struct hydro_error *err)
{
	struct removal removal = {id, version};
	return hd_store_write(store, run_delete, NULL, &removal, err);
}

/* ---- reading --------------------------------------------------------------------------------------------------------- */

struct get {
	struct hd_store *store;
	const struct hd_uuid *id;
	uint32_t number;
	bool with_secrets;
	hd_store_account_fn fn;
	void *arg;
};

static int run_get(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct get *get = arg;
	struct hd_store_account account;
	struct hd_buf opened = {0};
	bool row = false;
	sqlite3_stmt *stmt = get->id ? hd_db_prepare(db, "SELECT " COLUMNS " FROM accounts a WHERE a.uuid = ?1", err)
				     : hd_db_prepare(db, "SELECT " OWN_COLUMNS " 0 FROM accounts a WHERE a.id = ?1", err);
	if (!stmt)
		return HYDRO_E_IO;
	if (get->id)
		hd_bind_uuid(stmt, 1, get->id);
	else
		hd_bind_int(stmt, 1, get->number);
	int rc = hd_db_step(db, stmt, &row, err);
	if (rc == HYDRO_OK && !row)
		rc = hd_error_set(err, HYDRO_E_NOTFOUND, "there is no such account");
	if (rc == HYDRO_OK) {
		read_row(stmt, &account);
		if (get->with_secrets)
			account.options = account.shown;
		if (get->with_secrets && account.has_secret)
			rc = hd_secrets_open(get->store, "accounts", &account.id, stmt, SEALED_COLUMN, &opened, &account.options, err);
	}
	if (rc == HYDRO_OK)
		rc = get->fn(get->arg, &account, err);
	hd_buf_done(&opened);
	return rc;
}

int hd_store_account_get(struct hd_store *store, const struct hd_uuid *id, uint32_t number, bool with_secrets, hd_store_account_fn fn, void *arg,
			 struct hydro_error *err)
{
	struct get get = {store, id, number, with_secrets, fn, arg};
	return hd_store_read(store, run_get, &get, err);
}

struct list {
	const char *provider;
	int64_t after;
	uint32_t limit;
	hd_store_account_fn fn;
	void *arg;
	struct hd_store_page page;
};

static int run_list(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct list *list = arg;
	struct hd_store_account account;
	bool row = false;
	uint32_t count = 0;
	sqlite3_stmt *total = hd_db_prepare(db, "SELECT count(*) FROM accounts a WHERE ?1 IS NULL OR a.provider = ?1", err);
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT " COLUMNS " FROM accounts a WHERE (?1 IS NULL OR a.provider = ?1) AND a.id > ?2"
					       " ORDER BY a.id LIMIT ?3", err);
	if (!total || !stmt)
		return HYDRO_E_IO;
	if (list->provider) {
		hd_bind_text(total, 1, list->provider);
		hd_bind_text(stmt, 1, list->provider);
	}
	hd_bind_int(stmt, 2, list->after);
	hd_bind_int(stmt, 3, (int64_t)list->limit + 1);
	int rc = hd_db_step(db, total, &row, err);
	if (rc == HYDRO_OK)
		list->page = (struct hd_store_page){-1, (uint64_t)sqlite3_column_int64(total, 0)};
	while (rc == HYDRO_OK && (rc = hd_db_step(db, stmt, &row, err)) == HYDRO_OK && row) {
		if (count++ == list->limit) {
			list->page.next = account.number;
			break;
		}
		read_row(stmt, &account);
		rc = list->fn(list->arg, &account, err);
	}
	return rc;
}

int hd_store_account_list(struct hd_store *store, const char *provider, int64_t after, uint32_t limit, hd_store_account_fn fn, void *arg,
			  struct hd_store_page *ret, struct hydro_error *err)
{
	struct list list = {.provider = provider, .after = after, .limit = limit, .fn = fn, .arg = arg};
	HD_ASSERT(limit > 0 && limit <= HD_STORE_PAGE_MAX);
	int rc = hd_store_read(store, run_list, &list, err);
	if (rc == HYDRO_OK)
		*ret = list.page;
	return rc;
}

int hd_store_account_find(struct hd_db *db, const char *provider, const char *name_or_id, uint32_t *ret, struct hydro_error *err)
{
	struct hd_uuid id = {{0}};
	bool row = false;
	(void)hd_uuid_parse(name_or_id, &id);
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT id FROM accounts WHERE (provider = ?1 AND name = ?2) OR uuid = ?3 LIMIT 1", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_text(stmt, 1, provider);
	hd_bind_text(stmt, 2, name_or_id);
	hd_bind_uuid(stmt, 3, &id);
	int rc = hd_db_step(db, stmt, &row, err);
	if (rc == HYDRO_OK && row)
		*ret = (uint32_t)sqlite3_column_int64(stmt, 0);
	else if (rc == HYDRO_OK)
		rc = hd_error_set(err, HYDRO_E_NOTFOUND, "there is no account \"%.64s\" at provider %.64s", name_or_id, provider);
	(void)sqlite3_reset(stmt);
	return rc;
}
