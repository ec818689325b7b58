/* SPDX-License-Identifier: MIT */
#include "plugin/options.h"

#include "model/names.h"

static int intern(void *ctx, const char *name, uint32_t *ret, struct hydro_error *err)
{
	return hd_names_intern(ctx, HD_NAME_METRIC, name, ret, err);
}

int hd_options_parse(const struct hd_descriptor *descriptor, uint32_t scope, const struct cJSON *json, struct hd_names *names,
		     struct hd_options **ret, struct hydro_error *err)
{
	struct hd_metric_source metrics = {.ctx = names, .intern = intern};
	return hd_options_build(descriptor, scope, json, &metrics, ret, err);
}
