/* SPDX-License-Identifier: MIT */
/* Inside of the api folder: functions for hd_store_checks; their arg is struct hd_api_parts. */
#ifndef HD_API_CHECKS_H
#define HD_API_CHECKS_H

#include "api/wire.h"

uint32_t hd_api_check_option_type(void *arg, const char *provider, uint32_t scope, const char *key);
int hd_api_check_options(void *arg, const char *provider, uint32_t scope, const char *text, struct hd_buf *ret_shown, bool *ret_secret,
			 struct hydro_error *err);

#endif
