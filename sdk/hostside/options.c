/* SPDX-License-Identifier: MIT */
#include "hostside/options.h"

#include "base/timefmt.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS_MAGIC 0x4f505453u

/* One block: this, the values, the map entries, the texts. */
struct hd_options {
	uint32_t magic;
	uint32_t scope;
	_Atomic uint32_t refs;
	uint32_t text_bytes;
	char *texts;
	hydro_options abi;
	hydro_option_value values[];
};

/* What one call of hd_options_build works on. */
struct build {
	const struct hd_descriptor *d;
	const struct hd_metric_source *metrics;
	uint32_t scope;
	const cJSON *given[HD_PLUGIN_OPTIONS_MAX];
	size_t entry_count;
	size_t text_bytes;
	hydro_map_entry *entry; /* next free one while filling */
	char *text;
};

static _Atomic uint64_t next_identity = 1;

static unsigned edit_distance(const char *a, const char *b)
{
	unsigned row[80];
	size_t len_a = strlen(a), len_b = strlen(b);
	if (len_a >= HD_ARRAY_LEN(row) || len_b >= HD_ARRAY_LEN(row))
		return 999;
	for (unsigned i = 0; i <= len_b; i++)
		row[i] = i;
	for (unsigned i = 1; i <= len_a; i++) {
		unsigned diagonal = row[0];
		row[0] = i;
		for (unsigned k = 1; k <= len_b; k++) {
			unsigned replaced = diagonal + (a[i - 1] != b[k - 1]);
			diagonal = row[k];
			row[k] = HD_MIN(HD_MIN(row[k], row[k - 1]) + 1, replaced);
		}
	}
	return row[len_b];
}

static int unknown_key(const struct build *b, const char *key, struct hydro_error *err)
{
	const char *scope = hd_scope_name(b->scope), *nearest = NULL;
	unsigned best = (unsigned)strlen(key) / 2 + 2;
	for (uint32_t i = 0; i < b->d->row_count; i++) {
		const hydro_option *row = &b->d->rows[i];
		if (row->scope != b->scope) {
			if (strcmp(row->key, key) == 0)
				return hd_error_set(err, HYDRO_E_CONFIG, "option '%.64s' of plugin %s is given with the %s, not with the %s", key,
						    b->d->plugin.name, hd_scope_name(row->scope), scope);
			continue;
		}
		unsigned distance = edit_distance(key, row->key);
		if (distance < best) {
			best = distance;
			nearest = row->key;
		}
	}
	if (nearest)
		return hd_error_set(err, HYDRO_E_CONFIG, "option '%.64s' is unknown to plugin %s (%s): did you mean '%s'?", key, b->d->plugin.name, scope, nearest);
	char valid[256] = "";
	size_t used = 0;
	for (uint32_t i = 0; i < b->d->row_count && used < sizeof valid; i++)
		if (b->d->rows[i].scope == b->scope)
			used += (size_t)snprintf(valid + used, sizeof valid - used, "%s%s", used ? ", " : "", b->d->rows[i].key);
	return hd_error_set(err, HYDRO_E_CONFIG, "option '%.64s' is unknown to plugin %s (%s): %s%s", key, b->d->plugin.name, scope,
			    used ? "it takes " : "it takes none", valid);
}

static const char *expected(uint32_t type)
{
	static const char *const texts[] = {"", "true or false", "a whole number", "a number", "a text", "a duration such as \"90s\", \"15m\", \"2h\" or \"1d\"",
					    "a URL (http or https)", "a text", "an object of texts"};
	return texts[type];
}

static bool type_fits(const hydro_option *row, const cJSON *item)
{
	switch (row->type) {
	case HYDRO_OPT_BOOL:
		return cJSON_IsBool(item);
	case HYDRO_OPT_INT:
	case HYDRO_OPT_NUMBER:
		return cJSON_IsNumber(item);
	case HYDRO_OPT_DURATION:
		return cJSON_IsNumber(item) || cJSON_IsString(item);
	case HYDRO_OPT_MAP:
		return cJSON_IsObject(item);
	default:
		return cJSON_IsString(item);
	}
}

/* A number that a map's value may be written as: whole, and small enough to print as it was given. */
static bool is_whole(const cJSON *item)
{
	return cJSON_IsNumber(item) && fabs(item->valuedouble) <= 9007199254740992.0 && item->valuedouble == floor(item->valuedouble);
}

static int count_map(struct build *b, const hydro_option *row, const cJSON *map, struct hydro_error *err)
{
	uint32_t count = 0;
	for (const cJSON *item = map->child; item; item = item->next, count++) {
		if (!cJSON_IsString(item) && !is_whole(item))
			return hd_error_set(err, HYDRO_E_CONFIG, "option '%s': the value of \"%.40s\" must be a text", row->key, item->string);
		const char *problem = hd_text_problem(item->string, strlen(item->string));
		size_t len = cJSON_IsString(item) ? strlen(item->valuestring) : 24;
		if (!problem && cJSON_IsString(item))
			problem = len > HD_OPTION_TEXT_BYTES_MAX ? "more bytes than are taken" : hd_text_problem(item->valuestring, len);
		if (problem)
			return hd_error_set(err, HYDRO_E_CONFIG, "option '%s': \"%.40s\" has %s", row->key, item->string, problem);
		b->text_bytes += strlen(item->string) + 1 + len + 1;
	}
	if (count > HD_OPTION_MAP_ENTRIES_MAX)
		return hd_error_set(err, HYDRO_E_CONFIG, "option '%s' has %u entries, at most %u are taken", row->key, count, HD_OPTION_MAP_ENTRIES_MAX);
	if (count == 0 && row->flags & HYDRO_OPT_REQUIRED)
		return hd_error_set(err, HYDRO_E_CONFIG, "option '%s' is required and has no entries: %s", row->key, row->doc);
	b->entry_count += count;
	return HYDRO_OK;
}

/* First pass: every key belongs to a row, every value has its type, and how much memory all take. */
static int count_given(struct build *b, const cJSON *json, struct hydro_error *err)
{
	for (const cJSON *item = json ? json->child : NULL; item; item = item->next) {
		int i = hd_descriptor_find(b->d, b->scope, item->string);
		if (i < 0)
			return unknown_key(b, item->string, err);
		const hydro_option *row = &b->d->rows[i];
		if (b->given[i])
			return hd_error_set(err, HYDRO_E_CONFIG, "option '%s' is given twice", row->key);
		if (cJSON_IsNull(item))
			continue;
		if (!type_fits(row, item))
			return hd_error_set(err, HYDRO_E_CONFIG, "option '%s' must be %s", row->key, expected(row->type));
		b->given[i] = item;
		if (row->type == HYDRO_OPT_MAP) {
			int rc = count_map(b, row, item, err);
			if (rc != HYDRO_OK)
				return rc;
		} else if (row->type != HYDRO_OPT_DURATION && cJSON_IsString(item)) {
			b->text_bytes += strlen(item->valuestring) + 1;
		}
	}
	for (uint32_t i = 0; i < b->d->row_count; i++) {
		const hydro_option *row = &b->d->rows[i];
		if (row->scope != b->scope || b->given[i])
			continue;
		if (row->flags & HYDRO_OPT_REQUIRED && !b->d->defaults[i].is_set)
			return hd_error_set(err, HYDRO_E_CONFIG, "option '%s' is required (%s of plugin %s): %s", row->key, hd_scope_name(b->scope),
					    b->d->plugin.name, row->doc);
		b->entry_count += b->d->defaults[i].entry_count;
	}
	return HYDRO_OK;
}

static const char *put_text(struct build *b, const char *text)
{
	size_t len = strlen(text) + 1;
	char *at = b->text;
	memcpy(at, text, len);
	b->text += len;
	return at;
}

static int put_entry(struct build *b, const hydro_option *row, const char *key, const char *value, struct hydro_error *err)
{
	hydro_map_entry *entry = b->entry++;
	*entry = (hydro_map_entry){.key = key, .value = value};
	if (!(row->flags & HYDRO_OPT_METRIC_KEYS))
		return HYDRO_OK;
	int rc = b->metrics->intern(b->metrics->ctx, key, &entry->metric, err);
	return rc == HYDRO_OK ? rc : hd_error_set(err, HYDRO_E_CONFIG, "option '%s': \"%.40s\" is not a metric's name ([a-z][a-z0-9_]*)", row->key, key);
}

static int put_map(struct build *b, const hydro_option *row, const cJSON *map, hydro_option_value *value, struct hydro_error *err)
{
	value->entries = b->entry;
	for (const cJSON *item = map->child; item; item = item->next) {
		char number[24];
		if (cJSON_IsNumber(item))
			(void)snprintf(number, sizeof number, "%lld", (long long)item->valuedouble);
		const char *key = put_text(b, item->string);
		int rc = put_entry(b, row, key, put_text(b, cJSON_IsNumber(item) ? number : item->valuestring), err);
		if (rc != HYDRO_OK)
			return rc;
		value->entry_count++;
	}
	value->is_set = value->entry_count > 0;
	return HYDRO_OK;
}

static int put_default(struct build *b, uint32_t i, hydro_option_value *value, struct hydro_error *err)
{
	*value = b->d->defaults[i];
	if (value->entry_count == 0)
		return HYDRO_OK;
	const hydro_map_entry *from = value->entries;
	value->entries = b->entry;
	for (uint32_t k = 0; k < value->entry_count; k++) {
		int rc = put_entry(b, &b->d->rows[i], from[k].key, from[k].value, err);
		if (rc != HYDRO_OK)
			return rc;
	}
	return HYDRO_OK;
}

static int put_duration(const hydro_option *row, const cJSON *item, hydro_option_value *value, struct hydro_error *err)
{
	bool good = cJSON_IsString(item) ? hd_duration_parse(item->valuestring, &value->integer)
					 : item->valuedouble >= 0 && item->valuedouble <= 1e12;
	if (!good)
		return hd_error_set(err, HYDRO_E_CONFIG, "option '%s' must be %s", row->key, expected(row->type));
	if (cJSON_IsNumber(item))
		value->integer = (int64_t)(item->valuedouble * 1000.0);
	return hd_option_check_duration(row, value->integer, err);
}

static int put_value(struct build *b, uint32_t i, hydro_option_value *value, struct hydro_error *err)
{
	const hydro_option *row = &b->d->rows[i];
	const cJSON *item = b->given[i];
	if (!item)
		return put_default(b, i, value, err);
	value->is_set = 1;
	switch (row->type) {
	case HYDRO_OPT_BOOL:
		value->integer = cJSON_IsTrue(item);
		return HYDRO_OK;
	case HYDRO_OPT_INT:
	case HYDRO_OPT_NUMBER:
		value->number = item->valuedouble;
		int rc = hd_option_check_number(row, value->number, err);
		if (rc == HYDRO_OK && row->type == HYDRO_OPT_INT)
			value->integer = (int64_t)value->number;
		return rc;
	case HYDRO_OPT_DURATION:
		return put_duration(row, item, value, err);
	case HYDRO_OPT_MAP:
		return put_map(b, row, item, value, err);
	default:
		value->text = put_text(b, item->valuestring);
		if (row->flags & HYDRO_OPT_REQUIRED && !value->text[0])
			return hd_error_set(err, HYDRO_E_CONFIG, "option '%s' is required and empty: %s", row->key, row->doc);
		if (row->type == HYDRO_OPT_CHOICE)
			value->integer = hd_option_choice(row->choices, value->text);
		return hd_option_check_text(row, value->text, strlen(value->text), err);
	}
}

int hd_options_build(const struct hd_descriptor *descriptor, uint32_t scope, const struct cJSON *json,
		     const struct hd_metric_source *metrics, struct hd_options **ret, struct hydro_error *err)
{
	struct build b = {.d = descriptor, .metrics = metrics, .scope = scope};
	if (json && !cJSON_IsObject(json))
		return hd_error_set(err, HYDRO_E_CONFIG, "the options of plugin %s (%s) must be an object", descriptor->plugin.name, hd_scope_name(scope));
	int rc = count_given(&b, json, err);
	if (rc != HYDRO_OK)
		return rc;
	uint32_t rows = descriptor->row_count;
	size_t values_bytes = rows * sizeof(hydro_option_value), entries_bytes = b.entry_count * sizeof(hydro_map_entry);
	struct hd_options *options = malloc(sizeof *options + values_bytes + entries_bytes + b.text_bytes);
	if (!options)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for options");
	memset(options, 0, sizeof *options + values_bytes);
	options->magic = OPTIONS_MAGIC;
	options->scope = scope;
	atomic_store_explicit(&options->refs, 1, memory_order_relaxed);
	b.entry = (hydro_map_entry *)(void *)(options->values + rows);
	options->texts = b.text = (char *)(b.entry + b.entry_count);
	options->text_bytes = (uint32_t)b.text_bytes;
	memset(options->texts, 0, b.text_bytes);
	options->abi = (hydro_options){
		.struct_size = sizeof options->abi,
		.count = rows,
		.value_stride = sizeof(hydro_option_value),
		.map_stride = sizeof(hydro_map_entry),
		.values = options->values,
		.identity = (const void *)(uintptr_t)atomic_fetch_add_explicit(&next_identity, 1, memory_order_relaxed),
	};
	for (uint32_t i = 0; rc == HYDRO_OK && i < rows; i++)
		if (descriptor->rows[i].scope == scope)
			rc = put_value(&b, i, &options->values[i], err);
	if (rc != HYDRO_OK) {
		hd_options_unref(&options);
		return rc;
	}
	*ret = options;
	return HYDRO_OK;
}

const hydro_options *hd_options_abi(const struct hd_options *options)
{
	return &options->abi;
}

struct hd_options *hd_options_ref(struct hd_options *options)
{
	HD_ASSERT(options->magic == OPTIONS_MAGIC);
	(void)atomic_fetch_add_explicit(&options->refs, 1, memory_order_relaxed);
	return options;
}

void hd_options_unref(struct hd_options **options)
{
	struct hd_options *old = HD_STEAL(*options);
	if (!old)
		return;
	HD_ASSERT(old->magic == OPTIONS_MAGIC);
	if (atomic_fetch_sub_explicit(&old->refs, 1, memory_order_acq_rel) != 1)
		return;
	explicit_bzero(old->texts, old->text_bytes);
	old->magic = 0;
	free(old);
}

bool hd_options_is_secret(const struct hd_descriptor *descriptor, uint32_t scope, const char *key)
{
	int i = hd_descriptor_find(descriptor, scope, key);
	return i >= 0 && descriptor->rows[i].flags & HYDRO_OPT_SECRET;
}
