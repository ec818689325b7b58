/* SPDX-License-Identifier: MIT */
#include "model/flags.h"

#include "model/names.h"
#include "model/sample.h"

#include <stddef.h>
#include <string.h>

#define ROW(NAME, number, text, quality, doc) [number] = {number, text, quality, doc},
static const struct hd_flag_info flag_table[HD_FLAG_END] = {HD_FLAGS(ROW)};
#undef ROW

const struct hd_flag_info *hd_flag_info(uint32_t number)
{
	return number > 0 && number < HD_FLAG_END && flag_table[number].name ? &flag_table[number] : NULL;
}

const char *hd_flag_text(const struct hd_names *names, const struct hd_flag *flag)
{
	const struct hd_flag_info *info = hd_flag_info(flag->flag);
	const char *rule = flag->flag == HD_FLAG_SCRIPT ? hd_names_get(names, HD_NAME_RULE, flag->rule) : NULL;
	const char *own = rule ? strrchr(rule, HD_FLAG_NAME_MARK) : NULL;
	return own && own[1] ? own + 1 : info ? info->name : "?";
}

bool hd_flag_same(const struct hd_names *names, const struct hd_flag *a, const struct hd_flag *b)
{
	if (a->flag != b->flag || a->metric != b->metric)
		return false;
	return a->flag != HD_FLAG_SCRIPT || strcmp(hd_flag_text(names, a), hd_flag_text(names, b)) == 0;
}

uint32_t hd_flag_by_name(const char *name)
{
	for (uint32_t i = 1; i < HD_FLAG_END; i++)
		if (flag_table[i].name && strcmp(flag_table[i].name, name) == 0)
			return i;
	return 0;
}
