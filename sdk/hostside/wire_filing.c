/* SPDX-License-Identifier: MIT */
/* What a sink that files is asked and answers, on the wire. */
#include "hostside/wire.h"

#include "hostside/filing_info.h"

#include <string.h>

#define ROWS_MAX 64u

static void put_standard(struct hd_buf *buf, const hydro_filing_standard *row)
{
	hd_wire_text(buf, row->name);
	hd_wire_text(buf, row->doc);
	hd_wire_u32(buf, row->every);
	hd_wire_u32(buf, row->flags);
	hd_wire_u32(buf, row->lag_months);
	hd_wire_u32(buf, row->empty_fields);
	hd_wire_i64(buf, row->lag_ms);
}

static void put_kind(struct hd_buf *buf, const hydro_filing_kind *row)
{
	hd_wire_text(buf, row->name);
	hd_wire_text(buf, row->doc);
	hd_wire_text(buf, row->level_metric);
	hd_wire_text(buf, row->level_unit);
	hd_wire_u32(buf, row->fields);
}

void hd_wire_filing_info(struct hd_buf *buf, const struct hd_filing_info *about)
{
	const hydro_filing_info *info = &about->info;
	hd_wire_i64(buf, info->utc_offset_s);
	hd_wire_i64(buf, info->deadline_ms);
	hd_wire_i64(buf, info->spacing_ms);
	hd_wire_text(buf, info->family);
	hd_wire_text(buf, info->valid_from);
	hd_wire_text(buf, info->authority);
	hd_wire_text(buf, info->failures_note);
	hd_wire_text(buf, info->failures_note_en);
	hd_wire_u32(buf, info->standard_count);
	hd_wire_u32(buf, info->kind_count);
	for (uint32_t i = 0; i < info->standard_count; i++)
		put_standard(buf, &about->standards[i]);
	for (uint32_t i = 0; i < info->kind_count; i++)
		put_kind(buf, &about->kinds[i]);
}

const hydro_filing_info *hd_wire_get_filing_info(struct hd_wire_reader *reader)
{
	hydro_filing_info *info = hd_wire_own(reader, sizeof *info);
	if (!info)
		return NULL;
	info->struct_size = sizeof *info;
	info->utc_offset_s = (int32_t)hd_wire_get_i64(reader);
	info->deadline_ms = hd_wire_get_i64(reader);
	info->spacing_ms = hd_wire_get_i64(reader);
	info->family = hd_wire_get_text(reader);
	info->valid_from = hd_wire_get_text(reader);
	info->authority = hd_wire_get_text(reader);
	info->failures_note = hd_wire_get_text(reader);
	info->failures_note_en = hd_wire_get_text(reader);
	info->standard_count = hd_wire_get_u32(reader);
	info->kind_count = hd_wire_get_u32(reader);
	if (reader->bad || info->standard_count > ROWS_MAX || info->kind_count > ROWS_MAX)
		return NULL;
	hydro_filing_standard *standards = hd_wire_own(reader, info->standard_count * sizeof *standards);
	hydro_filing_kind *kinds = hd_wire_own(reader, info->kind_count * sizeof *kinds);
	for (uint32_t i = 0; standards && i < info->standard_count; i++) {
		standards[i].name = hd_wire_get_text(reader);
		standards[i].doc = hd_wire_get_text(reader);
		standards[i].every = hd_wire_get_u32(reader);
		standards[i].flags = hd_wire_get_u32(reader);
		standards[i].lag_months = hd_wire_get_u32(reader);
		standards[i].empty_fields = hd_wire_get_u32(reader);
		standards[i].lag_ms = hd_wire_get_i64(reader);
	}
	for (uint32_t i = 0; kinds && i < info->kind_count; i++) {
		kinds[i].name = hd_wire_get_text(reader);
		kinds[i].doc = hd_wire_get_text(reader);
		kinds[i].level_metric = hd_wire_get_text(reader);
		kinds[i].level_unit = hd_wire_get_text(reader);
		kinds[i].fields = hd_wire_get_u32(reader);
	}
	info->standards = standards;
	info->standard_stride = sizeof *standards;
	info->kinds = kinds;
	info->kind_stride = sizeof *kinds;
	return reader->bad ? NULL : info;
}

void hd_wire_filing_slot(struct hd_buf *buf, const hydro_filing_slot *slot)
{
	hd_wire_u32(buf, slot->fields);
	hd_wire_text(buf, slot->code);
	hd_wire_text(buf, slot->kind);
	hd_wire_text(buf, slot->standard);
	hd_wire_options(buf, slot->work);
	hd_wire_i64(buf, slot->due_ms);
	hd_wire_i64(buf, slot->measured_ms);
	for (uint32_t i = 0; i < HYDRO_FIELDS_ROOM; i++)
		hd_wire_f64(buf, slot->values[i]);
}

void hd_wire_get_filing_slot(struct hd_wire_reader *reader, hydro_filing_slot *ret)
{
	*ret = (hydro_filing_slot){.struct_size = sizeof *ret};
	ret->fields = hd_wire_get_u32(reader);
	ret->code = hd_wire_get_text(reader);
	ret->kind = hd_wire_get_text(reader);
	ret->standard = hd_wire_get_text(reader);
	ret->work = hd_wire_get_options(reader);
	ret->due_ms = hd_wire_get_i64(reader);
	ret->measured_ms = hd_wire_get_i64(reader);
	for (uint32_t i = 0; i < HYDRO_FIELDS_ROOM; i++)
		ret->values[i] = hd_wire_get_f64(reader);
}

void hd_wire_filing_send(struct hd_buf *buf, const hydro_filing_send *send)
{
	hd_wire_bytes(buf, send->payload, send->payload ? send->payload_len : 0);
	hd_wire_text(buf, send->code);
	hd_wire_text(buf, send->kind);
	hd_wire_text(buf, send->centre);
	hd_wire_text(buf, send->informant);
	hd_wire_text(buf, send->secret);
	hd_wire_text(buf, send->receipt);
	hd_wire_i64(buf, send->now_ms);
	hd_wire_options(buf, send->work);
}

void hd_wire_get_filing_send(struct hd_wire_reader *reader, hydro_filing_send *ret)
{
	size_t len;
	*ret = (hydro_filing_send){.struct_size = sizeof *ret};
	const void *payload = hd_wire_get_bytes(reader, &len);
	/* Ended by NUL, as the ABI says of texts. */
	char *text = len < HYDRO_PAYLOAD_BYTES ? hd_wire_own(reader, len + 1) : NULL;
	if (text && payload)
		memcpy(text, payload, len);
	ret->payload = text;
	ret->payload_len = (uint32_t)len;
	ret->code = hd_wire_get_text(reader);
	ret->kind = hd_wire_get_text(reader);
	ret->centre = hd_wire_get_text(reader);
	ret->informant = hd_wire_get_text(reader);
	ret->secret = hd_wire_get_text(reader);
	ret->receipt = hd_wire_get_text(reader);
	ret->now_ms = hd_wire_get_i64(reader);
	ret->work = hd_wire_get_options(reader);
	reader->bad = reader->bad || !text;
}

/* A text into an array of the ABI; what does not fit is not what the other side may send. */
static void get_into(struct hd_wire_reader *reader, char *ret, size_t size)
{
	const char *text = hd_wire_get_text(reader);
	if (!text || strlen(text) >= size)
		reader->bad = true;
	else
		memcpy(ret, text, strlen(text) + 1);
}

void hd_wire_filing_answer(struct hd_buf *buf, hydro_filing_answer *answer)
{
	answer->receipt[sizeof answer->receipt - 1] = '\0';
	answer->text[sizeof answer->text - 1] = '\0';
	hd_wire_u32(buf, answer->outcome);
	hd_wire_text(buf, answer->receipt);
	hd_wire_text(buf, answer->text);
}

void hd_wire_get_filing_answer(struct hd_wire_reader *reader, hydro_filing_answer *ret)
{
	ret->outcome = hd_wire_get_u32(reader);
	get_into(reader, ret->receipt, sizeof ret->receipt);
	get_into(reader, ret->text, sizeof ret->text);
}

void hd_wire_filing_check(struct hd_buf *buf, hydro_filing_check *check)
{
	check->text[sizeof check->text - 1] = '\0';
	hd_wire_u32(buf, check->outcome);
	hd_wire_text(buf, check->text);
}

void hd_wire_get_filing_check(struct hd_wire_reader *reader, hydro_filing_check *ret)
{
	ret->outcome = hd_wire_get_u32(reader);
	get_into(reader, ret->text, sizeof ret->text);
}

void hd_wire_filing_payload(struct hd_buf *buf, hydro_filing_payload *payload)
{
	payload->text[sizeof payload->text - 1] = '\0';
	hd_wire_text(buf, payload->text);
	hd_wire_u32(buf, payload->len);
}

void hd_wire_get_filing_payload(struct hd_wire_reader *reader, hydro_filing_payload *ret)
{
	get_into(reader, ret->text, sizeof ret->text);
	ret->len = hd_wire_get_u32(reader);
}
