/* SPDX-License-Identifier: MIT */
#include "template.h"

struct placeholder {
	const char *open; /* its brace */
	const char *name;
	size_t len;
	const char *end; /* behind it */
};

static bool is_name(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (!first && ((c >= '0' && c <= '9') || c == '_'));
}

/* The next {name} at or behind p; false if there is none. */
static bool next_placeholder(const char *p, struct placeholder *ret)
{
	for (; (p = strchr(p, '{')) != NULL; p++) {
		const char *q = p + 1;
		while (is_name(*q, q == p + 1))
			q++;
		if (q > p + 1 && *q == '}') {
			*ret = (struct placeholder){.open = p, .name = p + 1, .len = (size_t)(q - p - 1), .end = q + 1};
			return true;
		}
	}
	return false;
}

static uint32_t kind_of(const struct placeholder *at)
{
	static const struct {
		const char *name;
		uint32_t kind;
	} names[] = {{"token", TEMPLATE_TOKEN}, {"key", TEMPLATE_KEY}, {"from", TEMPLATE_FROM},
		     {"to", TEMPLATE_TO},       {"now", TEMPLATE_NOW}, {"limit", TEMPLATE_LIMIT}};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strlen(names[i].name) == at->len && memcmp(names[i].name, at->name, at->len) == 0)
			return names[i].kind;
	return TEMPLATE_PARAM;
}

static const char *param_value(const struct placeholder *at, const hydro_options *point, uint32_t row)
{
	const hydro_option_value *params = hydro_option_at(point, row);
	for (uint32_t i = 0; params->is_set && params->entries && i < params->entry_count; i++) {
		const hydro_map_entry *entry = hydro_option_entry(point, params, i);
		if (strlen(entry->key) == at->len && memcmp(entry->key, at->name, at->len) == 0)
			return entry->value;
	}
	return NULL;
}

uint32_t template_uses(const char *text)
{
	struct placeholder at;
	uint32_t uses = 0;
	for (const char *p = text; next_placeholder(p, &at); p = at.end)
		uses |= kind_of(&at);
	return uses;
}

bool template_unknown(const char *text, const hydro_options *point, uint32_t params_row, char *ret_name, size_t size)
{
	struct placeholder at;
	for (const char *p = text; next_placeholder(p, &at); p = at.end)
		if (kind_of(&at) == TEMPLATE_PARAM && !param_value(&at, point, params_row)) {
			(void)snprintf(ret_name, size, "%.*s", (int)(at.len < size ? at.len : size), at.name);
			return true;
		}
	return false;
}

static void put_escaped(struct text *t, const char *value, enum template_escape escape)
{
	if (escape == TEMPLATE_URL)
		text_put_url(t, value);
	else if (escape == TEMPLATE_JSON)
		text_put_json(t, value);
	else
		text_put(t, value);
}

static void put_value(struct text *t, const struct placeholder *at, const struct template_values *v, enum template_escape escape)
{
	const char *value;
	switch (kind_of(at)) {
	case TEMPLATE_TOKEN:
		if (v->redact)
			text_put(t, TEXT_REDACTED);
		else
			put_escaped(t, v->token, escape);
		break;
	case TEMPLATE_KEY:
		put_escaped(t, v->key, escape);
		break;
	case TEMPLATE_FROM:
		text_put_date(t, v->from_ms, v->date_format, false);
		break;
	case TEMPLATE_TO:
		text_put_date(t, v->to_ms, v->date_format, true);
		break;
	case TEMPLATE_NOW:
		text_put_date(t, v->now_ms, v->date_format, false);
		break;
	case TEMPLATE_LIMIT:
		text_put_int(t, v->limit);
		break;
	default:
		value = param_value(at, v->point, v->params_row);
		put_escaped(t, value ? value : "", escape);
	}
}

void template_put(struct text *t, const char *text, const struct template_values *values, enum template_escape escape)
{
	struct placeholder at;
	const char *p = text;
	for (; next_placeholder(p, &at); p = at.end) {
		text_put_bytes(t, p, (size_t)(at.open - p));
		put_value(t, &at, values, escape);
	}
	text_put(t, p);
}
