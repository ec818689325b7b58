/* SPDX-License-Identifier: MIT */
#include "variable.h"

uint32_t variable_parts(const hydro_options *point, uint32_t row)
{
	struct keys keys = options_keys(point, row);
	return keys.count ? keys.count : 1;
}

const hydro_map_entry *variable_at(const hydro_poll *poll, uint32_t row, struct hydro_error *err)
{
	struct keys keys = options_keys(poll->point, row);
	if (poll->part < keys.count)
		return keys_at(&keys, poll->part);
	(void)hydro_fail(err, HYDRO_E_INVALID, "a part that this point does not have");
	return NULL;
}
