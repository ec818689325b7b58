/* SPDX-License-Identifier: MIT */
#include "store/secrets.h"

#include <sodium.h>
#include <string.h>

#define CONTEXT_BYTES 64u

static void context_of(const char *table, const struct hd_uuid *id, char ret[CONTEXT_BYTES])
{
	static const char digits[] = "0123456789ABCDEF";
	size_t len = strlen(table);
	HD_ASSERT(len + 2 + 2 * sizeof id->bytes <= CONTEXT_BYTES);
	memcpy(ret, table, len);
	ret[len++] = '/';
	for (size_t i = 0; i < sizeof id->bytes; i++) {
		ret[len++] = digits[id->bytes[i] >> 4];
		ret[len++] = digits[id->bytes[i] & 15];
	}
	ret[len] = '\0';
}

int hd_secrets_bind(struct hd_store *store, const char *table, const struct hd_uuid *id, sqlite3_stmt *stmt, int at, const char *text,
		    struct hd_buf *sealed, struct hydro_error *err)
{
	char context[CONTEXT_BYTES];
	context_of(table, id, context);
	int rc = hd_seal_text(hd_store_key_of(store), context, text, strlen(text), sealed, err);
	if (rc == HYDRO_OK)
		(void)sqlite3_bind_text64(stmt, at, sealed->data, sealed->len, SQLITE_STATIC, SQLITE_UTF8);
	return rc;
}

int hd_secrets_open(struct hd_store *store, const char *table, const struct hd_uuid *id, sqlite3_stmt *stmt, int at, struct hd_buf *opened,
		    const char **ret, struct hydro_error *err)
{
	char context[CONTEXT_BYTES];
	context_of(table, id, context);
	int rc = hd_unseal_text(hd_store_key_of(store), context, hd_column_text(stmt, at), (size_t)sqlite3_column_bytes(stmt, at), opened, err);
	if (rc != HYDRO_OK)
		return rc;
	*ret = hd_buf_text(opened);
	return *ret ? HYDRO_OK : hd_error_set(err, HYDRO_E_NOMEM, "no memory");
}

void hd_secrets_wipe(struct hd_buf *buf)
{
	if (buf->data)
		sodium_memzero(buf->data, buf->cap);
	hd_buf_done(buf);
}
