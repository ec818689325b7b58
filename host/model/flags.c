/* SPDX-License-Identifier: MIT */
#include "model/flags.h"

#include <stddef.h>
#include <string.h>

#define ROW(NAME, number, text, quality, doc) [number] = {number, text, quality, doc},
static const struct hd_flag_info flag_table[HD_FLAG_END] = {HD_FLAGS(ROW)};
#undef ROW

const struct hd_flag_info *hd_flag_info(uint32_t number)
{
	return number > 0 && number < HD_FLAG_END && flag_table[number].name ? &flag_table[number] : NULL;
}

uint32_t hd_flag_by_name(const char *name)
{
	for (uint32_t i = 1; i < HD_FLAG_END; i++)
		if (flag_table[i].name && strcmp(flag_table[i].name, name) == 0)
			return i;
	return 0;
}
