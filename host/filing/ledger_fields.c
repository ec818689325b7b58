/* SPDX-License-Identifier: MIT */
#include "filing/ledger_fields.h"

#include <math.h>
#include <string.h>

static const void *at(const void *object, const struct hd_field *field)
{
	return (const char *)object + field->offset;
}

static const char *text_at(const void *object, const struct hd_field *field)
{
	const char *text;
	memcpy(&text, at(object, field), sizeof text);
	return text;
}

static double real_at(const void *object, const struct hd_field *field)
{
	return *(const double *)at(object, field);
}

static int64_t int_at(const void *object, const struct hd_field *field)
{
	if (field->type == HD_FIELD_U32)
		return *(const uint32_t *)at(object, field);
	if (field->type == HD_FIELD_BOOL)
		return *(const bool *)at(object, field);
	return *(const int64_t *)at(object, field);
}

void hd_fields_bind(sqlite3_stmt *stmt, const struct hd_field *fields, size_t count, const void *object)
{
	for (size_t i = 0; i < count; i++) {
		int parameter = HD_FIELDS_AT + 1 + (int)i;
		if (fields[i].type == HD_FIELD_TEXT)
			hd_bind_text(stmt, parameter, text_at(object, &fields[i]));
		else if (fields[i].type == HD_FIELD_UUID)
			hd_bind_uuid(stmt, parameter, at(object, &fields[i]));
		else if (fields[i].type != HD_FIELD_REAL)
			hd_bind_int(stmt, parameter, int_at(object, &fields[i]));
		else if (!isnan(real_at(object, &fields[i])))
			(void)sqlite3_bind_double(stmt, parameter, real_at(object, &fields[i]));
	}
}

static void read_field(sqlite3_stmt *stmt, int column, const struct hd_field *field, void *ret)
{
	char *to = (char *)ret + field->offset;
	int64_t value = sqlite3_column_int64(stmt, column);
	uint32_t small = (uint32_t)value;
	bool truth = value != 0;
	double real = sqlite3_column_type(stmt, column) == SQLITE_NULL ? NAN : sqlite3_column_double(stmt, column);
	struct hd_uuid id;
	const char *text;
	switch (field->type) {
	case HD_FIELD_U32:
		memcpy(to, &small, sizeof small);
		break;
	case HD_FIELD_BOOL:
		memcpy(to, &truth, sizeof truth);
		break;
	case HD_FIELD_MS:
		memcpy(to, &value, sizeof value);
		break;
	case HD_FIELD_REAL:
		memcpy(to, &real, sizeof real);
		break;
	case HD_FIELD_UUID:
		id = hd_column_uuid(stmt, column);
		memcpy(to, &id, sizeof id);
		break;
	case HD_FIELD_TEXT:
		text = hd_column_text(stmt, column);
		memcpy(to, &text, sizeof text);
		break;
	}
}

void hd_fields_read(sqlite3_stmt *stmt, const struct hd_field *fields, size_t count, void *ret)
{
	for (size_t i = 0; i < count; i++)
		read_field(stmt, HD_FIELDS_AT + (int)i, &fields[i], ret);
}

int hd_fields_check(const struct hd_field *fields, size_t count, const void *object, struct hydro_error *err)
{
	for (size_t i = 0; i < count; i++) {
		const char *text = fields[i].type == HD_FIELD_TEXT ? text_at(object, &fields[i]) : "";
		if (!text)
			return hd_error_set(err, HYDRO_E_INVALID, "%s: not set", fields[i].name);
		if (strlen(text) > HD_FIELD_TEXT_BYTES_MAX)
			return hd_error_set(err, HYDRO_E_LIMIT, "%s: longer than %u bytes", fields[i].name, HD_FIELD_TEXT_BYTES_MAX);
		if (fields[i].type == HD_FIELD_REAL && isinf(real_at(object, &fields[i])))
			return hd_error_set(err, HYDRO_E_INVALID, "%s: not a finite number", fields[i].name);
	}
	return HYDRO_OK;
}

static bool same(const struct hd_field *field, const void *a, const void *b)
{
	switch (field->type) {
	case HD_FIELD_TEXT:
		return strcmp(text_at(a, field), text_at(b, field)) == 0;
	case HD_FIELD_UUID:
		return hd_uuid_equal(at(a, field), at(b, field));
	case HD_FIELD_REAL:
		return real_at(a, field) == real_at(b, field) || (isnan(real_at(a, field)) && isnan(real_at(b, field)));
	default:
		return int_at(a, field) == int_at(b, field);
	}
}

static void add_value(struct hd_buf *out, const struct hd_field *field, const void *object)
{
	char uuid[HD_UUID_TEXT];
	switch (field->type) {
	case HD_FIELD_TEXT:
		(void)hd_buf_add_json(out, text_at(object, field), strlen(text_at(object, field)));
		break;
	case HD_FIELD_UUID:
		hd_uuid_format(at(object, field), uuid);
		(void)hd_buf_add_json(out, uuid, strlen(uuid));
		break;
	case HD_FIELD_REAL:
		(void)hd_buf_add_number(out, real_at(object, field));
		break;
	default:
		(void)hd_buf_printf(out, "%lld", (long long)int_at(object, field));
		break;
	}
}

void hd_fields_json(struct hd_buf *out, const struct hd_field *fields, size_t count, const void *before, const void *object)
{
	for (size_t i = 0; i < count; i++) {
		if (before && same(&fields[i], before, object))
			continue;
		(void)hd_buf_printf(out, ",\"%s\":%s", fields[i].name, before ? "[" : "");
		if (before) {
			add_value(out, &fields[i], before);
			(void)hd_buf_add_char(out, ',');
		}
		add_value(out, &fields[i], object);
		if (before)
			(void)hd_buf_add_char(out, ']');
	}
}
