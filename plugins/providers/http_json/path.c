/* SPDX-License-Identifier: MIT */
#include "path.h"

#include <string.h>

#define INDEX_MAX 1000000u

struct step {
	const char *name; /* NULL: an index */
	size_t len;
	uint32_t index;
};

/* [digits] or ["name"]; p is at the bracket. The position behind, NULL if it is wrong. */
static const char *bracket_step(const char *p, struct step *ret)
{
	p++;
	if (*p == '"') {
		const char *end = strchr(p + 1, '"');
		if (!end || end[1] != ']' || end == p + 1)
			return NULL;
		*ret = (struct step){.name = p + 1, .len = (size_t)(end - p - 1)};
		return end + 2;
	}
	const char *first = p;
	uint32_t index = 0;
	for (; *p >= '0' && *p <= '9'; p++) {
		index = index * 10 + (uint32_t)(*p - '0');
		if (index > INDEX_MAX)
			return NULL;
	}
	if (p == first || *p != ']')
		return NULL;
	*ret = (struct step){.name = NULL, .index = index};
	return p + 1;
}

/* The step at p, which must not be at the end; the position behind, NULL if it is wrong. `first`: a name needs no dot. */
static const char *next_step(const char *p, bool first, struct step *ret)
{
	if (*p == '[')
		return bracket_step(p, ret);
	if (*p == '.')
		p++;
	else if (!first)
		return NULL;
	size_t len = strcspn(p, ".[]\"");
	if (len == 0 || p[len] == ']' || p[len] == '"')
		return NULL;
	*ret = (struct step){.name = p, .len = len};
	return p + len;
}

static const char *start(const char *path, bool *ret_first)
{
	*ret_first = *path != '$';
	return *path == '$' ? path + 1 : path;
}

static bool is_key(const struct step *step)
{
	return step->name && step->len == 5 && memcmp(step->name, "{key}", 5) == 0;
}

bool path_is_absolute(const char *path)
{
	return *path == '$';
}

bool path_is_valid(const char *path)
{
	struct step step;
	bool first;
	if (strlen(path) > PATH_LENGTH_MAX)
		return false;
	for (const char *p = start(path, &first); *p; first = false)
		if (!(p = next_step(p, first, &step)))
			return false;
	return true;
}

bool path_uses_key(const char *path)
{
	struct step step;
	bool first;
	for (const char *p = start(path, &first); p && *p; first = false) {
		p = next_step(p, first, &step);
		if (p && is_key(&step))
			return true;
	}
	return false;
}

static bool go_member(struct json *j, const char *name, size_t len)
{
	struct json_text at;
	if (json_peek(j) != JSON_OBJECT || !json_enter_object(j))
		return false;
	while (json_member(j, &at)) {
		if (json_text_equal(&at, name, len))
			return true;
		if (!json_skip(j))
			return false;
	}
	return false;
}

static bool go_element(struct json *j, uint32_t index)
{
	if (json_peek(j) != JSON_ARRAY || !json_enter_array(j))
		return false;
	for (uint32_t i = 0; json_element(j); i++) {
		if (i == index)
			return true;
		if (!json_skip(j))
			return false;
	}
	return false;
}

bool path_find(struct json *j, const char *path, const char *key)
{
	struct step step;
	bool first;
	for (const char *p = start(path, &first); *p; first = false) {
		p = next_step(p, first, &step);
		if (!p)
			return false;
		bool found;
		if (!step.name)
			found = go_element(j, step.index);
		else if (is_key(&step))
			found = go_member(j, key, strlen(key));
		else
			found = go_member(j, step.name, step.len);
		if (!found)
			return false;
	}
	return !j->error;
}
