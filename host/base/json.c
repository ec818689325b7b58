/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include "base/timefmt.h"

#include <string.h>

void hd_json_item(struct hd_buf *ret)
{
	if (ret->len && ret->data[ret->len - 1] != '{' && ret->data[ret->len - 1] != '[')
		hd_buf_add_char(ret, ',');
}

void hd_json_key(struct hd_buf *ret, const char *key)
{
	hd_json_item(ret);
	hd_buf_add_json(ret, key, strlen(key));
	hd_buf_add_char(ret, ':');
}

void hd_json_open(struct hd_buf *ret, const char *key, char bracket)
{
	hd_json_key(ret, key);
	hd_buf_add_char(ret, bracket);
}

void hd_json_text(struct hd_buf *ret, const char *key, const char *text)
{
	hd_json_key(ret, key);
	hd_buf_add_json(ret, text, strlen(text));
}

void hd_json_time(struct hd_buf *ret, const char *key, int64_t ms)
{
	char text[HD_TIME_TEXT];
	hd_json_key(ret, key);
	if (ms == 0) {
		hd_buf_add_text(ret, "null");
		return;
	}
	hd_time_format(ms, text);
	hd_buf_printf(ret, "\"%s\"", text);
}

void hd_json_int(struct hd_buf *ret, const char *key, int64_t value)
{
	hd_json_key(ret, key);
	hd_buf_printf(ret, "%lld", (long long)value);
}

void hd_json_number(struct hd_buf *ret, const char *key, double value)
{
	hd_json_key(ret, key);
	hd_buf_add_number(ret, value);
}

void hd_json_bool(struct hd_buf *ret, const char *key, bool value)
{
	hd_json_key(ret, key);
	hd_buf_add_text(ret, value ? "true" : "false");
}

void hd_json_id(struct hd_buf *ret, const char *key, const struct hd_uuid *id)
{
	static const struct hd_uuid none;
	char text[HD_UUID_TEXT];
	hd_json_key(ret, key);
	hd_uuid_format(id, text);
	if (hd_uuid_equal(id, &none))
		hd_buf_add_text(ret, "null");
	else
		hd_buf_printf(ret, "\"%s\"", text);
}

void hd_json_raw(struct hd_buf *ret, const char *key, const char *json)
{
	hd_json_key(ret, key);
	hd_buf_add_text(ret, json[0] ? json : "{}");
}
