/* SPDX-License-Identifier: MIT */
/* The writer: takes all writes that wait, runs each in a savepoint, commits once, tells them all. */
#include "store/internal.h"

#include "base/clock.h"
#include "base/thread.h"

struct hd_write {
	struct hd_write *next;
	hd_store_fn fn;
	void (*committed)(struct hd_db *db, void *arg);
	void *arg;
	struct hydro_error *err;
	int rc;
	bool done;
	pthread_cond_t told;
};

static int run_one(struct hd_store *store, struct hd_write *write, bool alone)
{
	struct hd_db *db = store->writer;
	int rc = alone ? HYDRO_OK : hd_db_exec(db, "SAVEPOINT one", write->err);
	if (rc != HYDRO_OK)
		return rc;
	rc = write->fn(db, write->arg, write->err);
	hd_db_reset(db);
	if (alone)
		return rc;
	if (rc != HYDRO_OK)
		(void)hd_db_exec(db, "ROLLBACK TO one", NULL);
	int released = hd_db_exec(db, "RELEASE one", rc == HYDRO_OK ? write->err : NULL);
	return rc != HYDRO_OK ? rc : released;
}

/* A failure that ends the whole transaction (disk full, I/O) makes SQLite leave it: then nothing of the group holds. */
static bool still_inside(struct hd_store *store)
{
	return sqlite3_get_autocommit(hd_db_handle(store->writer)) == 0;
}

static void fail_all(struct hd_write *group, int rc, const struct hydro_error *why)
{
	for (struct hd_write *write = group; write; write = write->next) {
		if (write->rc == HYDRO_OK) {
			write->rc = rc;
			(void)hd_error_set(write->err, rc, "%s", why->text);
		}
	}
}

static int commit(struct hd_store *store, struct hd_write *group)
{
	struct hydro_error why = {.struct_size = sizeof why};
	int rc = hd_db_exec(store->writer, "BEGIN IMMEDIATE", &why);
	bool alone = group->next == NULL;
	for (struct hd_write *write = group; write && rc == HYDRO_OK; write = write->next) {
		write->rc = run_one(store, write, alone);
		if (!still_inside(store))
			rc = hd_error_set(&why, write->rc ? write->rc : HYDRO_E_IO, "%s", write->err && write->err->text[0] ? write->err->text : "the transaction was lost");
	}
	if (rc == HYDRO_OK && !(alone && group->rc != HYDRO_OK))
		rc = hd_db_exec(store->writer, "COMMIT", &why);
	if (still_inside(store))
		(void)hd_db_exec(store->writer, "ROLLBACK", NULL);
	if (rc != HYDRO_OK)
		fail_all(group, rc, &why);
	return rc;
}

static struct hd_write *take_group(struct hd_store *store, uint32_t *ret_count)
{
	(void)pthread_mutex_lock(&store->lock);
	while (!store->first && !store->closing)
		(void)pthread_cond_wait(&store->wanted, &store->lock);
	struct hd_write *group = store->first, **end = &store->first;
	uint32_t count = 0;
	while (*end && count < HD_STORE_JOIN_MAX) {
		end = &(*end)->next;
		count++;
	}
	store->first = count ? *end : NULL;
	*end = NULL;
	if (!store->first)
		store->last = &store->first;
	store->waiting -= count;
	(void)pthread_mutex_unlock(&store->lock);
	*ret_count = count;
	return group;
}

/* A failure of the disk, be it told by the commit or by one of the writes; HYDRO_OK without. */
static int disk_failure(int rc, const struct hd_write *group)
{
	for (const struct hd_write *write = group; write && rc == HYDRO_OK; write = write->next)
		if (write->rc == HYDRO_E_FULL || write->rc == HYDRO_E_IO || write->rc == HYDRO_E_CORRUPT)
			rc = write->rc;
	return rc;
}

void *hd_store_writer_run(void *arg)
{
	struct hd_store *store = HD_CAST(struct hd_store, HD_STORE_MAGIC, arg);
	uint32_t count;
	for (struct hd_write *group; (group = take_group(store, &count)) != NULL;) {
		int rc = commit(store, group);
		for (struct hd_write *write = group; write; write = write->next)
			if (write->rc == HYDRO_OK && write->committed)
				write->committed(store->writer, write->arg);
		hd_db_reset(store->writer);
		(void)pthread_mutex_lock(&store->lock);
		store->stats.writes += count;
		store->stats.commits += rc == HYDRO_OK;
		store->stats.failed_commits += rc != HYDRO_OK;
		int failure = disk_failure(rc, group);
		store->stats.last_error = failure;
		if (failure != HYDRO_OK)
			store->stats.last_failure_ns = hd_clock_real_ns();
		for (struct hd_write *write = group, *next; write; write = next) {
			next = write->next; /* the waiter owns it from `done` on */
			write->done = true;
			(void)pthread_cond_signal(&write->told);
		}
		(void)pthread_mutex_unlock(&store->lock);
	}
	return NULL;
}

int hd_store_write(struct hd_store *store, hd_store_fn fn, void (*committed)(struct hd_db *db, void *arg), void *arg, struct hydro_error *err)
{
	struct hydro_error own = {.struct_size = sizeof own};
	struct hd_write write = {.fn = fn, .committed = committed, .arg = arg, .err = err ? err : &own};
	HD_ASSERT(hd_thread_role() != HD_ROLE_STORE);
	(void)pthread_mutex_lock(&store->lock);
	if (store->closing || store->waiting >= store->queue) {
		(void)pthread_mutex_unlock(&store->lock);
		return hd_error_set(err, HYDRO_E_AGAIN, store->closing ? "the store is closing" : "too many writes are waiting");
	}
	(void)pthread_cond_init(&write.told, NULL);
	*store->last = &write;
	store->last = &write.next;
	store->waiting++;
	(void)pthread_cond_signal(&store->wanted);
	while (!write.done)
		(void)pthread_cond_wait(&write.told, &store->lock);
	(void)pthread_mutex_unlock(&store->lock);
	(void)pthread_cond_destroy(&write.told);
	return write.rc;
}
