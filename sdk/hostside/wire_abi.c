/* SPDX-License-Identifier: MIT */
/* The ABI's structs on the wire. */
#include "hostside/wire.h"

#include "hostside/descriptor.h"
#include "hostside/option_value.h"

#include <hydro/conv.h>
#include <stdlib.h>

#define HEADERS_MAX 256u

void hd_wire_options(struct hd_buf *buf, const hydro_options *options)
{
	uint32_t count = options ? options->count : 0;
	hd_wire_u32(buf, count);
	hd_wire_i64(buf, options ? (int64_t)(intptr_t)options->identity : 0);
	for (uint32_t i = 0; i < count; i++) {
		const hydro_option_value *value = hydro_option_at(options, i);
		hd_wire_u32(buf, value->is_set);
		hd_wire_u32(buf, value->entry_count);
		hd_wire_i64(buf, value->integer);
		hd_wire_f64(buf, value->number);
		hd_wire_text(buf, value->text);
		for (uint32_t k = 0; k < value->entry_count; k++) {
			const hydro_map_entry *entry = hydro_option_entry(options, value, k);
			hd_wire_text(buf, entry->key);
			hd_wire_text(buf, entry->value);
			hd_wire_u32(buf, entry->metric);
		}
	}
}

void *hd_wire_own(struct hd_wire_reader *reader, size_t size)
{
	void **more = realloc(reader->owned, (reader->owned_count + 1) * sizeof *more);
	if (more)
		reader->owned = more;
	void *memory = more ? calloc(1, size ? size : 1) : NULL;
	if (memory)
		reader->owned[reader->owned_count++] = memory;
	else
		reader->bad = true;
	return memory;
}

static void get_entries(struct hd_wire_reader *reader, hydro_option_value *value)
{
	if (value->entry_count > HD_OPTION_MAP_ENTRIES_MAX) {
		reader->bad = true;
		return;
	}
	hydro_map_entry *entries = hd_wire_own(reader, value->entry_count * sizeof *entries);
	for (uint32_t k = 0; entries && k < value->entry_count; k++) {
		entries[k].key = hd_wire_get_text(reader);
		entries[k].value = hd_wire_get_text(reader);
		entries[k].metric = hd_wire_get_u32(reader);
		reader->bad = reader->bad || !entries[k].key || !entries[k].value;
	}
	value->entries = entries;
}

const hydro_options *hd_wire_get_options(struct hd_wire_reader *reader)
{
	uint32_t count = hd_wire_get_u32(reader);
	int64_t identity = hd_wire_get_i64(reader);
	if (count > HD_PLUGIN_OPTIONS_MAX)
		reader->bad = true;
	if (reader->bad)
		return NULL;
	hydro_option_value *values = hd_wire_own(reader, count * sizeof *values);
	hydro_options *options = values ? hd_wire_own(reader, sizeof *options) : NULL;
	if (!options)
		return NULL;
	for (uint32_t i = 0; i < count && !reader->bad; i++) {
		values[i].is_set = hd_wire_get_u32(reader);
		values[i].entry_count = hd_wire_get_u32(reader);
		values[i].integer = hd_wire_get_i64(reader);
		values[i].number = hd_wire_get_f64(reader);
		values[i].text = hd_wire_get_text(reader);
		if (values[i].entry_count)
			get_entries(reader, &values[i]);
	}
	*options = (hydro_options){.struct_size = sizeof *options, .count = count, .value_stride = sizeof *values, .map_stride = sizeof(hydro_map_entry),
				   .values = values, .identity = (const void *)(intptr_t)identity};
	return reader->bad ? NULL : options;
}

void hd_wire_poll(struct hd_buf *buf, const hydro_poll *poll)
{
	hd_wire_u32(buf, poll->mode);
	hd_wire_u32(buf, poll->part);
	hd_wire_u32(buf, poll->limit);
	hd_wire_i64(buf, poll->from_ms);
	hd_wire_i64(buf, poll->to_ms);
	hd_wire_i64(buf, poll->now_ms);
	hd_wire_text(buf, poll->token ? poll->token : "");
	hd_wire_u32(buf, poll->continuation != NULL);
	hd_wire_bytes(buf, poll->continuation, poll->continuation ? poll->continuation_len : 0);
	hd_wire_options(buf, poll->point);
	hd_wire_options(buf, poll->account);
}

void hd_wire_get_poll(struct hd_wire_reader *reader, hydro_poll *ret)
{
	*ret = (hydro_poll){.struct_size = sizeof *ret};
	ret->mode = hd_wire_get_u32(reader);
	ret->part = hd_wire_get_u32(reader);
	ret->limit = hd_wire_get_u32(reader);
	ret->from_ms = hd_wire_get_i64(reader);
	ret->to_ms = hd_wire_get_i64(reader);
	ret->now_ms = hd_wire_get_i64(reader);
	ret->token = hd_wire_get_text(reader);
	uint32_t there = hd_wire_get_u32(reader);
	size_t len;
	const void *continuation = hd_wire_get_bytes(reader, &len);
	ret->continuation = there ? continuation : NULL;
	ret->continuation_len = (uint32_t)len;
	ret->point = hd_wire_get_options(reader);
	ret->account = hd_wire_get_options(reader);
	reader->bad = reader->bad || len > HYDRO_CONTINUATION_BYTES || !ret->token;
}

void hd_wire_response(struct hd_buf *buf, const hydro_http_response *response)
{
	hd_wire_u32(buf, response->status);
	hd_wire_bytes(buf, response->body, response->body_len);
	hd_wire_text(buf, response->content_type ? response->content_type : "");
	hd_wire_i64(buf, response->received_ms);
	hd_wire_i64(buf, response->retry_after_ms);
}

void hd_wire_get_response(struct hd_wire_reader *reader, hydro_http_response *ret)
{
	size_t len;
	*ret = (hydro_http_response){.struct_size = sizeof *ret};
	ret->status = hd_wire_get_u32(reader);
	ret->body = hd_wire_get_bytes(reader, &len);
	ret->body_len = len;
	ret->content_type = hd_wire_get_text(reader);
	ret->received_ms = hd_wire_get_i64(reader);
	ret->retry_after_ms = hd_wire_get_i64(reader);
}

void hd_wire_request(struct hd_buf *buf, const hydro_http_request *request)
{
	hd_wire_u32(buf, request->method);
	hd_wire_text(buf, request->url);
	hd_wire_text(buf, request->url_log);
	hd_wire_u32(buf, request->timeout_ms);
	hd_wire_u32(buf, request->body != NULL);
	hd_wire_bytes(buf, request->body, request->body ? request->body_len : 0);
	hd_wire_u32(buf, request->header_count);
	for (uint32_t i = 0; i < request->header_count && i < HEADERS_MAX; i++) {
		const hydro_http_header *header = (const hydro_http_header *)(const void *)((const char *)request->headers + (size_t)i * request->header_stride);
		hd_wire_text(buf, header->name);
		hd_wire_text(buf, header->value);
		hd_wire_u32(buf, header->flags);
	}
}

/* A copy in the scratch; *lacks says that there was no room (the scratch then notes how much is wanted). */
static const char *keep(hydro_scratch *scratch, const void *data, size_t len, bool *lacks)
{
	if (!data)
		return NULL;
	char *copy = hydro_scratch_take(scratch, len ? len : 1);
	if (copy)
		memcpy(copy, data, len);
	else
		*lacks = true;
	return copy;
}

static const char *keep_text(struct hd_wire_reader *reader, hydro_scratch *scratch, bool *lacks)
{
	const char *text = hd_wire_get_text(reader);
	return text ? keep(scratch, text, strlen(text) + 1, lacks) : NULL;
}

int32_t hd_wire_get_request(struct hd_wire_reader *reader, hydro_scratch *scratch, hydro_http_request *ret)
{
	/* More than the copies can take, with what aligning each costs: asked for at once instead of piece by piece. */
	size_t most = (size_t)(reader->end - reader->at) * 2 + HEADERS_MAX * 16;
	size_t used = scratch->used, len;
	bool lacks = false;
	ret->method = hd_wire_get_u32(reader);
	ret->url = keep_text(reader, scratch, &lacks);
	ret->url_log = keep_text(reader, scratch, &lacks);
	ret->timeout_ms = hd_wire_get_u32(reader);
	uint32_t has_body = hd_wire_get_u32(reader);
	const void *body = hd_wire_get_bytes(reader, &len);
	ret->body = has_body ? keep(scratch, body, len, &lacks) : NULL;
	ret->body_len = len;
	uint32_t count = hd_wire_get_u32(reader);
	if (reader->bad || count > HEADERS_MAX)
		return HYDRO_E_PROTOCOL;
	hydro_http_header *headers = hydro_scratch_take(scratch, count * sizeof *headers + 1);
	lacks = lacks || !headers;
	for (uint32_t i = 0; i < count && !reader->bad; i++) {
		hydro_http_header header = {.name = keep_text(reader, scratch, &lacks)};
		header.value = keep_text(reader, scratch, &lacks);
		header.flags = hd_wire_get_u32(reader);
		if (headers)
			headers[i] = header;
	}
	ret->headers = headers;
	ret->header_count = count;
	ret->header_stride = sizeof *headers;
	if (reader->bad)
		return HYDRO_E_PROTOCOL;
	if (!lacks)
		return HYDRO_OK;
	scratch->wanted = HD_MAX(scratch->wanted, used + most);
	return HYDRO_E_LIMIT;
}
