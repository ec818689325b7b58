/* SPDX-License-Identifier: MIT */
#include "store/secrets.h"

#include "base/bytes.h"

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

/* Layout: form (1), key id (4), nonce (24), sealed text with its tag. Not base64 text: opening a million rows is part of a start. */
#define FORM 1u
#define HEAD_BYTES (1u + 4u + HD_SEAL_NONCE_BYTES)

int hd_secrets_bind(struct hd_store *store, const char *table, const struct hd_uuid *id, sqlite3_stmt *stmt, int at, const char *text,
		    struct hd_buf *sealed, struct hydro_error *err)
{
	char context[CONTEXT_BYTES];
	size_t len = strlen(text);
	const struct hd_key *key = hd_store_key_of(store);
	context_of(table, id, context);
	if (!hd_buf_reserve(sealed, HEAD_BYTES + len + HD_SEAL_TAG_BYTES))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to seal a row");
	uint8_t *out = (uint8_t *)sealed->data;
	out[0] = FORM;
	hd_put_u32(out + 1, key->id);
	hd_random_bytes(out + 5, HD_SEAL_NONCE_BYTES);
	hd_seal(key, out + 5, context, strlen(context), text, len, out + HEAD_BYTES);
	sealed->len = HEAD_BYTES + len + HD_SEAL_TAG_BYTES;
	hd_bind_blob(stmt, at, out, sealed->len);
	return HYDRO_OK;
}

int hd_secrets_open(struct hd_store *store, const char *table, const struct hd_uuid *id, sqlite3_stmt *stmt, int at, struct hd_buf *opened,
		    const char **ret, struct hydro_error *err)
{
	const void *data = sqlite3_column_blob(stmt, at);
	return hd_secrets_open_bytes(store, table, id, data, data ? (size_t)sqlite3_column_bytes(stmt, at) : 0, opened, ret, err);
}

int hd_secrets_open_bytes(struct hd_store *store, const char *table, const struct hd_uuid *id, const void *data, size_t len, struct hd_buf *opened,
			  const char **ret, struct hydro_error *err)
{
	char context[CONTEXT_BYTES];
	const struct hd_key *key = hd_store_key_of(store);
	const uint8_t *in = data;
	context_of(table, id, context);
	opened->secret = true;
	if (len < HEAD_BYTES + HD_SEAL_TAG_BYTES || in[0] != FORM)
		return hd_error_set(err, HYDRO_E_CORRUPT, "the secrets of %s are no sealed text", context);
	if (hd_get_u32(in + 1) != key->id)
		return hd_error_set(err, HYDRO_E_KEY, "the secrets of %s are sealed with key %08x, ours is %08x", context, hd_get_u32(in + 1), key->id);
	size_t text = len - HEAD_BYTES - HD_SEAL_TAG_BYTES;
	if (!hd_buf_reserve(opened, text + 1))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to open a row");
	if (!hd_unseal(key, in + 5, context, strlen(context), in + HEAD_BYTES, len - HEAD_BYTES, (uint8_t *)opened->data + opened->len))
		return hd_error_set(err, HYDRO_E_CORRUPT, "the secrets of %s do not check", context);
	opened->len += text;
	*ret = hd_buf_text(opened);
	return HYDRO_OK;
}
