/* SPDX-License-Identifier: MIT */
/*
 * Options of one scope, checked against a descriptor's rows and laid out as the ABI hands them to a plugin. One allocation,
 * immutable, reference-counted; fast enough to be made for each poll (about a microsecond for a point's options).
 */
#ifndef HD_HOSTSIDE_OPTIONS_H
#define HD_HOSTSIDE_OPTIONS_H

#include "hostside/descriptor.h"
#include "hostside/option_value.h"

struct cJSON;
struct hd_options;

/* How names of METRIC_KEYS maps become numbers. HYDRO_OK and ret > 0, or an error that says what is wrong with the name. */
struct hd_metric_source {
	void *ctx;
	int (*intern)(void *ctx, const char *name, uint32_t *ret, struct hydro_error *err);
};

/*
 * Checks `json` (an object, or NULL for none) against the rows of `scope` and applies defaults. HYDRO_E_CONFIG with a text
 * that names the key and what is expected: an unknown key (with the nearest valid one), a key given twice, a wrong type or
 * range, a required option missing. JSON null reads as "not given". A DURATION is a text ("15m") or a number of seconds; map
 * values are texts or whole numbers. The result refers to the descriptor's texts: the plugin stays mapped meanwhile. [any]
 */
int hd_options_build(const struct hd_descriptor *descriptor, uint32_t scope, const struct cJSON *json,
		     const struct hd_metric_source *metrics, struct hd_options **ret, struct hydro_error *err);
/* Borrowed; valid as long as a reference is held. Its `identity` is a number never used for another set of values. [any] */
const hydro_options *hd_options_abi(const struct hd_options *options);
struct hd_options *hd_options_ref(struct hd_options *options);
/* Gives the reference back and sets the pointer to NULL. Secrets are wiped with the last one. [any] */
void hd_options_unref(struct hd_options **options);
/* The values as a JSON object to be freed by cJSON_Delete, secrets as "***"; NULL without memory. [any] */
struct cJSON *hd_options_redacted_json(const struct hd_descriptor *descriptor, const struct hd_options *options);
/* True for a row with SECRET; false for others and for unknown keys. [any] */
bool hd_options_is_secret(const struct hd_descriptor *descriptor, uint32_t scope, const char *key);

/* JSON Schema (2020-12) of what hd_options_build takes for a scope; to be freed by cJSON_Delete; NULL without memory. [any] */
struct cJSON *hd_descriptor_json_schema(const struct hd_descriptor *descriptor, uint32_t scope);
/* The reference page in Markdown, to be freed; NULL without memory. [any] */
char *hd_descriptor_reference_md(const struct hd_descriptor *descriptor);
/* The descriptor as JSON, as `hydro-runner --probe` prints it, appended to a buffer. [any] */
struct hd_buf;
bool hd_descriptor_json(const struct hd_descriptor *descriptor, struct hd_buf *ret);

#endif
