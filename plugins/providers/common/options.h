/* SPDX-License-Identifier: MIT */
/* Reading of options that the providers share. */
#ifndef PROVIDER_OPTIONS_H
#define PROVIDER_OPTIONS_H

#include <hydro/conv.h>
#include <stdbool.h>

/* The variables of a point: an option with METRIC_KEYS, metric → the provider's key. */
struct keys {
	const hydro_options *options;
	const hydro_option_value *value;
	uint32_t count;
};

/* [any] */
struct keys options_keys(const hydro_options *point, uint32_t row);
const hydro_map_entry *keys_at(const struct keys *keys, uint32_t i);

/* A base URL without the slashes at its end, to be freed; NULL without memory. [control] */
char *options_base_url(const hydro_options *options, uint32_t row);
/* The value of an INT or CHOICE row. [any] */
uint32_t options_u32(const hydro_options *options, uint32_t row);

/* HYDRO_E_CONFIG unless there is a key and each has a metric and a name. `what` is the option's name. [control] */
int32_t options_check_keys(const hydro_options *point, uint32_t row, const char *what, struct hydro_error *err);
/* HYDRO_E_CONFIG unless the secret can be sent in a header. [any] */
int32_t options_check_header(const hydro_options *options, uint32_t row, const char *what, struct hydro_error *err);
/* HYDRO_E_CONFIG unless the secret can be sent as a segment of a URL's path. [any] */
int32_t options_check_segment(const hydro_options *options, uint32_t row, const char *what, struct hydro_error *err);

#endif
