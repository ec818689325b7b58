/* SPDX-License-Identifier: MIT */
/* Opening and closing, reading and writing, settings. */
#include "filing/ledger_inner.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define UTC_OFFSET_S (-14400)

/* ---- reading and writing ---------------------------------------------------------------------------------------------- */

/* A free connection, or one more. */
static int take_reader(struct hd_ledger *ledger, struct hd_db **ret, struct hydro_error *err)
{
	(void)pthread_mutex_lock(&ledger->lock);
	while (ledger->reader_count == 0 && ledger->reader_total == HD_LEDGER_READERS_MAX)
		(void)pthread_cond_wait(&ledger->free_reader, &ledger->lock);
	bool is_new = ledger->reader_count == 0;
	if (is_new)
		ledger->reader_total++;
	else
		*ret = ledger->readers[--ledger->reader_count];
	(void)pthread_mutex_unlock(&ledger->lock);
	int rc = is_new ? hd_db_open(ledger->path, false, ret, err) : HYDRO_OK;
	if (rc == HYDRO_OK)
		return rc;
	(void)pthread_mutex_lock(&ledger->lock);
	ledger->reader_total--;
	(void)pthread_cond_signal(&ledger->free_reader);
	(void)pthread_mutex_unlock(&ledger->lock);
	return rc;
}

int hd_ledger_read(struct hd_ledger *ledger, hd_store_fn fn, void *arg, struct hydro_error *err)
{
	struct hd_db *db = NULL;
	int rc = take_reader(ledger, &db, err);
	if (rc != HYDRO_OK)
		return rc;
	rc = hd_db_exec(db, "BEGIN", err);
	if (rc == HYDRO_OK) {
		rc = fn(db, arg, err);
		hd_db_reset(db);
		(void)hd_db_exec(db, "COMMIT", NULL);
	}
	(void)pthread_mutex_lock(&ledger->lock);
	ledger->readers[ledger->reader_count++] = db;
	(void)pthread_cond_signal(&ledger->free_reader);
	(void)pthread_mutex_unlock(&ledger->lock);
	return rc;
}

int hd_ledger_write(struct hd_ledger *ledger, hd_store_fn fn, void *arg, struct hydro_error *err)
{
	struct hd_tx tx;
	int rc = hd_tx_begin(ledger, &tx, err);
	return rc == HYDRO_OK ? hd_tx_end(&tx, fn(tx.db, arg, err), err) : rc;
}

uint32_t hd_ledger_owner(const struct hd_ledger *ledger)
{
	return ledger->owner;
}

uint64_t hd_ledger_revision(const struct hd_ledger *ledger)
{
	return atomic_load_explicit(&ledger->revision, memory_order_acquire);
}

/* ---- settings --------------------------------------------------------------------------------------------------------- */

struct setting {
	const char *key;
	struct hd_buf *ret;
};

static int get_setting(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct setting *setting = arg;
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT value FROM settings WHERE key = ?1", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_text(stmt, 1, setting->key);
	int rc = hd_db_step(db, stmt, &row, err);
	if (rc == HYDRO_OK && !row)
		rc = hd_error_set(err, HYDRO_E_NOTFOUND, "there is no setting %s", setting->key);
	else if (rc == HYDRO_OK && !hd_buf_add_text(setting->ret, hd_column_text(stmt, 0)))
		rc = hd_error_set(err, HYDRO_E_NOMEM, "no memory for a setting");
	(void)sqlite3_reset(stmt);
	return rc;
}

int hd_ledger_setting_get(struct hd_ledger *ledger, const char *key, struct hd_buf *ret, struct hydro_error *err)
{
	struct setting setting = {key, ret};
	return hd_ledger_read(ledger, get_setting, &setting, err);
}

int hd_tx_setting_put(struct hd_tx *tx, const char *key, const char *value, const char *by, const char *why, struct hydro_error *err)
{
	struct hd_buf detail = {0};
	sqlite3_stmt *stmt = hd_db_prepare(tx->db, "INSERT INTO settings VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_text(stmt, 1, key);
	hd_bind_text(stmt, 2, value);
	int rc = hd_db_run(tx->db, stmt, err);
	(void)hd_buf_add_text(&detail, "{\"act\":\"setting\",\"key\":");
	(void)hd_buf_add_json(&detail, key, strlen(key));
	(void)hd_buf_add_text(&detail, ",\"value\":");
	(void)hd_buf_add_json(&detail, value, strlen(value));
	(void)hd_buf_add_text(&detail, ",\"why\":");
	(void)hd_buf_add_json(&detail, why ? why : "", why ? strlen(why) : 0);
	(void)hd_buf_add_char(&detail, '}');
	if (rc == HYDRO_OK)
		rc = hd_tx_note(tx, 0, by, &detail, err);
	hd_buf_done(&detail);
	tx->revises = true;
	return rc;
}

int hd_ledger_setting_put(struct hd_ledger *ledger, const char *key, const char *value, const char *by, const char *why, struct hydro_error *err)
{
	struct hd_tx tx;
	int rc = hd_tx_begin(ledger, &tx, err);
	return rc == HYDRO_OK ? hd_tx_end(&tx, hd_tx_setting_put(&tx, key, value, by, why, err), err) : rc;
}

/* ---- life ------------------------------------------------------------------------------------------------------------- */

static int open_connections(struct hd_ledger *ledger, const struct hd_ledger_config *config, struct hydro_error *err)
{
	int rc = hd_db_open(config->path, true, &ledger->writer, err);
	if (rc != HYDRO_OK)
		return rc;
	(void)chmod(config->path, 0600);
	if (config->unsafe_no_sync)
		rc = hd_db_exec(ledger->writer, "PRAGMA synchronous = OFF", err);
	if (rc == HYDRO_OK)
		rc = hd_schema_migrate(ledger->writer, config->path, hd_schema_filing, hd_schema_filing_count, err);
	for (; ledger->reader_total < HD_LEDGER_READERS && rc == HYDRO_OK; ledger->reader_total += rc == HYDRO_OK)
		if ((rc = hd_db_open(config->path, false, &ledger->readers[ledger->reader_total], err)) == HYDRO_OK)
			ledger->reader_count++;
	return rc;
}

/* One sealed secret is enough to tell a wrong key before anything is done with it. */
static int check_key(void *arg, const struct hd_informant *informant, struct hydro_error *err)
{
	(void)arg, (void)informant, (void)err;
	return HYDRO_OK;
}

static int find_sealed(struct hd_db *db, void *arg, struct hydro_error *err)
{
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT number FROM informants WHERE sealed IS NOT NULL LIMIT 1", err);
	if (!stmt)
		return HYDRO_E_IO;
	int rc = hd_db_step(db, stmt, &row, err);
	if (rc == HYDRO_OK && row)
		*(uint32_t *)arg = (uint32_t)sqlite3_column_int64(stmt, 0);
	return rc;
}

static int try_key(struct hd_ledger *ledger, struct hydro_error *err)
{
	uint32_t number = 0;
	int rc = hd_ledger_read(ledger, find_sealed, &number, err);
	return rc == HYDRO_OK && number ? hd_ledger_informant_get(ledger, number, NULL, true, check_key, NULL, err) : rc;
}

int hd_ledger_open(const struct hd_ledger_config *config, struct hd_ledger **ret, bool *ret_restored, struct hydro_error *err)
{
	struct hd_ledger *ledger = calloc(1, sizeof *ledger);
	if (!ledger)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the filing ledger");
	ledger->magic = HD_LEDGER_MAGIC;
	ledger->mark.fd = -1;
	ledger->path = strdup(config->path);
	ledger->utc_offset_s = config->utc_offset_s ? config->utc_offset_s : UTC_OFFSET_S;
	ledger->key = *config->key;
	hd_key_derive(config->key, "anchors_", &ledger->anchor_key);
	(void)pthread_mutex_init(&ledger->write_lock, NULL);
	(void)pthread_mutex_init(&ledger->lock, NULL);
	(void)pthread_cond_init(&ledger->free_reader, NULL);
	int rc = ledger->path ? open_connections(ledger, config, err) : hd_error_set(err, HYDRO_E_NOMEM, "no memory for a path");
	if (rc == HYDRO_OK)
		rc = try_key(ledger, err);
	if (rc == HYDRO_OK)
		rc = hd_ledger_identify(ledger, config, ret_restored, err);
	if (rc != HYDRO_OK) {
		hd_ledger_close(&ledger);
		return hd_error_while(err, "opening the filing ledger %s", config->path);
	}
	*ret = ledger;
	return HYDRO_OK;
}

void hd_ledger_close(struct hd_ledger **ledger_ptr)
{
	struct hd_ledger *ledger = *ledger_ptr;
	if (!ledger)
		return;
	HD_ASSERT(ledger->magic == HD_LEDGER_MAGIC && ledger->reader_count == ledger->reader_total);
	for (uint32_t i = 0; i < ledger->reader_total; i++)
		hd_db_close(&ledger->readers[i]);
	hd_db_close(&ledger->writer);
	hd_mark_close(&ledger->mark);
	hd_map_done(&ledger->names);
	hd_key_wipe(&ledger->key);
	hd_key_wipe(&ledger->anchor_key);
	(void)pthread_mutex_destroy(&ledger->write_lock);
	(void)pthread_mutex_destroy(&ledger->lock);
	(void)pthread_cond_destroy(&ledger->free_reader);
	ledger->magic = 0;
	free(ledger->path);
	free(ledger);
	*ledger_ptr = NULL;
}
