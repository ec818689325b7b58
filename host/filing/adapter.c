/* SPDX-License-Identifier: MIT */
/* Adapters as a set: what their plugins say of themselves is checked and copied here, calls are in adapter_call.c. */
#include "filing/adapter_impl.h"

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

struct hd_adapters {
	struct hd_adapter *items[HD_ADAPTERS_MAX];
	uint32_t count;
};

int hd_adapters_new(struct hd_adapters **ret, struct hydro_error *err)
{
	struct hd_adapters *adapters = calloc(1, sizeof *adapters);
	if (!adapters)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for adapters");
	*ret = adapters;
	return HYDRO_OK;
}

static void adapter_free(struct hd_adapter *adapter)
{
	if (!adapter)
		return;
	free(adapter->standards);
	free(adapter->kinds);
	free(adapter);
}

void hd_adapters_free(struct hd_adapters **adapters)
{
	struct hd_adapters *old = HD_STEAL(*adapters);
	for (uint32_t i = 0; old && i < old->count; i++)
		adapter_free(old->items[i]);
	free(old);
}

/* ---- what a plugin says of itself ---- */

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
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for an adapter");
	for (uint32_t i = 0; i < count; i++)
		memcpy(copy + i * own, (const char *)rows + (size_t)i * stride, HD_MIN((size_t)stride, own));
	*ret = copy;
	return HYDRO_OK;
}

static int check_standard(const struct hd_adapter *a, uint32_t i, struct hydro_error *err)
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

static int check_kind(const struct hd_adapter *a, uint32_t i, struct hydro_error *err)
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

static int check_rows(struct hd_adapter *a, struct hydro_error *err)
{
	int rc = HYDRO_OK;
	for (uint32_t i = 0; rc == HYDRO_OK && i < a->info.standard_count; i++)
		rc = check_standard(a, i, err);
	for (uint32_t i = 0; rc == HYDRO_OK && i < a->info.kind_count; i++)
		rc = check_kind(a, i, err);
	return rc;
}

static int copy_info(struct hd_adapter *a, const hydro_filing_info *raw, struct hydro_error *err)
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

static bool is_complete(const hydro_sink_ops *ops)
{
	return (ops->capabilities & HYDRO_SINK_FILING) && ops->filing_info && ops->filing_check_identifier && ops->filing_check_work && ops->filing_prepare &&
	       ops->filing_request && ops->filing_parse && !ops->filing_check_request == !ops->filing_check_parse;
}

static int add(struct hd_adapters *adapters, const char *name, const struct hd_sink *sink, const struct hd_descriptor *descriptor, struct hydro_error *err)
{
	if (!sink || !is_complete(&sink->ops))
		return hd_error_set(err, HYDRO_E_CONFIG, "'%s' is no sink that files with a regulator", name);
	if (adapters->count == HD_ADAPTERS_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "more than %u adapters", HD_ADAPTERS_MAX);
	for (uint32_t i = 0; i < adapters->count; i++)
		if (strcmp(adapters->items[i]->name, name) == 0)
			return hd_error_set(err, HYDRO_E_EXISTS, "there is an adapter '%s' already", name);
	struct hd_adapter *adapter = calloc(1, sizeof *adapter);
	if (!adapter)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for an adapter");
	adapter->name = name;
	adapter->sink = sink;
	adapter->descriptor = descriptor;
	hd_adapter_enter(adapter);
	const hydro_filing_info *raw = sink->ops.filing_info(sink->self);
	hd_adapter_leave(adapter);
	int rc = copy_info(adapter, raw, err);
	if (rc != HYDRO_OK) {
		adapter_free(adapter);
		return hd_error_while(err, "taking '%s' as an adapter", name);
	}
	adapters->items[adapters->count++] = adapter;
	return HYDRO_OK;
}

int hd_adapters_add(struct hd_adapters *adapters, struct hd_instance *instance, struct hydro_error *err)
{
	return add(adapters, hd_instance_name(instance), hd_instance_sink(instance), hd_instance_descriptor(instance), err);
}

int hd_adapters_add_sink(struct hd_adapters *adapters, const char *name, const struct hd_sink *sink, struct hydro_error *err)
{
	return add(adapters, name, sink, NULL, err);
}

/* ---- asking ---- */

static bool is_better(const struct hd_adapter *a, const struct hd_adapter *than)
{
	if (!than || a->valid_from_ms != than->valid_from_ms)
		return !than || a->valid_from_ms > than->valid_from_ms;
	return strcmp(a->name, than->name) < 0;
}

const struct hd_adapter *hd_adapters_pick(const struct hd_adapters *adapters, const char *family, const char *name, int64_t due_ms)
{
	const struct hd_adapter *best = NULL;
	for (uint32_t i = 0; i < adapters->count; i++) {
		const struct hd_adapter *a = adapters->items[i];
		if (strcmp(a->info.family, family) != 0)
			continue;
		bool fits = name && *name ? strcmp(a->name, name) == 0 : a->valid_from_ms <= due_ms;
		if (fits && is_better(a, best))
			best = a;
	}
	return best;
}

const struct hd_adapter *hd_adapters_at(const struct hd_adapters *adapters, uint32_t i)
{
	return i < adapters->count ? adapters->items[i] : NULL;
}

const char *hd_adapter_name(const struct hd_adapter *adapter)
{
	return adapter->name;
}

const char *hd_adapter_version(const struct hd_adapter *adapter)
{
	return adapter->sink->version ? adapter->sink->version : "";
}

int64_t hd_adapter_valid_from_ms(const struct hd_adapter *adapter)
{
	return adapter->valid_from_ms;
}

const hydro_filing_info *hd_adapter_info(const struct hd_adapter *adapter)
{
	return &adapter->info;
}

const hydro_filing_kind *hd_adapter_kind(const struct hd_adapter *adapter, const char *name)
{
	for (uint32_t i = 0; i < adapter->info.kind_count; i++)
		if (strcmp(adapter->kinds[i].name, name) == 0)
			return &adapter->kinds[i];
	return NULL;
}

const hydro_filing_standard *hd_adapter_standard(const struct hd_adapter *adapter, const char *name)
{
	for (uint32_t i = 0; i < adapter->info.standard_count; i++)
		if (strcmp(adapter->standards[i].name, name) == 0)
			return &adapter->standards[i];
	return NULL;
}

bool hd_adapter_can_check(const struct hd_adapter *adapter)
{
	return adapter->sink->ops.filing_check_request != NULL;
}
