/* SPDX-License-Identifier: MIT */
#include "hostside/descriptor.h"

#include "hostside/option_value.h"

#include <stdlib.h>
#include <string.h>

/* Plugins that need no more than a minor below this are no longer understood. Raised only while the major is 0, when a published
 * prefix had to change (sdk/ABI.md, "Before 1.0"). */
#define MINOR_OLDEST 1u

#define END_OF(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

/* Smallest tables of each kind: what ABI 0.1 cannot do without. Shorter ones come from no published header. */
#define HEAD_BYTES END_OF(hydro_plugin, kind)
#define PLUGIN_BYTES_MIN END_OF(hydro_plugin, ops)
#define ROW_BYTES_MIN END_OF(hydro_option, doc)
#define PROVIDER_BYTES_MIN END_OF(hydro_provider_ops, destroy)
#define SINK_BYTES_MIN END_OF(hydro_sink_ops, destroy)
#define ANALYTICS_BYTES_MIN END_OF(hydro_analytics_ops, destroy)

static const char *const kind_names[] = {NULL, "provider", "sink", "analytics"};
static const char *const type_names[] = {NULL, "bool", "int", "number", "string", "duration", "url", "choice", "map"};
static const char *const scope_names[] = {NULL, "instance", "account", "point"};

const char *hd_kind_name(uint32_t kind)
{
	return kind < HD_ARRAY_LEN(kind_names) ? kind_names[kind] : NULL;
}

const char *hd_option_type_name(uint32_t type)
{
	return type < HD_ARRAY_LEN(type_names) ? type_names[type] : NULL;
}

const char *hd_scope_name(uint32_t scope)
{
	return scope < HD_ARRAY_LEN(scope_names) ? scope_names[scope] : NULL;
}

static bool key_valid(const char *key, size_t max)
{
	size_t len = strnlen(key, max + 1);
	if (len == 0 || len > max || key[0] < 'a' || key[0] > 'z')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!((key[i] >= 'a' && key[i] <= 'z') || (key[i] >= '0' && key[i] <= '9') || key[i] == '_'))
			return false;
	return true;
}

bool hd_plugin_name_valid(const char *name)
{
	return name && key_valid(name, HD_PLUGIN_NAME_BYTES_MAX);
}

int hd_descriptor_find(const struct hd_descriptor *descriptor, uint32_t scope, const char *key)
{
	for (uint32_t i = 0; i < descriptor->row_count; i++)
		if (descriptor->rows[i].scope == scope && strcmp(descriptor->rows[i].key, key) == 0)
			return (int)i;
	return -1;
}

/* A table's claimed size against what must be there and what may be. */
static int check_size(const char *what, size_t size, size_t min, struct hydro_error *err)
{
	if (size < min)
		return hd_error_set(err, HYDRO_E_ABI, "%s has %zu bytes, this host needs at least the %zu of ABI 0.1", what, size, min);
	if (size > HD_PLUGIN_TABLE_BYTES_MAX)
		return hd_error_set(err, HYDRO_E_ABI, "%s claims %zu bytes, this host takes at most %u", what, size, HD_PLUGIN_TABLE_BYTES_MAX);
	return HYDRO_OK;
}

static int check_aligned(const char *what, const void *p, struct hydro_error *err)
{
	if (!p)
		return hd_error_set(err, HYDRO_E_INVALID, "%s is NULL, this host needs it", what);
	if ((uintptr_t)p % _Alignof(hydro_plugin))
		return hd_error_set(err, HYDRO_E_INVALID, "%s is not aligned to %zu bytes as this host needs", what, _Alignof(hydro_plugin));
	return HYDRO_OK;
}

static int check_text(const char *what, const char *text, bool required, struct hydro_error *err)
{
	if (!text)
		return required ? hd_error_set(err, HYDRO_E_INVALID, "%s is NULL, this host needs a text", what) : HYDRO_OK;
	size_t len = strnlen(text, HD_PLUGIN_TEXT_BYTES_MAX + 1);
	if (len > HD_PLUGIN_TEXT_BYTES_MAX)
		return hd_error_set(err, HYDRO_E_INVALID, "%s is longer than the %u bytes this host takes", what, HD_PLUGIN_TEXT_BYTES_MAX);
	if (required && len == 0)
		return hd_error_set(err, HYDRO_E_INVALID, "%s is empty, this host needs a text", what);
	const char *problem = hd_text_problem(text, len);
	return problem ? hd_error_set(err, HYDRO_E_INVALID, "%s has %s", what, problem) : HYDRO_OK;
}

static int check_head(const hydro_plugin *raw, uint32_t host_major, uint32_t host_minor, struct hydro_error *err)
{
	int rc = check_size("the descriptor", raw->struct_size, HEAD_BYTES, err);
	if (rc != HYDRO_OK)
		return rc;
	if (raw->magic != HYDRO_ABI_MAGIC)
		return hd_error_set(err, HYDRO_E_ABI, "the descriptor's magic is 0x%08x, this host expects 0x%08x: not a plugin of hydrod",
				    raw->magic, HYDRO_ABI_MAGIC);
	if (raw->abi_major != host_major)
		return hd_error_set(err, HYDRO_E_ABI, "plugin is built for ABI major %u (needs %u.%u), this host offers %u.%u: rebuild it with this host's SDK",
				    raw->abi_major, raw->abi_major, raw->abi_minor_needed, host_major, host_minor);
	if (raw->abi_minor_needed < MINOR_OLDEST)
		return hd_error_set(err, HYDRO_E_ABI, "plugin is built for ABI %u.%u, this host offers %u.%u and nothing below %u.%u: rebuild it with this host's SDK",
				    raw->abi_major, raw->abi_minor_needed, host_major, host_minor, host_major, MINOR_OLDEST);
	if (raw->abi_minor_needed > host_minor)
		return hd_error_set(err, HYDRO_E_ABI, "plugin needs ABI %u.%u, this host offers %u.%u: a newer hydrod is needed",
				    raw->abi_major, raw->abi_minor_needed, host_major, host_minor);
	if (!hd_kind_name(raw->kind))
		return hd_error_set(err, HYDRO_E_ABI, "plugin is of kind %u, this host knows 1 (provider), 2 (sink) and 3 (analytics)", raw->kind);
	return check_size("the descriptor", raw->struct_size, PLUGIN_BYTES_MIN, err);
}

static int check_texts(const hydro_plugin *plugin, struct hydro_error *err)
{
	if (!plugin->name)
		return hd_error_set(err, HYDRO_E_INVALID, "the plugin's name is NULL, this host needs [a-z][a-z0-9_]{0,31}");
	if (!hd_plugin_name_valid(plugin->name))
		return hd_error_set(err, HYDRO_E_INVALID, "the plugin's name \"%.40s\" is not of the form [a-z][a-z0-9_]{0,31} this host takes", plugin->name);
	int rc = check_text("the plugin's version", plugin->version, true, err);
	if (rc == HYDRO_OK)
		rc = check_text("the plugin's summary", plugin->summary, true, err);
	if (rc == HYDRO_OK)
		rc = check_text("the plugin's licence", plugin->licence, true, err);
	return rc;
}

static int row_wrong(struct hydro_error *err, uint32_t i, const char *key, const char *what)
{
	return hd_error_set(err, HYDRO_E_INVALID, "option row %u%s%s%s: %s", i, key ? " (" : "", key ? key : "", key ? ")" : "", what);
}

static int check_row(const struct hd_descriptor *d, uint32_t i, struct hydro_error *err)
{
	const hydro_option *row = &d->rows[i];
	if (!row->key)
		return row_wrong(err, i, NULL, "its key is NULL, this host needs [a-z][a-z0-9_]{0,63}");
	if (!key_valid(row->key, 64))
		return row_wrong(err, i, NULL, "its key is not of the form [a-z][a-z0-9_]{0,63} this host takes");
	if (!hd_option_type_name(row->type))
		return row_wrong(err, i, row->key, "its type is none this host knows (1 bool … 8 map)");
	if (!hd_scope_name(row->scope))
		return row_wrong(err, i, row->key, "its scope is none this host knows (1 instance, 2 account, 3 point)");
	if (row->flags & HYDRO_OPT_METRIC_KEYS && row->type != HYDRO_OPT_MAP)
		return row_wrong(err, i, row->key, "METRIC_KEYS is for rows of type map");
	if (row->flags & HYDRO_OPT_SECRET && row->default_value && row->default_value[0])
		return row_wrong(err, i, row->key, "a secret cannot have a default");
	if (row->type == HYDRO_OPT_CHOICE && (!row->choices || !row->choices[0]))
		return row_wrong(err, i, row->key, "a choice needs its choices");
	for (uint32_t k = 0; k < i; k++)
		if (d->rows[k].scope == row->scope && strcmp(d->rows[k].key, row->key) == 0)
			return row_wrong(err, i, row->key, "the same key stands in an earlier row of the same scope");
	int rc = check_text("its doc", row->doc, true, err);
	if (rc == HYDRO_OK)
		rc = check_text("its default", row->default_value, false, err);
	if (rc == HYDRO_OK)
		rc = check_text("its choices", row->choices, false, err);
	return rc == HYDRO_OK ? rc : hd_error_while(err, "reading option row %u (%s)", i, row->key);
}

static int copy_rows(struct hd_descriptor *d, const hydro_plugin *plugin, struct hydro_error *err)
{
	uint32_t count = plugin->option_count, stride = plugin->option_stride;
	if (count > HD_PLUGIN_OPTIONS_MAX)
		return hd_error_set(err, HYDRO_E_ABI, "the descriptor claims %u options, this host takes at most %u", count, HD_PLUGIN_OPTIONS_MAX);
	if (count == 0)
		return HYDRO_OK;
	int rc = check_size("an option row (option_stride)", stride, ROW_BYTES_MIN, err);
	if (rc == HYDRO_OK)
		rc = check_aligned("the option table", plugin->options, err);
	if (rc != HYDRO_OK)
		return rc;
	if (stride % _Alignof(hydro_option))
		return hd_error_set(err, HYDRO_E_ABI, "option_stride is %u, this host needs a multiple of %zu", stride, _Alignof(hydro_option));
	d->rows = calloc(count, sizeof *d->rows);
	if (!d->rows)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the descriptor");
	d->row_count = count;
	for (uint32_t i = 0; i < count; i++)
		memcpy(&d->rows[i], (const char *)plugin->options + (size_t)i * stride, HD_MIN((size_t)stride, sizeof d->rows[i]));
	for (uint32_t i = 0; i < count; i++) {
		rc = check_row(d, i, err);
		if (rc != HYDRO_OK)
			return rc;
	}
	return hd_option_defaults(d, err);
}

static int missing(struct hydro_error *err, const char *capability, const char *functions)
{
	return hd_error_set(err, HYDRO_E_INVALID, "plugin claims the capability %s, this host then needs %s, and not all are there", capability, functions);
}

static int check_provider(const hydro_provider_ops *ops, struct hydro_error *err)
{
	if (!ops->create || !ops->destroy)
		return missing(err, "of a provider", "create and destroy");
	if (!(ops->capabilities & (HYDRO_PROVIDER_HTTP | HYDRO_PROVIDER_SUBSCRIBE)))
		return hd_error_set(err, HYDRO_E_INVALID, "provider has capabilities 0x%x, this host needs HTTP (1) or SUBSCRIBE (8) among them", ops->capabilities);
	if (ops->capabilities & HYDRO_PROVIDER_HTTP && (!ops->request || !ops->parse))
		return missing(err, "HTTP", "request and parse");
	if (ops->capabilities & HYDRO_PROVIDER_LOGIN && (!ops->login_request || !ops->login_parse))
		return missing(err, "LOGIN", "login_request and login_parse");
	if (ops->capabilities & HYDRO_PROVIDER_SUBSCRIBE && (!ops->subscribe || !ops->ack || !ops->nack || !ops->credit || !ops->stop))
		return missing(err, "SUBSCRIBE", "subscribe, ack, nack, credit and stop");
	return HYDRO_OK;
}

static int check_sink(const hydro_sink_ops *ops, struct hydro_error *err)
{
	if (!ops->create || !ops->destroy)
		return missing(err, "of a sink", "create and destroy");
	if (!(ops->capabilities & (HYDRO_SINK_WRITE | HYDRO_SINK_HTTP | HYDRO_SINK_FILING)))
		return hd_error_set(err, HYDRO_E_INVALID, "sink has capabilities 0x%x, this host needs WRITE (1), HTTP (4) or FILING (8) among them", ops->capabilities);
	if (ops->capabilities & HYDRO_SINK_WRITE && !ops->write)
		return missing(err, "WRITE", "write");
	if (ops->capabilities & HYDRO_SINK_QUERY && !ops->query)
		return missing(err, "QUERY", "query");
	if (ops->capabilities & HYDRO_SINK_HTTP && (!ops->request || !ops->parse))
		return missing(err, "HTTP", "request and parse");
	if (ops->capabilities & HYDRO_SINK_FILING && (!ops->filing_info || !ops->filing_check_identifier || !ops->filing_check_work || !ops->filing_prepare ||
						      !ops->filing_request || !ops->filing_parse || !ops->filing_check_request != !ops->filing_check_parse))
		return missing(err, "FILING", "filing_info, filing_check_identifier, filing_check_work, filing_prepare, filing_request, filing_parse, and both or none of "
					      "filing_check_request and filing_check_parse");
	return HYDRO_OK;
}

static int check_analytics(const hydro_analytics_ops *ops, struct hydro_error *err)
{
	if (!ops->create || !ops->destroy)
		return missing(err, "of an analytics routine", "create and destroy");
	if (!(ops->capabilities & (HYDRO_ANALYTICS_UPDATE | HYDRO_ANALYTICS_RUN)))
		return hd_error_set(err, HYDRO_E_INVALID, "analytics routine has capabilities 0x%x, this host needs UPDATE (1) or RUN (2) among them", ops->capabilities);
	if (ops->capabilities & HYDRO_ANALYTICS_UPDATE && (!ops->update || !ops->state_init))
		return missing(err, "UPDATE", "state_init and update");
	if (ops->capabilities & HYDRO_ANALYTICS_RUN && !ops->run)
		return missing(err, "RUN", "run");
	if (ops->state_size > HD_PLUGIN_TABLE_BYTES_MAX)
		return hd_error_set(err, HYDRO_E_ABI, "state_size is %u bytes a point, this host takes at most %u", ops->state_size, HD_PLUGIN_TABLE_BYTES_MAX);
	return HYDRO_OK;
}

static int copy_ops(struct hd_descriptor *d, const hydro_plugin *plugin, struct hydro_error *err)
{
	static const size_t min[] = {0, PROVIDER_BYTES_MIN, SINK_BYTES_MIN, ANALYTICS_BYTES_MIN};
	static const size_t own[] = {0, sizeof d->ops.provider, sizeof d->ops.sink, sizeof d->ops.analytics};
	int rc = check_aligned("the table of functions (ops)", plugin->ops, err);
	if (rc != HYDRO_OK)
		return rc;
	uint32_t size;
	memcpy(&size, plugin->ops, sizeof size);
	rc = check_size("the table of functions (ops)", size, min[plugin->kind], err);
	if (rc != HYDRO_OK)
		return rc;
	memcpy(&d->ops, plugin->ops, HD_MIN((size_t)size, own[plugin->kind]));
	switch (plugin->kind) {
	case HYDRO_KIND_PROVIDER:
		d->ops.provider.struct_size = sizeof d->ops.provider;
		return check_provider(&d->ops.provider, err);
	case HYDRO_KIND_SINK:
		d->ops.sink.struct_size = sizeof d->ops.sink;
		return check_sink(&d->ops.sink, err);
	default:
		d->ops.analytics.struct_size = sizeof d->ops.analytics;
		return check_analytics(&d->ops.analytics, err);
	}
}

static int fill(struct hd_descriptor *d, const hydro_plugin *raw, struct hydro_error *err)
{
	memcpy(&d->plugin, raw, HD_MIN((size_t)raw->struct_size, sizeof d->plugin));
	int rc = check_texts(&d->plugin, err);
	if (rc == HYDRO_OK)
		rc = copy_rows(d, &d->plugin, err);
	if (rc == HYDRO_OK)
		rc = copy_ops(d, &d->plugin, err);
	if (rc != HYDRO_OK)
		return rc;
	d->plugin.struct_size = sizeof d->plugin;
	d->plugin.option_stride = sizeof *d->rows;
	d->plugin.options = d->rows;
	d->plugin.ops = &d->ops;
	return HYDRO_OK;
}

int hd_descriptor_read_as(hydro_plugin_entry_fn entry, uint32_t host_major, uint32_t host_minor, struct hd_descriptor **ret,
			  struct hydro_error *err)
{
	const hydro_plugin *raw = entry(host_major, host_minor);
	if (!raw)
		return hd_error_set(err, HYDRO_E_ABI, "hydro_plugin_entry returned NULL: plugin has nothing for ABI %u.%u, which is what this host offers",
				    host_major, host_minor);
	int rc = check_aligned("the descriptor", raw, err);
	if (rc == HYDRO_OK)
		rc = check_head(raw, host_major, host_minor, err);
	if (rc != HYDRO_OK)
		return rc;
	struct hd_descriptor *d = calloc(1, sizeof *d);
	if (!d)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the descriptor");
	rc = fill(d, raw, err);
	if (rc != HYDRO_OK) {
		hd_descriptor_free(&d);
		return rc;
	}
	*ret = d;
	return HYDRO_OK;
}

int hd_descriptor_read(hydro_plugin_entry_fn entry, struct hd_descriptor **ret, struct hydro_error *err)
{
	return hd_descriptor_read_as(entry, HYDRO_ABI_MAJOR, HYDRO_ABI_MINOR, ret, err);
}

void hd_descriptor_free(struct hd_descriptor **descriptor)
{
	if (!*descriptor)
		return;
	free((*descriptor)->rows);
	free((*descriptor)->defaults);
	free((*descriptor)->default_entries);
	free((*descriptor)->default_texts);
	free(*descriptor);
	*descriptor = NULL;
}
