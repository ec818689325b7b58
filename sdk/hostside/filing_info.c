/* SPDX-License-Identifier: MIT */
#include "hostside/filing_info.h"

#include "base/timefmt.h"
#include "hostside/option_value.h"

#include <stdlib.h>
#include <string.h>

#define INFO_ROWS_MAX 64u
#define TEXT_BYTES_MAX 512u
#define OFFSET_MAX_S (14 * 3600)
#define LAG_MONTHS_MAX 120u
#define MS_PER_DAY INT64_C(86400000)
#define ALL_FIELDS ((1u << HYDRO_FIELDS) - 1u)

#define END_OF(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

static int wrong(struct hydro_error *err, const char *what, const char *name, const char *problem)
{
	return hd_error_set(err, HYDRO_E_CONFIG, "filing_info: %s%s%.40s%s %s", what, name ? " '" : "", name ? name : "", name ? "'" : "", problem);
}

static const char *text_problem(const char *text)
{
	if (!text)
		return "is NULL";
	size_t len = strnlen(text, TEXT_BYTES_MAX + 1);
	if (len > TEXT_BYTES_MAX)
		return "is longer than 512 bytes";
	return hd_text_problem(text, len) ? "has control characters or is not UTF-8" : NULL;
}

static int check_name(const char *what, const char *name, struct hydro_error *err)
{
	return hd_plugin_name_valid(name) ? HYDRO_OK : wrong(err, what, NULL, "has a name that is not [a-z][a-z0-9_]{0,31}");
}

/* Copies `count` rows of the plugin's stride into rows of this host's size. */
static int copy_rows(const char *what, const void *rows, uint32_t count, uint32_t stride, size_t min, size_t own, void **ret, struct hydro_error *err)
{
	if (!rows || count == 0)
		return wrong(err, what, NULL, "are none");
	if (count > INFO_ROWS_MAX)
		return hd_error_set(err, HYDRO_E_CONFIG, "filing_info: %u %s, this host takes at most %u", count, what, INFO_ROWS_MAX);
	if (stride < min || stride > HD_PLUGIN_TABLE_BYTES_MAX || stride % _Alignof(hydro_filing_standard) || (uintptr_t)rows % _Alignof(hydro_filing_standard))
		return hd_error_set(err, HYDRO_E_CONFIG, "filing_info: rows of %s are %u bytes, this host needs at least %zu and a multiple of %zu", what, stride, min,
				    _Alignof(hydro_filing_standard));
	char *copy = calloc(count, own);
	if (!copy)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for what a regulator says");
	for (uint32_t i = 0; i < count; i++)
		memcpy(copy + i * own, (const char *)rows + (size_t)i * stride, HD_MIN((size_t)stride, own));
	*ret = copy;
	return HYDRO_OK;
}

static int check_standard(const struct hd_filing_info *a, uint32_t i, struct hydro_error *err)
{
	const hydro_filing_standard *row = &a->standards[i];
	int rc = check_name("a standard", row->name, err);
	if (rc != HYDRO_OK)
		return rc;
	if (row->every < HYDRO_EVERY_HOUR || row->every > HYDRO_EVERY_HALF_YEAR)
		return wrong(err, "standard", row->name, "has a frequency that this host does not know");
	if (row->lag_months > LAG_MONTHS_MAX || row->lag_ms < 0 || (row->lag_months == 0 && row->lag_ms == 0))
		return wrong(err, "standard", row->name, "has no lag, or none that can be");
	if (row->empty_fields & ~ALL_FIELDS)
		return wrong(err, "standard", row->name, "names fields that this host does not know");
	if (text_problem(row->doc))
		return wrong(err, "the doc of standard", row->name, text_problem(row->doc));
	for (uint32_t k = 0; k < i; k++)
		if (strcmp(a->standards[k].name, row->name) == 0)
			return wrong(err, "standard", row->name, "is there twice");
	return HYDRO_OK;
}

static int check_kind(const struct hd_filing_info *a, uint32_t i, struct hydro_error *err)
{
	const hydro_filing_kind *row = &a->kinds[i];
	int rc = check_name("a kind", row->name, err);
	if (rc != HYDRO_OK)
		return rc;
	if (row->fields == 0 || row->fields & ~ALL_FIELDS)
		return wrong(err, "kind", row->name, "has no fields, or some that this host does not know");
	if (text_problem(row->level_metric) || text_problem(row->level_unit) || text_problem(row->doc))
		return wrong(err, "kind", row->name, "has a text that is NULL, too long, or not UTF-8");
	if ((row->fields & 1u << HYDRO_FIELD_LEVEL) && (!row->level_metric[0] || !row->level_unit[0]))
		return wrong(err, "kind", row->name, "has a level without metric or unit");
	for (uint32_t k = 0; k < i; k++)
		if (strcmp(a->kinds[k].name, row->name) == 0)
			return wrong(err, "kind", row->name, "is there twice");
	return HYDRO_OK;
}

/* "2025-07-31" as the first instant of that day by the regulator's clock. */
static int read_date(const char *date, int32_t utc_offset_s, int64_t *ret_ms, struct hydro_error *err)
{
	static const char form[] = "dddd-dd-dd";
	bool good = date && strnlen(date, sizeof form) == sizeof form - 1;
	for (size_t i = 0; good && form[i]; i++)
		good = form[i] == 'd' ? date[i] >= '0' && date[i] <= '9' : date[i] == form[i];
	int64_t year = 0, same_year = 0;
	unsigned month = 0, day = 0, same_month = 0, same_day = 0;
	int64_t days = 0;
	if (good) {
		year = strtol(date, NULL, 10);
		month = (unsigned)strtoul(date + 5, NULL, 10);
		day = (unsigned)strtoul(date + 8, NULL, 10);
		good = month >= 1 && month <= 12 && day >= 1 && day <= 31;
	}
	if (good) {
		days = hd_days_from_civil(year, month, day);
		hd_civil_from_days(days, &same_year, &same_month, &same_day);
		good = same_year == year && same_month == month && same_day == day;
	}
	if (!good)
		return wrong(err, "valid_from", text_problem(date) ? NULL : date, "is no date of the form 2025-07-31");
	*ret_ms = days * MS_PER_DAY - (int64_t)utc_offset_s * 1000;
	return HYDRO_OK;
}

/* For people: what is not said is the family's name, and nothing. */
static int check_words(hydro_filing_info *info, struct hydro_error *err)
{
	const char **const words[] = {&info->authority, &info->failures_note, &info->failures_note_en};
	for (size_t i = 0; i < HD_ARRAY_LEN(words); i++) {
		if (!*words[i])
			*words[i] = i == 0 ? info->family : "";
		if (text_problem(*words[i]))
			return wrong(err, "authority or failures_note", NULL, text_problem(*words[i]));
	}
	return HYDRO_OK;
}

static int check_rows(struct hd_filing_info *a, struct hydro_error *err)
{
	int rc = HYDRO_OK;
	for (uint32_t i = 0; rc == HYDRO_OK && i < a->info.standard_count; i++)
		rc = check_standard(a, i, err);
	for (uint32_t i = 0; rc == HYDRO_OK && i < a->info.kind_count; i++)
		rc = check_kind(a, i, err);
	return rc;
}

static int copy_info(const hydro_filing_info *raw, struct hd_filing_info *a, struct hydro_error *err)
{
	if (!raw || (uintptr_t)raw % _Alignof(hydro_filing_info))
		return wrong(err, "the table", NULL, "is NULL or not aligned");
	if (raw->struct_size < END_OF(hydro_filing_info, kind_stride) || raw->struct_size > HD_PLUGIN_TABLE_BYTES_MAX)
		return hd_error_set(err, HYDRO_E_CONFIG, "filing_info has %u bytes, this host needs at least the %zu of ABI 0.2", raw->struct_size,
				    END_OF(hydro_filing_info, kind_stride));
	memcpy(&a->info, raw, HD_MIN((size_t)raw->struct_size, sizeof a->info));
	hydro_filing_info *info = &a->info;
	info->struct_size = sizeof *info;
	if (!hd_plugin_name_valid(info->family))
		return wrong(err, "the family", NULL, "is not [a-z][a-z0-9_]{0,31}");
	if (info->utc_offset_s < -OFFSET_MAX_S || info->utc_offset_s > OFFSET_MAX_S || info->utc_offset_s % 60)
		return wrong(err, "utc_offset_s", NULL, "is no offset from UTC");
	if (info->deadline_ms <= 0 || info->spacing_ms < 0)
		return wrong(err, "deadline_ms or spacing_ms", NULL, "is none");
	void *rows = NULL;
	int rc = read_date(info->valid_from, info->utc_offset_s, &a->valid_from_ms, err);
	if (rc == HYDRO_OK)
		rc = check_words(info, err);
	if (rc == HYDRO_OK)
		rc = copy_rows("standards", info->standards, info->standard_count, info->standard_stride, END_OF(hydro_filing_standard, doc), sizeof *a->standards, &rows, err);
	if (rc != HYDRO_OK)
		return rc;
	info->standards = a->standards = rows;
	info->standard_stride = sizeof *a->standards;
	rc = copy_rows("kinds", info->kinds, info->kind_count, info->kind_stride, END_OF(hydro_filing_kind, doc), sizeof *a->kinds, &rows, err);
	if (rc != HYDRO_OK)
		return rc;
	info->kinds = a->kinds = rows;
	info->kind_stride = sizeof *a->kinds;
	return check_rows(a, err);
}

int hd_filing_info_read(const hydro_filing_info *raw, struct hd_filing_info *ret, struct hydro_error *err)
{
	struct hd_filing_info info = {0};
	int rc = copy_info(raw, &info, err);
	if (rc != HYDRO_OK) {
		hd_filing_info_done(&info);
		return rc;
	}
	*ret = info;
	return HYDRO_OK;
}

void hd_filing_info_done(struct hd_filing_info *info)
{
	free(info->standards);
	free(info->kinds);
	*info = (struct hd_filing_info){0};
}
