/* SPDX-License-Identifier: MIT */
/* A measurement as the body's object: checked here, for what the service takes in another form it "may store incorrectly, or not" (§2). */
#include "dga.h"

#include <math.h>

int32_t dga_check_identifier(void *instance, const char *text, struct hydro_error *err)
{
	(void)instance;
	return dga_check_rut("RUT", text, err);
}

static const char *yes_option(uint32_t row)
{
	return row == DGA_MINE_WATER ? "mine_water" : "automatic_gates";
}

static bool has_option(const hydro_options *work, uint32_t row)
{
	return hydro_option_at(work, row)->is_set && hydro_option_at(work, row)->integer;
}

int32_t dga_check_work(void *instance, const hydro_filing_slot *work, struct hydro_error *err)
{
	(void)instance;
	int kind = dga_kind_index(work->kind);
	if (kind < 0)
		return hydro_fail(err, HYDRO_E_INVALID, "kind: '%.40s' is not subterranea, flujometro or canal", work->kind ? work->kind : "");
	if (!dga_standard(work->standard))
		return hydro_fail(err, HYDRO_E_INVALID, "standard: '%.40s' is not mayor, medio, menor or muy_pequeno", work->standard ? work->standard : "");
	for (uint32_t row = DGA_MINE_WATER; row <= DGA_AUTOMATIC_GATES; row++)
		if (has_option(work->work, row) && dga_manual.kinds[kind].empty_option != (int)row)
			return hydro_fail(err, HYDRO_E_INVALID, "options.%s: a work of kind %s has no such thing", yes_option(row), work->kind);
	return dga_check_code("code", work->code, err);
}

uint32_t dga_needed(void *instance, const hydro_filing_slot *work)
{
	(void)instance;
	int kind = dga_kind_index(work->kind);
	const hydro_filing_standard *standard = dga_standard(work->standard);
	if (kind < 0 || !standard)
		return 0;
	int row = dga_manual.kinds[kind].empty_option;
	uint32_t empty = standard->empty_fields | (row >= 0 && has_option(work->work, (uint32_t)row) ? 1u << HYDRO_FIELD_LEVEL : 0u);
	return dga_manual.info.kinds[kind].fields & ~empty;
}

static int32_t put_number(const hydro_filing_slot *slot, uint32_t needed, const struct dga_field *field, char ret[DGA_VALUE_BYTES], struct hydro_error *err)
{
	double value = slot->values[field->source];
	ret[0] = '\0';
	if (!(slot->fields & 1u << field->source))
		return !(needed & 1u << field->source) ? HYDRO_OK
						       : hydro_fail(err, HYDRO_E_INVALID, "%s: there is no value, and it may not be empty under standard %s", field->name, slot->standard);
	if (!isfinite(value))
		return hydro_fail(err, HYDRO_E_INVALID, "%s: the value is no number", field->name);
	if (!dga_put_number(value, field->decimals, ret))
		return hydro_fail(err, HYDRO_E_INVALID, "%s: %.6g has more digits than can be sent exactly", field->name, value);
	if (field->unsigned_only && ret[0] == '-')
		return hydro_fail(err, HYDRO_E_INVALID, "%s: %s is below zero, and a counter has no sign", field->name, ret);
	if (field->chars_max && strlen(ret) > field->chars_max)
		return hydro_fail(err, HYDRO_E_INVALID, "%s: %s has more than %u characters", field->name, ret, field->chars_max);
	return HYDRO_OK;
}

static int32_t put_time(const struct dga *dga, const hydro_filing_slot *slot, const struct dga_field *field, char ret[DGA_VALUE_BYTES], struct hydro_error *err)
{
	char other[DGA_VALUE_BYTES];
	bool is_date = field->form == DGA_FORM_DATE;
	int64_t ms = dga->stamp == DGA_STAMP_MEASURED ? slot->measured_ms : slot->due_ms;
	if (dga_put_time(ms, dga_manual.info.utc_offset_s, is_date ? ret : other, is_date ? other : ret))
		return HYDRO_OK;
	return hydro_fail(err, HYDRO_E_INVALID, "%s: %lld ms is no time between 1990 and 2100", field->name, (long long)ms);
}

int32_t dga_prepare(void *instance, const hydro_filing_slot *slot, hydro_filing_payload *ret, struct hydro_error *err)
{
	int32_t rc = dga_check_work(instance, slot, err);
	if (rc != HYDRO_OK)
		return rc;
	uint32_t needed = dga_needed(instance, slot);
	const struct dga_field *field = dga_manual.kinds[dga_kind_index(slot->kind)].fields;
	char text[HYDRO_PAYLOAD_BYTES], value[DGA_VALUE_BYTES];
	size_t len = 0;
	for (uint32_t i = 0; i < DGA_FIELDS_MAX && field[i].name; i++) {
		rc = field[i].form == DGA_FORM_NUMBER ? put_number(slot, needed, &field[i], value, err) : put_time(instance, slot, &field[i], value, err);
		if (rc != HYDRO_OK)
			return rc;
		/* Names and values need no escape: they are letters, digits, '-', '.' and ':'. */
		int n = snprintf(text + len, sizeof text - len - 1, "%c\"%s\":\"%s\"", i ? ',' : '{', field[i].name, value);
		if (n < 0 || (size_t)n >= sizeof text - len - 1)
			return hydro_fail(err, HYDRO_E_LIMIT, "the payload is longer than %u bytes", HYDRO_PAYLOAD_BYTES);
		len += (size_t)n;
	}
	text[len++] = '}';
	text[len] = '\0';
	memcpy(ret->text, text, len + 1);
	ret->len = (uint32_t)len;
	return HYDRO_OK;
}
