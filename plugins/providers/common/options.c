/* SPDX-License-Identifier: MIT */
#include "options.h"

#include "text.h"

#include <stdlib.h>

struct keys options_keys(const hydro_options *point, uint32_t row)
{
	const hydro_option_value *value = hydro_option_at(point, row);
	return (struct keys){.options = point, .value = value, .count = value->is_set && value->entries ? value->entry_count : 0};
}

const hydro_map_entry *keys_at(const struct keys *keys, uint32_t i)
{
	return hydro_option_entry(keys->options, keys->value, i);
}

char *options_base_url(const hydro_options *options, uint32_t row)
{
	char *url = strdup(hydro_option_text(options, row));
	for (size_t len = url ? strlen(url) : 0; len > 0 && url[len - 1] == '/'; len--)
		url[len - 1] = 0;
	return url;
}

uint32_t options_u32(const hydro_options *options, uint32_t row)
{
	const hydro_option_value *value = hydro_option_at(options, row);
	return value->is_set && value->integer > 0 && value->integer <= UINT32_MAX ? (uint32_t)value->integer : 0;
}

int32_t options_check_keys(const hydro_options *point, uint32_t row, const char *what, struct hydro_error *err)
{
	struct keys keys = options_keys(point, row);
	if (keys.count == 0)
		return hydro_fail(err, HYDRO_E_CONFIG, "%s: at least one metric must be named", what);
	for (uint32_t i = 0; i < keys.count; i++) {
		const hydro_map_entry *entry = keys_at(&keys, i);
		if (entry->metric == 0 || !entry->value || !*entry->value)
			return hydro_fail(err, HYDRO_E_CONFIG, "%s: \"%s\" has no metric or no key of the provider", what, entry->key ? entry->key : "");
	}
	return HYDRO_OK;
}

int32_t options_check_header(const hydro_options *options, uint32_t row, const char *what, struct hydro_error *err)
{
	if (text_is_header_value(hydro_option_text(options, row)))
		return HYDRO_OK;
	return hydro_fail(err, HYDRO_E_CONFIG, "%s: empty, or with characters that a header cannot carry", what);
}

int32_t options_check_segment(const hydro_options *options, uint32_t row, const char *what, struct hydro_error *err)
{
	if (text_is_segment(hydro_option_text(options, row)))
		return HYDRO_OK;
	return hydro_fail(err, HYDRO_E_CONFIG, "%s: empty, or nothing that a URL's path can carry", what);
}
