/* SPDX-License-Identifier: MIT */
#include "hostside/option_value.h"

#include "base/timefmt.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Length of the UTF-8 sequence at p (RFC 3629 table), or 0. */
static size_t utf8_len(const unsigned char *p, size_t left)
{
	size_t len = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] <= 0xdf ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4 : 0;
	if (len == 0 || len > left)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return len;
}

const char *hd_text_problem(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;
	for (size_t i = 0; i < len;) {
		if (p[i] < 0x20 || p[i] == 0x7f)
			return "control characters";
		if (p[i] < 0x80) {
			i++;
			continue;
		}
		size_t step = utf8_len(p + i, len - i);
		if (step == 0)
			return "bytes that are not UTF-8";
		i += step;
	}
	return NULL;
}

const char *hd_url_problem(const char *url)
{
	const char *host = strncmp(url, "http://", 7) == 0 ? url + 7 : strncmp(url, "https://", 8) == 0 ? url + 8 : NULL;
	if (!host)
		return "must begin with http:// or https://";
	size_t host_len = strcspn(host, "/?#");
	if (host_len == 0 || host[0] == ':')
		return "has no host";
	if (memchr(host, '@', host_len))
		return "must not carry credentials: give them in options of their own";
	return url[strcspn(url, " \"<>\\^`{|}")] ? "has characters that a URL cannot have" : NULL;
}

static bool bounded(const hydro_option *row)
{
	return row->max > row->min;
}

int hd_option_check_number(const hydro_option *row, double value, struct hydro_error *err)
{
	const char *type = hd_option_type_name(row->type);
	if (!isfinite(value) || (row->type == HYDRO_OPT_INT && (value != floor(value) || fabs(value) > 9007199254740992.0)))
		return hd_error_set(err, HYDRO_E_CONFIG, "option '%s' must be %s", row->key, row->type == HYDRO_OPT_INT ? "a whole number" : "a number");
	if (!bounded(row) || (value >= row->min && value <= row->max))
		return HYDRO_OK;
	if (row->flags & HYDRO_OPT_SECRET)
		return hd_error_set(err, HYDRO_E_CONFIG, "option '%s' (%s) must be from %g to %g", row->key, type, row->min, row->max);
	return hd_error_set(err, HYDRO_E_CONFIG, "option '%s' is %.15g, must be from %.15g to %.15g", row->key, value, row->min, row->max);
}

int hd_option_check_duration(const hydro_option *row, int64_t ms, struct hydro_error *err)
{
	if (!bounded(row) || ((double)ms >= row->min && (double)ms <= row->max))
		return HYDRO_OK;
	return hd_error_set(err, HYDRO_E_CONFIG, "option '%s' is %" PRId64 "ms, must be from %.0fms to %.0fms", row->key, ms, row->min, row->max);
}

int hd_option_choice(const char *choices, const char *text)
{
	size_t want = strlen(text);
	int index = 0;
	for (const char *p = choices; want; index++) {
		size_t len = strcspn(p, "|");
		if (len == want && memcmp(p, text, len) == 0)
			return index;
		if (!p[len])
			break;
		p += len + 1;
	}
	return -1;
}

uint32_t hd_option_choice_count(const char *choices)
{
	uint32_t count = 1;
	for (const char *p = choices; *p; p++)
		count += *p == '|';
	return count;
}

int hd_option_check_text(const hydro_option *row, const char *text, size_t len, struct hydro_error *err)
{
	if (len > HD_OPTION_TEXT_BYTES_MAX)
		return hd_error_set(err, HYDRO_E_CONFIG, "option '%s' has %zu bytes, at most %u are taken", row->key, len, HD_OPTION_TEXT_BYTES_MAX);
	const char *problem = hd_text_problem(text, len);
	if (problem)
		return hd_error_set(err, HYDRO_E_CONFIG, "option '%s' has %s", row->key, problem);
	if (row->type == HYDRO_OPT_CHOICE && hd_option_choice(row->choices, text) < 0) {
		bool secret = row->flags & HYDRO_OPT_SECRET;
		return hd_error_set(err, HYDRO_E_CONFIG, "option '%s' is %s%.40s%s, must be one of %s", row->key, secret ? "" : "\"",
				    secret ? "***" : text, secret ? "" : "\"", row->choices);
	}
	if (row->type == HYDRO_OPT_URL) {
		problem = hd_url_problem(text);
		return problem ? hd_error_set(err, HYDRO_E_CONFIG, "option '%s': the URL %s", row->key, problem) : HYDRO_OK;
	}
	if (row->type == HYDRO_OPT_STRING && bounded(row) && ((double)len < row->min || (double)len > row->max))
		return hd_error_set(err, HYDRO_E_CONFIG, "option '%s' has %zu characters, must have from %.0f to %.0f", row->key, len, row->min, row->max);
	return HYDRO_OK;
}

/* "a=b,c=d" into entries; both grow from what the caller counted. */
static int default_map(struct hd_descriptor *d, uint32_t i, hydro_map_entry **entry, char **text, struct hydro_error *err)
{
	hydro_option_value *value = &d->defaults[i];
	char *p = *text;
	size_t len = strlen(d->rows[i].default_value);
	memcpy(p, d->rows[i].default_value, len + 1);
	*text += len + 1;
	value->entries = *entry;
	while (*p) {
		char *next = p + strcspn(p, ",");
		bool last = !*next;
		*next = '\0';
		char *equals = strchr(p, '=');
		if (!equals || equals == p)
			return hd_error_set(err, HYDRO_E_INVALID, "option row %u (%s): its default is not of the form key=value,key=value", i, d->rows[i].key);
		*equals = '\0';
		**entry = (hydro_map_entry){.key = p, .value = equals + 1};
		(*entry)++;
		value->entry_count++;
		if (last)
			break;
		p = next + 1;
	}
	value->is_set = value->entry_count > 0;
	return HYDRO_OK;
}

static bool number_text(const char *text, double *ret)
{
	char *end;
	errno = 0;
	*ret = strtod(text, &end);
	return errno == 0 && end != text && *end == '\0' && isfinite(*ret);
}

/* What a default written as text comes to; HYDRO_E_CONFIG when the row itself would not take it. */
static int default_scalar(const hydro_option *row, hydro_option_value *value, struct hydro_error *err)
{
	const char *text = row->default_value;
	value->is_set = 1;
	switch (row->type) {
	case HYDRO_OPT_BOOL:
		value->integer = strcmp(text, "true") == 0;
		if (!value->integer && strcmp(text, "false") != 0)
			return hd_error_set(err, HYDRO_E_CONFIG, "option '%s' must be true or false", row->key);
		return HYDRO_OK;
	case HYDRO_OPT_INT:
	case HYDRO_OPT_NUMBER:
		if (!number_text(text, &value->number))
			return hd_error_set(err, HYDRO_E_CONFIG, "option '%s' must be a number", row->key);
		int rc = hd_option_check_number(row, value->number, err);
		if (rc == HYDRO_OK && row->type == HYDRO_OPT_INT)
			value->integer = (int64_t)value->number;
		return rc;
	case HYDRO_OPT_DURATION:
		if (!hd_duration_parse(text, &value->integer))
			return hd_error_set(err, HYDRO_E_CONFIG, "option '%s' must be a duration such as 90s, 15m, 2h or 1d", row->key);
		return hd_option_check_duration(row, value->integer, err);
	default:
		value->text = text;
		if (row->type == HYDRO_OPT_CHOICE)
			value->integer = hd_option_choice(row->choices, text);
		return hd_option_check_text(row, text, strlen(text), err);
	}
}

int hd_option_defaults(struct hd_descriptor *d, struct hydro_error *err)
{
	size_t text_bytes = 0, entries = 0;
	for (uint32_t i = 0; i < d->row_count; i++) {
		const char *text = d->rows[i].default_value;
		if (!text || d->rows[i].type != HYDRO_OPT_MAP)
			continue;
		text_bytes += strlen(text) + 1;
		entries++;
		for (const char *p = text; *p; p++)
			entries += *p == ',';
	}
	d->defaults = calloc(d->row_count, sizeof *d->defaults);
	d->default_entries = calloc(entries + 1, sizeof *d->default_entries);
	d->default_texts = malloc(text_bytes + 1);
	if (!d->defaults || !d->default_entries || !d->default_texts)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the descriptor");
	hydro_map_entry *entry = d->default_entries;
	char *text = d->default_texts;
	for (uint32_t i = 0; i < d->row_count; i++) {
		const hydro_option *row = &d->rows[i];
		if (!row->default_value || (!row->default_value[0] && row->type != HYDRO_OPT_STRING))
			continue;
		int rc = row->type == HYDRO_OPT_MAP ? default_map(d, i, &entry, &text, err) : default_scalar(row, &d->defaults[i], err);
		if (rc == HYDRO_E_CONFIG) {
			(void)hd_error_while(err, "reading the default \"%.40s\" of option row %u", row->default_value, i);
			if (err)
				err->code = HYDRO_E_INVALID;
			return HYDRO_E_INVALID;
		}
		if (rc != HYDRO_OK)
			return rc;
	}
	return HYDRO_OK;
}
