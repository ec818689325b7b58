/* SPDX-License-Identifier: MIT */
/* Members of JSON objects into a buffer, each with the comma that parts it from what stands before. All [any], pure. */
#ifndef HD_BASE_JSON_H
#define HD_BASE_JSON_H

#include "base/buf.h"
#include "base/uuid.h"

void hd_json_text(struct hd_buf *ret, const char *key, const char *text);
void hd_json_time(struct hd_buf *ret, const char *key, int64_t ms); /* RFC 3339; null for 0 */
void hd_json_int(struct hd_buf *ret, const char *key, int64_t value);
void hd_json_number(struct hd_buf *ret, const char *key, double value); /* null for NaN */
void hd_json_bool(struct hd_buf *ret, const char *key, bool value);
void hd_json_id(struct hd_buf *ret, const char *key, const struct hd_uuid *id); /* null for all zero */
void hd_json_raw(struct hd_buf *ret, const char *key, const char *json);        /* {} for "" */
/* A key without its value, and an object or array begun at a key: "{" or "[". */
void hd_json_key(struct hd_buf *ret, const char *key);
void hd_json_open(struct hd_buf *ret, const char *key, char bracket);
/* The comma before an item of a list, unless it is the first. */
void hd_json_item(struct hd_buf *ret);

#endif
