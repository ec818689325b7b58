/* SPDX-License-Identifier: MIT */
/* Checks of options by the descriptors of the provider instances. */
#include "api/checks.h"

#include "api/schema.h"
#include "pipeline/derive.h"

#include <stdio.h>
#include <string.h>

static const struct hd_instance *find_instance(const struct hd_api_parts *parts, const char *name)
{
	for (size_t i = 0; i < parts->instance_count; i++)
		if (strcmp(hd_instance_name(parts->instances[i]), name) == 0 && hd_instance_provider(parts->instances[i]))
			return parts->instances[i];
	return NULL;
}

static int no_instance(const struct hd_api_parts *parts, const char *name, struct hydro_error *err)
{
	char known[256] = "";
	for (size_t i = 0; i < parts->instance_count && strlen(known) < sizeof known - 1; i++)
		if (hd_instance_provider(parts->instances[i]))
			(void)snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", known[0] ? ", " : "", hd_instance_name(parts->instances[i]));
	return hd_error_set(err, HYDRO_E_INVALID, "provider: there is no provider \"%.64s\"; there are: %s", name, known[0] ? known : "none");
}

uint32_t hd_api_check_option_type(void *arg, const char *provider, uint32_t scope, const char *key)
{
	const struct hd_instance *instance = find_instance(arg, provider);
	const struct hd_descriptor *descriptor = instance ? hd_instance_descriptor(instance) : NULL;
	int row = descriptor ? hd_descriptor_find(descriptor, scope, key) : -1;
	return row >= 0 ? descriptor->rows[row].type : 0;
}

/* What the provider itself has to say of a point's options. */
static int ask_provider(struct hd_api_parts *parts, const struct hd_instance *instance, const struct hd_options *options, struct hydro_error *err)
{
	const struct hd_provider *provider = hd_instance_provider(instance);
	struct hydro_error own = {.struct_size = sizeof own};
	if (!provider || !provider->ops.check_point)
		return HYDRO_OK;
	(void)pthread_mutex_lock(&parts->control);
	hd_crumb_enter(provider->crumb, NULL);
	int rc = provider->ops.check_point(provider->self, hd_options_abi(options), &own);
	hd_crumb_leave();
	(void)pthread_mutex_unlock(&parts->control);
	own.text[sizeof own.text - 1] = '\0';
	return rc == HYDRO_OK ? rc : hd_error_set(err, rc, "options: %.480s", own.text);
}

static int redact(const struct hd_descriptor *descriptor, uint32_t scope, cJSON *json, struct hd_buf *ret_shown, bool *ret_secret, struct hydro_error *err)
{
	for (cJSON *item = json->child, *next; item; item = next) {
		next = item->next;
		if (!hd_options_is_secret(descriptor, scope, item->string) || cJSON_IsNull(item))
			continue;
		*ret_secret = true;
		if (!cJSON_ReplaceItemInObjectCaseSensitive(json, item->string, cJSON_CreateString("***")))
			return hd_error_set(err, HYDRO_E_NOMEM, "no memory");
	}
	char *text = cJSON_PrintUnformatted(json);
	if (!text || !hd_buf_add_text(ret_shown, text)) {
		cJSON_free(text);
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory");
	}
	cJSON_free(text);
	return HYDRO_OK;
}

/* Of a point that has no logger: its sources are other points. */
static int check_derived(struct hd_api_parts *parts, const char *text, struct hd_buf *ret_shown, struct hydro_error *err)
{
	int rc = hd_derive_check(parts->points, text, err);
	return rc == HYDRO_OK && !hd_buf_add_text(ret_shown, text) ? hd_error_set(err, HYDRO_E_NOMEM, "no memory") : rc;
}

int hd_api_check_options(void *arg, const char *provider, uint32_t scope, const char *text, struct hd_buf *ret_shown, bool *ret_secret,
			 struct hydro_error *err)
{
	struct hd_api_parts *parts = arg;
	const struct hd_instance *instance = find_instance(parts, provider);
	struct hd_options *options = NULL;
	if (!instance && parts->points && scope == HYDRO_SCOPE_POINT && strcmp(provider, HD_DERIVE_PROVIDER) == 0)
		return check_derived(parts, text, ret_shown, err);
	if (!instance)
		return no_instance(parts, provider, err);
	HD_CLEANUP(hd_cleanup_json) cJSON *json = cJSON_Parse(text);
	if (!json)
		return hd_error_set(err, HYDRO_E_PARSE, "options: are no JSON");
	const struct hd_descriptor *descriptor = hd_instance_descriptor(instance);
	int rc = hd_options_parse(descriptor, scope, json, parts->names, &options, err);
	if (rc == HYDRO_OK && scope == HYDRO_SCOPE_POINT)
		rc = ask_provider(parts, instance, options, err);
	hd_options_unref(&options);
	return rc == HYDRO_OK ? redact(descriptor, scope, json, ret_shown, ret_secret, err) : rc;
}
