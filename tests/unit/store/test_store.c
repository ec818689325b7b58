/* SPDX-License-Identifier: MIT */
#include "world.h"

#include "store/schema.h"

#include <pthread.h>
#include <sys/stat.h>

struct insert {
	struct hd_store *store;
	int value;
	int rc;
	struct hydro_error err;
};

static int insert_value(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct insert *insert = arg;
	int rc = hd_db_exec(db, "CREATE TABLE IF NOT EXISTS t (v INTEGER PRIMARY KEY)", err);
	sqlite3_stmt *stmt = rc == HYDRO_OK ? hd_db_prepare(db, "INSERT INTO t VALUES (?1)", err) : NULL;
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, insert->value);
	rc = hd_db_run(db, stmt, err);
	/* Every third fails after it has written: its row must go, the others' must stay. */
	return rc == HYDRO_OK && insert->value % 3 == 0 ? hd_error_set(err, HYDRO_E_INVALID, "three") : rc;
}

static int count_values(struct hd_db *db, void *arg, struct hydro_error *err)
{
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT count(*), sum(v % 3 = 0) FROM t", err);
	int rc = stmt ? hd_db_step(db, stmt, &row, err) : HYDRO_E_IO;
	if (rc == HYDRO_OK) {
		((int *)arg)[0] = sqlite3_column_int(stmt, 0);
		((int *)arg)[1] = sqlite3_column_int(stmt, 1);
	}
	return rc;
}

static void *insert_many(void *arg)
{
	struct insert *insert = arg;
	for (int i = 0; i < 30 && insert->rc == HYDRO_OK; i++) {
		int rc = hd_store_write(insert->store, insert_value, NULL, insert, &insert->err);
		if (rc != (insert->value % 3 == 0 ? HYDRO_E_INVALID : HYDRO_OK))
			insert->rc = rc ? rc : HYDRO_E_FATAL;
		insert->value++;
	}
	return NULL;
}

Test(store, writes_that_wait_share_a_commit_and_fail_alone)
{
	struct store_world w;
	pthread_t threads[16];
	struct insert inserts[16];
	int counts[2] = {0, 0};
	store_world_begin(&w);
	struct insert first = {.value = 100001, .store = w.store};
	cr_assert_eq(hd_store_write(w.store, insert_value, NULL, &first, &w.err), HYDRO_OK);
	for (int i = 0; i < 16; i++) {
		inserts[i] = (struct insert){.store = w.store, .value = i * 30};
		(void)pthread_create(&threads[i], NULL, insert_many, &inserts[i]);
	}
	for (int i = 0; i < 16; i++) {
		(void)pthread_join(threads[i], NULL);
		cr_assert_eq(inserts[i].rc, HYDRO_OK, "%s", inserts[i].err.text);
	}
	cr_assert_eq(hd_store_read(w.store, count_values, counts, &w.err), HYDRO_OK);
	cr_assert_eq(counts[0], 1 + 16 * 20);
	cr_assert_eq(counts[1], 0);
	struct hd_store_stats stats;
	hd_store_stats(w.store, &stats);
	cr_assert_eq(stats.writes, 1 + 16 * 30);
	cr_assert_lt(stats.commits, stats.writes);
	store_world_end(&w);
}

Test(store, a_file_others_cannot_read_and_a_wrong_key_is_told)
{
	struct store_world w;
	struct stat st;
	store_world_begin(&w);
	struct hd_store_point point = store_world_point("a");
	point.options = "{\"secret\":\"s3\"}";
	point.shown = "{\"secret\":\"***\"}";
	point.has_secret = true;
	cr_assert_eq(hd_store_point_create(w.store, &point, NULL, NULL, &w.err), HYDRO_OK);
	hd_store_close(&w.store);
	cr_assert_eq(stat(w.path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	struct hd_store_config config = {.path = w.path, .key = &w.key};
	w.key.bytes[0] ^= 1;
	cr_assert_neq(hd_store_open(&config, &w.store, &w.err), HYDRO_OK);
	cr_assert(w.err.code == HYDRO_E_KEY || w.err.code == HYDRO_E_CORRUPT);
	w.key.id ^= 1;
	cr_assert_eq(hd_store_open(&config, &w.store, &w.err), HYDRO_E_KEY);
	store_world_end(&w);
}

static int fill_disk(struct hd_db *db, void *arg, struct hydro_error *err)
{
	(void)arg;
	int rc = hd_db_exec(db, "PRAGMA max_page_count = 64; CREATE TABLE big (b BLOB)", err);
	return rc == HYDRO_OK ? hd_db_exec(db, "INSERT INTO big VALUES (zeroblob(4000000))", err) : rc;
}

static int free_disk(struct hd_db *db, void *arg, struct hydro_error *err)
{
	(void)arg;
	return hd_db_exec(db, "PRAGMA max_page_count = 1000000", err);
}

Test(store, a_full_disk_fails_the_write_is_told_and_passes)
{
	struct store_world w;
	struct hd_store_stats stats;
	store_world_begin(&w);
	struct hd_store_point point = store_world_point("a");
	cr_assert_eq(hd_store_write(w.store, fill_disk, NULL, NULL, &w.err), HYDRO_E_FULL, "%s", w.err.text);
	hd_store_stats(w.store, &stats);
	cr_assert(stats.last_error == HYDRO_E_FULL && stats.last_failure_ns > 0);
	cr_assert_eq(hd_store_write(w.store, free_disk, NULL, NULL, &w.err), HYDRO_OK, "%s", w.err.text);
	cr_assert_eq(hd_store_point_create(w.store, &point, NULL, NULL, &w.err), HYDRO_OK, "%s", w.err.text);
	hd_store_stats(w.store, &stats);
	cr_assert_eq(stats.last_error, HYDRO_OK);
	store_world_end(&w);
}

static const struct hd_migration steps[] = {
	{"CREATE TABLE a (v INTEGER)", "a"},
	{"ALTER TABLE a ADD COLUMN w INTEGER; UPDATE a SET w = v + 1", "w"},
	{"CREATE TABLE b (v INTEGER); INSERT INTO nowhere VALUES (1)", "broken"},
};

static int64_t ask(struct hd_db *db, const char *sql)
{
	sqlite3_stmt *stmt;
	int64_t value = -1;
	if (sqlite3_prepare_v2(hd_db_handle(db), sql, -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
		value = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_finalize(stmt);
	return value;
}

Test(schema, a_migration_copies_first_and_is_whole_or_not_at_all)
{
	struct hd_db *db, *copy;
	struct hydro_error err = {0};
	char dir[] = "/tmp/hydro-schema-XXXXXX", path[64], backup[96];
	cr_assert_not_null(mkdtemp(dir));
	(void)snprintf(path, sizeof path, "%s/x.db", dir);
	(void)snprintf(backup, sizeof backup, "%s.v1.bak", path);
	cr_assert_eq(hd_db_open(path, true, &db, &err), HYDRO_OK);
	cr_assert_eq(hd_schema_migrate(db, path, steps, 1, &err), HYDRO_OK);
	cr_assert_neq(access(backup, F_OK), 0, "nothing to copy yet");
	cr_assert_eq(hd_db_exec(db, "INSERT INTO a VALUES (41)", &err), HYDRO_OK);
	cr_assert_eq(hd_schema_migrate(db, path, steps, 2, &err), HYDRO_OK);
	cr_assert_eq(ask(db, "SELECT w FROM a"), 42);
	cr_assert_eq(hd_db_open(backup, true, &copy, &err), HYDRO_OK);
	cr_assert_eq(ask(copy, "PRAGMA user_version"), 1);
	cr_assert_eq(ask(copy, "SELECT v FROM a"), 41);
	hd_db_close(&copy);
	cr_assert_neq(hd_schema_migrate(db, path, steps, 3, &err), HYDRO_OK);
	cr_assert_not_null(strstr(err.text, "broken"));
	cr_assert_eq(ask(db, "PRAGMA user_version"), 2);
	cr_assert_eq(ask(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'b'"), 0);
	cr_assert_eq(hd_schema_migrate(db, path, steps, 1, &err), HYDRO_E_CONFIG);
	cr_assert_not_null(strstr(err.text, "version 2"));
	hd_db_close(&db);
	char command[96];
	(void)snprintf(command, sizeof command, "rm -rf '%s'", dir);
	cr_assert_eq(system(command), 0);
}

static void count_key(void *arg, const struct hd_store_key *key)
{
	int *counts = arg;
	counts[0]++;
	counts[1] += key->revoked_ms != 0;
	counts[2] += (int)key->last_used_ms;
}

static void take_kept(void *arg, const struct hd_store_kept *kept)
{
	(void)snprintf(arg, 64, "%u %.*s %s", kept->status, (int)kept->body_len, kept->body, kept->etag);
}

static int insert_kept(struct hd_db *db, void *arg, struct hydro_error *err)
{
	return hd_store_kept_insert(db, arg, err);
}

Test(keys, are_rows_of_hashes_and_answers_are_kept_once)
{
	struct store_world w;
	int counts[3] = {0, 0, 0};
	char text[64] = "";
	store_world_begin(&w);
	struct hd_store_key key = {.name = "first", .role = 0, .hash = {1}}, other = {.name = "second", .role = 2, .hash = {2}};
	cr_assert_eq(hd_store_key_create(w.store, &key, true, &w.err), HYDRO_OK);
	cr_assert_eq(hd_store_key_create(w.store, &other, true, &w.err), HYDRO_E_EXISTS);
	cr_assert_eq(hd_store_key_create(w.store, &other, false, &w.err), HYDRO_OK);
	cr_assert_eq(hd_store_key_revoke(w.store, other.id, &w.err), HYDRO_OK);
	cr_assert_eq(hd_store_key_revoke(w.store, other.id, &w.err), HYDRO_E_NOTFOUND);
	const int64_t pairs[1][2] = {{key.id, 77}};
	cr_assert_eq(hd_store_keys_touch(w.store, pairs, 1, &w.err), HYDRO_OK);
	cr_assert_eq(hd_store_keys_list(w.store, count_key, counts, &w.err), HYDRO_OK);
	cr_assert(counts[0] == 2 && counts[1] == 1 && counts[2] == 77);
	struct hd_store_kept kept = {.principal = 1, .key = "k", .status = 201, .etag = "\"1\"", .location = "/x", .body = "{}", .body_len = 2};
	cr_assert_eq(hd_store_write(w.store, insert_kept, NULL, &kept, &w.err), HYDRO_OK);
	cr_assert_eq(hd_store_write(w.store, insert_kept, NULL, &kept, &w.err), HYDRO_E_EXISTS);
	cr_assert_eq(hd_store_kept_get(w.store, 1, "k", take_kept, text, &w.err), HYDRO_OK);
	cr_assert_str_eq(text, "201 {} \"1\"");
	cr_assert_eq(hd_store_kept_get(w.store, 2, "k", take_kept, text, &w.err), HYDRO_E_NOTFOUND);
	store_world_end(&w);
}
