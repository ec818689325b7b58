/* SPDX-License-Identifier: MIT */
/* Inside of the store folder: sealed columns, bound to their row ("points/<UUID in hexadecimal>"). */
#ifndef HD_STORE_SECRETS_H
#define HD_STORE_SECRETS_H

#include "store/store.h"

/* Seals text into `sealed` and binds it; `sealed` must live until the statement has run. */
int hd_secrets_bind(struct hd_store *store, const char *table, const struct hd_uuid *id, sqlite3_stmt *stmt, int at, const char *text,
		    struct hd_buf *sealed, struct hydro_error *err);
/* Opens a column into `opened`, which becomes secret and whose text *ret then is. */
int hd_secrets_open(struct hd_store *store, const char *table, const struct hd_uuid *id, sqlite3_stmt *stmt, int at, struct hd_buf *opened,
		    const char **ret, struct hydro_error *err);
/* The same of a column's bytes. */
int hd_secrets_open_bytes(struct hd_store *store, const char *table, const struct hd_uuid *id, const void *data, size_t len, struct hd_buf *opened,
			  const char **ret, struct hydro_error *err);

#endif
