/* SPDX-License-Identifier: MIT */
#include "store/store.h"

#include "base/thread.h"
#include "store/internal.h"
#include "store/schema.h"
#include "store/secrets.h"

#include <stdlib.h>
#include <sys/stat.h>

static int open_readers(struct hd_store *store, const char *path, uint32_t count, struct hydro_error *err)
{
	int rc = HYDRO_OK;
	for (; store->reader_total < count && rc == HYDRO_OK; store->reader_total += rc == HYDRO_OK)
		if ((rc = hd_db_open(path, false, &store->readers[store->reader_total], err)) == HYDRO_OK)
			store->reader_count++;
	return rc;
}

static const struct hd_uuid no_id;

/* Opens the sealed text of the statement's one row (its uuid and the text), if there is one. */
static int check_row(struct hd_store *store, struct hd_db *db, const char *table, sqlite3_stmt *stmt, bool *ret_found, struct hydro_error *err)
{
	struct hd_buf opened = {0};
	const char *text;
	int rc = stmt ? hd_db_step(db, stmt, ret_found, err) : HYDRO_E_IO;
	if (rc == HYDRO_OK && *ret_found) {
		struct hd_uuid id = hd_column_uuid(stmt, 0);
		rc = hd_secrets_open(store, table, &id, stmt, 1, &opened, &text, err);
	}
	hd_buf_done(&opened);
	hd_db_reset(db);
	return rc;
}

/* A database from before there was a proof: one sealed row of each kind tells. Then the proof is made. */
static int make_proof(struct hd_store *store, struct hydro_error *err)
{
	struct hd_db *db = store->writer;
	struct hd_buf sealed = {0};
	bool found;
	int rc = check_row(store, db, "accounts", hd_db_prepare(db, "SELECT uuid, sealed FROM accounts WHERE sealed IS NOT NULL LIMIT 1", err), &found, err);
	if (rc == HYDRO_OK)
		rc = check_row(store, db, "points", hd_db_prepare(db, "SELECT uuid, sealed FROM points WHERE sealed IS NOT NULL LIMIT 1", err), &found, err);
	if (rc != HYDRO_OK)
		return rc;
	sqlite3_stmt *stmt = hd_db_prepare(db, "INSERT INTO key_proof VALUES (1, ?1)", err);
	rc = stmt ? hd_secrets_bind(store, "key_proof", &no_id, stmt, 1, "hydro", &sealed, err) : HYDRO_E_IO;
	if (rc == HYDRO_OK)
		rc = hd_db_run(db, stmt, err);
	hd_buf_done(&sealed);
	return rc;
}

/* A wrong key is told before anything is done with it. */
static int check_key(struct hd_store *store, struct hydro_error *err)
{
	bool found = false;
	int rc = check_row(store, store->writer, "key_proof", hd_db_prepare(store->writer, "SELECT NULL, sealed FROM key_proof WHERE one = 1", err), &found, err);
	return rc == HYDRO_OK && !found ? make_proof(store, err) : rc;
}

int hd_store_open(const struct hd_store_config *config, struct hd_store **ret, struct hydro_error *err)
{
	struct hd_store *store = calloc(1, sizeof *store);
	if (!store)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the store");
	store->magic = HD_STORE_MAGIC;
	store->key = *config->key;
	store->queue = config->queue ? config->queue : 4096;
	store->last = &store->first;
	(void)pthread_mutex_init(&store->lock, NULL);
	(void)pthread_cond_init(&store->wanted, NULL);
	(void)pthread_cond_init(&store->free_reader, NULL);
	int rc = hd_store_snapshot_init(store, config->snapshot, err);
	if (rc == HYDRO_OK)
		rc = hd_db_open(config->path, true, &store->writer, err);
	if (rc == HYDRO_OK) {
		(void)chmod(config->path, 0600);
		rc = hd_schema_migrate(store->writer, config->path, hd_schema_business, hd_schema_business_count, err);
	}
	if (rc == HYDRO_OK)
		rc = open_readers(store, config->path, HD_MIN(config->readers ? config->readers : 4u, HD_STORE_READERS_MAX), err);
	if (rc == HYDRO_OK)
		rc = check_key(store, err);
	if (rc == HYDRO_OK && (rc = hd_thread_start(&store->thread, HD_ROLE_STORE, "store", hd_store_writer_run, store, err)) == HYDRO_OK)
		store->has_thread = true;
	if (rc != HYDRO_OK) {
		hd_store_close(&store);
		return rc;
	}
	*ret = store;
	return HYDRO_OK;
}

void hd_store_close(struct hd_store **store_ptr)
{
	struct hd_store *store = *store_ptr;
	if (!store)
		return;
	hd_store_snapshot_stop(store);
	(void)pthread_mutex_lock(&store->lock);
	store->closing = true;
	(void)pthread_cond_broadcast(&store->wanted);
	(void)pthread_mutex_unlock(&store->lock);
	if (store->has_thread)
		(void)pthread_join(store->thread, NULL);
	HD_ASSERT(store->reader_count == store->reader_total);
	for (uint32_t i = 0; i < store->reader_total; i++)
		hd_db_close(&store->readers[i]);
	hd_db_close(&store->writer);
	hd_store_snapshot_done(store);
	hd_key_wipe(&store->key);
	(void)pthread_mutex_destroy(&store->lock);
	(void)pthread_cond_destroy(&store->wanted);
	(void)pthread_cond_destroy(&store->free_reader);
	store->magic = 0;
	free(store);
	*store_ptr = NULL;
}

int hd_store_read(struct hd_store *store, hd_store_fn fn, void *arg, struct hydro_error *err)
{
	(void)pthread_mutex_lock(&store->lock);
	while (store->reader_count == 0)
		(void)pthread_cond_wait(&store->free_reader, &store->lock);
	struct hd_db *db = store->readers[--store->reader_count];
	(void)pthread_mutex_unlock(&store->lock);
	int rc = hd_db_exec(db, "BEGIN", err);
	if (rc == HYDRO_OK) {
		rc = fn(db, arg, err);
		hd_db_reset(db);
		(void)hd_db_exec(db, "COMMIT", NULL);
	}
	(void)pthread_mutex_lock(&store->lock);
	store->readers[store->reader_count++] = db;
	(void)pthread_cond_signal(&store->free_reader);
	(void)pthread_mutex_unlock(&store->lock);
	return rc;
}

void hd_store_stats(struct hd_store *store, struct hd_store_stats *ret)
{
	(void)pthread_mutex_lock(&store->lock);
	*ret = store->stats;
	ret->waiting = store->waiting;
	(void)pthread_mutex_unlock(&store->lock);
}

struct hd_points *hd_store_points(struct hd_store *store)
{
	return store->points;
}

const struct hd_key *hd_store_key_of(const struct hd_store *store)
{
	return &store->key;
}
