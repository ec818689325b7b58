/* SPDX-License-Identifier: MIT */
/* Accounts at providers: credentials that many points share. Secrets are sealed, and leave the store only where asked for. */
#ifndef HD_STORE_ACCOUNTS_H
#define HD_STORE_ACCOUNTS_H

#include "store/points.h"

struct hd_store_account {
	uint32_t number; /* row, never reused: hd_point_spec.account */
	struct hd_uuid id;
	uint64_t version;
	int64_t created_ms, updated_ms;
	const char *provider, *name; /* the pair is unique */
	const char *shown;   /* options without secrets */
	const char *options; /* in full; in reads only where asked for, else NULL */
	bool has_secret;
	uint64_t points; /* in hd_store_account_get by id and _list: points that use it and are not deleted */
};

typedef int (*hd_store_account_fn)(void *arg, const struct hd_store_account *account, struct hydro_error *err);
typedef int (*hd_store_account_also)(void *arg, struct hd_db *db, const struct hd_store_account *account, struct hydro_error *err);

/* As their namesakes for points. HYDRO_E_EXISTS for a (provider, name) or id there already. [as hd_store_write] */
int hd_store_account_create(struct hd_store *store, struct hd_store_account *account, hd_store_account_also also, void *arg, struct hydro_error *err);
/* HYDRO_E_CONFLICT for another provider while points use it. */
int hd_store_account_replace(struct hd_store *store, struct hd_store_account *account, hd_store_account_also also, void *arg, struct hydro_error *err);
/* HYDRO_E_CONFLICT while points use it; version 0 = any. */
int hd_store_account_delete(struct hd_store *store, const struct hd_uuid *id, uint64_t version, struct hydro_error *err);
/* By id, or by number when id is NULL. [as hd_store_read] */
int hd_store_account_get(struct hd_store *store, const struct hd_uuid *id, uint32_t number, bool with_secrets, hd_store_account_fn fn, void *arg,
			 struct hydro_error *err);
/* By number; provider NULL: any. [as hd_store_read] */
int hd_store_account_list(struct hd_store *store, const char *provider, int64_t after, uint32_t limit, hd_store_account_fn fn, void *arg,
			  struct hd_store_page *ret, struct hydro_error *err);

/* On a connection: the number of (provider, name or UUID text); HYDRO_E_NOTFOUND. */
int hd_store_account_find(struct hd_db *db, const char *provider, const char *name_or_id, uint32_t *ret, struct hydro_error *err);
int hd_store_account_insert(struct hd_store *store, struct hd_db *db, struct hd_store_account *account, struct hydro_error *err);
int hd_store_account_update(struct hd_store *store, struct hd_db *db, struct hd_store_account *account, struct hydro_error *err);

#endif
