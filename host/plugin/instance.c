/* SPDX-License-Identifier: MIT */
/* Instances: create, configure, drain, stop, destroy; each call into the plugin on a thread that can be left behind. */
#include "plugin/call.h"
#include "plugin/catalog.h"
#include "plugin/isolated.h"
#include "plugin/services.h"

#include "base/clock.h"

#include <cjson/cJSON.h>
#include <hydro/conv.h>
#include <stdio.h>
#include <stdlib.h>

#define INSTANCE_MAGIC 0x54534e49u

struct hd_instance {
	uint32_t magic;
	uint32_t crumb;
	char name[64];
	struct hd_plugins *plugins;
	struct hd_image *image;
	struct hd_services *services;
	struct hd_options *options;
	struct hd_options **kept; /* options of before a configure: calls under way may still read them */
	size_t kept_count;
	struct hd_isolated *isolated; /* NULL: in process */
	hydro_provider_ops isolated_ops; /* of a provider */
	hydro_sink_ops isolated_sink;    /* of a sink */
	bool stopped, lost; /* lost: a call never returned */
	union {
		struct hd_provider provider;
		struct hd_sink sink;
		struct hd_analytics analytics;
	} face;
	void *self;
};

/* The functions of all kinds that the life cycle calls. */
struct life {
	int32_t (*create)(const hydro_host *host, const hydro_options *options, void **ret_instance, struct hydro_error *err);
	void (*destroy)(void *instance);
	int32_t (*configure)(void *instance, const hydro_options *options, struct hydro_error *err);
	int32_t (*drain)(void *instance, int64_t deadline_ns, struct hydro_error *err);
	void (*stop)(void *instance);
};

static struct life life_of(const struct hd_instance *instance)
{
	const struct hd_descriptor *d = instance->image->module.descriptor;
	/* In a process of its own, create and the end are of the process. */
	if (instance->isolated)
		return (struct life){.configure = d->plugin.kind == HYDRO_KIND_SINK ? instance->isolated_sink.configure : instance->isolated_ops.configure};
	switch (d->plugin.kind) {
	case HYDRO_KIND_PROVIDER:
		return (struct life){d->ops.provider.create, d->ops.provider.destroy, d->ops.provider.configure, d->ops.provider.drain, d->ops.provider.stop};
	case HYDRO_KIND_SINK:
		return (struct life){d->ops.sink.create, d->ops.sink.destroy, d->ops.sink.configure, d->ops.sink.drain, d->ops.sink.stop};
	default:
		return (struct life){d->ops.analytics.create, d->ops.analytics.destroy, NULL, NULL, d->ops.analytics.stop};
	}
}

/* ---- the calls ---- */

enum step { STEP_CREATE, STEP_CONFIGURE, STEP_DRAIN, STEP_STOP, STEP_DESTROY };
static const char *const step_names[] = {"create", "configure", "drain", "stop", "destroy"};

struct life_call {
	struct hd_call call;
	enum step step;
	struct life life;
	const hydro_host *host;
	struct hd_options *options; /* own reference */
	int64_t deadline_ns;
	void *self;
};

static void life_run(struct hd_call *base)
{
	struct life_call *call = (struct life_call *)base;
	const hydro_options *options = call->options ? hd_options_abi(call->options) : NULL;
	switch (call->step) {
	case STEP_CREATE:
		base->rc = call->life.create(call->host, options, &call->self, &base->err);
		break;
	case STEP_CONFIGURE:
		base->rc = call->life.configure(call->self, options, &base->err);
		break;
	case STEP_DRAIN:
		base->rc = call->life.drain(call->self, call->deadline_ns, &base->err);
		break;
	case STEP_STOP:
		call->life.stop(call->self);
		break;
	case STEP_DESTROY:
		call->life.destroy(call->self);
		break;
	}
}

static void life_free(struct hd_call *base)
{
	struct life_call *call = (struct life_call *)base;
	hd_options_unref(&call->options);
	free(call);
}

/* A code that is none of ours counts as FATAL: a plugin's mistake must not reach an error table. */
static int sane(int rc)
{
	return rc == HYDRO_OK ? HYDRO_OK : hd_error_info(rc)->code;
}

static int lose(struct hd_instance *instance, enum step step, struct hydro_error *err)
{
	char why[HYDRO_ERROR_TEXT_BYTES] = "";
	if (err)
		(void)snprintf(why, sizeof why, "%s", err->text);
	instance->lost = true;
	instance->image->pinned = true;
	return hd_error_set(err, HYDRO_E_TIMEOUT, "plugin %s %s: %s %s; its thread is left behind and its code stays mapped", instance->image->info.name,
			    instance->image->info.version, step_names[step], why);
}

/* Runs one step; *ret_self is what create made. A step that does not return makes the instance lost. */
static int run_step(struct hd_instance *instance, enum step step, struct hd_options *options, int64_t deadline_ns, uint32_t timeout_ms,
		    void **ret_self, struct hydro_error *err)
{
	struct life_call *call = calloc(1, sizeof *call);
	if (!call)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to call a plugin");
	call->call = (struct hd_call){.run = life_run, .free = life_free, .crumb = instance->crumb, .err = {.struct_size = sizeof call->call.err}};
	call->step = step;
	call->life = life_of(instance);
	call->host = hd_services_host(instance->services);
	call->options = options ? hd_options_ref(options) : NULL;
	call->deadline_ns = deadline_ns;
	call->self = instance->self;
	char thread_name[16];
	(void)snprintf(thread_name, sizeof thread_name, "%.15s", instance->name);
	int rc = hd_call_run(&call->call, thread_name, timeout_ms, err);
	if (rc == HYDRO_E_TIMEOUT)
		return lose(instance, step, err);
	if (rc != HYDRO_OK)
		return rc;
	rc = sane(call->call.rc);
	call->call.err.text[sizeof call->call.err.text - 1] = '\0';
	if (rc != HYDRO_OK)
		(void)hd_error_set(err, rc, "plugin %s %s: %s failed: %.400s", instance->image->info.name, instance->image->info.version, step_names[step],
				   call->call.err.text[0] ? call->call.err.text : hd_error_info(rc)->title);
	else if (ret_self)
		*ret_self = call->self;
	life_free(&call->call);
	return rc;
}

/* stop or destroy. Where there is no memory or thread for the deadline, without one: left out it would leak for good. */
static int end_step(struct hd_instance *instance, enum step step, struct hydro_error *err)
{
	struct life life = life_of(instance);
	void (*end)(void *) = step == STEP_STOP ? life.stop : life.destroy;
	int rc = run_step(instance, step, NULL, 0, instance->plugins->cfg.call_ms, NULL, err);
	if (rc == HYDRO_OK || rc == HYDRO_E_TIMEOUT)
		return rc;
	hd_crumb_enter(instance->crumb, NULL);
	end(instance->self);
	hd_crumb_leave();
	return HYDRO_OK;
}

/* ---- making ---- */

static bool name_valid(const char *name)
{
	size_t len = strlen(name);
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	return len > 0 && len < 64 && name[0] != '.' && name[0] != '-' && strspn(name, allowed) == len;
}

static int may_create(struct hd_plugins *plugins, const char *name, struct hydro_error *err)
{
	if (!name_valid(name))
		return hd_error_set(err, HYDRO_E_INVALID, "instance name '%.64s' is not of letters, digits, '_', '-' and '.', at most 63", name);
	for (size_t i = 0; i < plugins->instance_count; i++)
		if (strcmp(plugins->instances[i]->name, name) == 0)
			return hd_error_set(err, HYDRO_E_EXISTS, "there is an instance '%s' already", name);
	if (plugins->instance_count == HD_PLUGIN_INSTANCES_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "more than %u instances", HD_PLUGIN_INSTANCES_MAX);
	char text[256];
	if (hd_plugins_crash_state(plugins, name, text) == HD_CRASH_QUARANTINE)
		return hd_error_set(err, HYDRO_E_CONFLICT, "%s", text);
	return HYDRO_OK;
}

static void fill_face(struct hd_instance *instance)
{
	const struct hd_descriptor *d = instance->image->module.descriptor;
	const char *plugin = instance->image->info.name, *version = instance->image->info.version;
	switch (d->plugin.kind) {
	case HYDRO_KIND_PROVIDER:
		instance->face.provider = (struct hd_provider){instance->isolated ? instance->isolated_ops : d->ops.provider, instance->self, instance->name, plugin, version, instance->crumb};
		break;
	case HYDRO_KIND_SINK:
		instance->face.sink = (struct hd_sink){instance->isolated ? instance->isolated_sink : d->ops.sink, instance->self, instance->name, plugin, version, instance->crumb};
		break;
	default:
		instance->face.analytics = (struct hd_analytics){d->ops.analytics, instance->self, instance->name, plugin, version, instance->crumb};
	}
}

/* Everything up to the plugin's own create. */
static int prepare(struct hd_instance *instance, const cJSON *options, struct hydro_error *err)
{
	struct hd_plugins *plugins = instance->plugins;
	const struct hd_plugin_info *info = &instance->image->info;
	int rc = hd_crumb_register(instance->name, info->name, info->version, info->hash, &instance->crumb, err);
	if (rc != HYDRO_OK)
		return rc;
	hd_crumb_enter(instance->crumb, NULL);
	rc = hd_image_map(instance->image, err);
	hd_crumb_leave();
	if (rc != HYDRO_OK)
		return rc;
	rc = hd_options_parse(instance->image->module.descriptor, HYDRO_SCOPE_INSTANCE, options, plugins->cfg.names, &instance->options, err);
	if (rc != HYDRO_OK)
		return rc;
	instance->services = hd_services_new(&plugins->cfg, instance->name);
	return instance->services ? HYDRO_OK : hd_error_set(err, HYDRO_E_NOMEM, "no memory for an instance");
}

/* In a process of its own; `why` is the crash that asks for it, "" when the configuration does. */
static int start_isolated(struct hd_instance *instance, const char *why, struct hydro_error *err)
{
	struct hd_plugins *plugins = instance->plugins;
	int rc = hd_isolated_new(plugins->runner_path, instance->image, instance->services, HD_MIN(plugins->cfg.call_ms, HD_ISOLATED_CALL_MS), &instance->isolated, err);
	if (rc == HYDRO_OK)
		rc = hd_isolated_create(instance->isolated, instance->options, err);
	if (rc != HYDRO_OK)
		return why[0] ? hd_error_while(err, "it must run isolated: %s", why) : rc;
	if (instance->image->info.kind == HYDRO_KIND_SINK)
		instance->isolated_sink = hd_isolated_sink_ops(instance->isolated);
	else
		instance->isolated_ops = hd_isolated_ops(instance->isolated);
	instance->self = instance->isolated;
	if (why[0])
		hd_services_log(instance->services, HYDRO_LOG_WARN, why);
	return HYDRO_OK;
}

static void drop(struct hd_instance *instance)
{
	hd_isolated_free(&instance->isolated);
	hd_services_retire(&instance->services);
	hd_options_unref(&instance->options);
	for (size_t i = 0; i < instance->kept_count; i++)
		hd_options_unref(&instance->kept[i]);
	free(instance->kept);
	instance->magic = 0;
	free(instance);
}

int hd_instance_create_isolated(struct hd_plugins *plugins, const char *instance_name, const char *plugin_name, const struct cJSON *options,
				uint32_t isolation, struct hd_instance **ret, struct hydro_error *err)
{
	struct hd_image *image = NULL;
	int rc = may_create(plugins, instance_name, err);
	if (rc == HYDRO_OK)
		rc = hd_catalog_image(plugins, plugin_name, &image, err);
	if (rc != HYDRO_OK)
		return rc;
	char text[256] = "";
	bool alone = hd_plugins_crash_state(plugins, instance_name, text) == HD_CRASH_ISOLATE || isolation == HD_ISOLATION_PROCESS;
	struct hd_instance *instance = calloc(1, sizeof *instance);
	if (!instance)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for an instance");
	instance->magic = INSTANCE_MAGIC;
	instance->plugins = plugins;
	instance->image = image;
	(void)snprintf(instance->name, sizeof instance->name, "%s", instance_name);
	rc = prepare(instance, options, err);
	if (rc == HYDRO_OK)
		rc = alone ? start_isolated(instance, text, err)
			   : run_step(instance, STEP_CREATE, instance->options, 0, plugins->cfg.call_ms, &instance->self, err);
	if (rc == HYDRO_OK && !instance->self)
		rc = hd_error_set(err, HYDRO_E_FATAL, "plugin %s: create said OK and gave no instance, this host needs one", plugin_name);
	if (rc != HYDRO_OK) {
		(void)hd_error_while(err, "creating instance '%s'", instance_name);
		drop(instance);
		return rc;
	}
	fill_face(instance);
	(void)pthread_mutex_lock(&plugins->lock);
	image->instances++;
	(void)pthread_mutex_unlock(&plugins->lock);
	plugins->instances[plugins->instance_count++] = instance;
	*ret = instance;
	return HYDRO_OK;
}

int hd_instance_create(struct hd_plugins *plugins, const char *instance_name, const char *plugin_name, const struct cJSON *options,
		       struct hd_instance **ret, struct hydro_error *err)
{
	return hd_instance_create_isolated(plugins, instance_name, plugin_name, options, HD_ISOLATION_AUTO, ret, err);
}

/* ---- changing and ending ---- */

static bool same_value(const hydro_options *a, const hydro_options *b, uint32_t i)
{
	const hydro_option_value *x = hydro_option_at(a, i), *y = hydro_option_at(b, i);
	bool same_number = !(x->number < y->number) && !(x->number > y->number);
	if (x->is_set != y->is_set || x->integer != y->integer || !same_number || x->entry_count != y->entry_count)
		return false;
	if (!x->text != !y->text || (x->text && strcmp(x->text, y->text) != 0))
		return false;
	for (uint32_t k = 0; k < x->entry_count; k++) {
		const hydro_map_entry *p = hydro_option_entry(a, x, k), *q = hydro_option_entry(b, y, k);
		if (strcmp(p->key, q->key) != 0 || strcmp(p->value, q->value) != 0)
			return false;
	}
	return true;
}

int hd_instance_configure(struct hd_instance *instance, const struct cJSON *options, struct hydro_error *err)
{
	const struct hd_descriptor *d = hd_instance_descriptor(instance);
	struct hd_options *fresh = NULL;
	if (instance->stopped || instance->lost)
		return hd_error_set(err, HYDRO_E_CONFLICT, "instance '%s' is stopped", instance->name);
	if (!life_of(instance).configure)
		return hd_error_set(err, HYDRO_E_UNSUPPORTED, "plugin %s changes no options while it runs: make a new instance", d->plugin.name);
	int rc = hd_options_parse(d, HYDRO_SCOPE_INSTANCE, options, instance->plugins->cfg.names, &fresh, err);
	if (rc != HYDRO_OK)
		return rc;
	for (uint32_t i = 0; rc == HYDRO_OK && i < d->row_count; i++)
		if (d->rows[i].scope == HYDRO_SCOPE_INSTANCE && !(d->rows[i].flags & HYDRO_OPT_RELOADABLE) &&
		    !same_value(hd_options_abi(instance->options), hd_options_abi(fresh), i))
			rc = hd_error_set(err, HYDRO_E_CONFLICT, "option '%s' of plugin %s does not change while it runs: make a new instance", d->rows[i].key,
					  d->plugin.name);
	struct hd_options **kept = rc == HYDRO_OK ? realloc(instance->kept, (instance->kept_count + 1) * sizeof *kept) : NULL;
	if (kept)
		instance->kept = kept;
	else if (rc == HYDRO_OK)
		rc = hd_error_set(err, HYDRO_E_NOMEM, "no memory for options");
	if (rc == HYDRO_OK)
		rc = run_step(instance, STEP_CONFIGURE, fresh, 0, instance->plugins->cfg.call_ms, NULL, err);
	if (rc == HYDRO_OK) {
		instance->kept[instance->kept_count++] = instance->options;
		instance->options = HD_STEAL(fresh);
		if (instance->isolated)
			hd_isolated_keep_options(instance->isolated, instance->options);
	}
	hd_options_unref(&fresh);
	return rc;
}

int hd_instance_stop(struct hd_instance *instance, uint32_t deadline_ms, struct hydro_error *err)
{
	if (instance->stopped || instance->lost)
		return HYDRO_OK;
	struct life life = life_of(instance);
	int rc = HYDRO_OK;
	instance->stopped = true;
	if (life.drain)
		/* The plugin keeps the deadline itself; the extra second is for one that is about to. */
		rc = run_step(instance, STEP_DRAIN, NULL, hd_clock_mono_ns() + (int64_t)deadline_ms * HD_NS_PER_MS, deadline_ms + 1000, NULL, err);
	if (life.stop && !instance->lost) {
		int stopped = end_step(instance, STEP_STOP, rc == HYDRO_OK ? err : NULL);
		rc = rc == HYDRO_OK ? stopped : rc;
	}
	return rc;
}

void hd_instance_free(struct hd_instance **instance)
{
	struct hd_instance *old = HD_STEAL(*instance);
	if (!old)
		return;
	HD_ASSERT(old->magic == INSTANCE_MAGIC);
	struct hd_plugins *plugins = old->plugins;
	struct hydro_error err = {.struct_size = sizeof err};
	int rc = hd_instance_stop(old, 0, &err);
	if (!old->lost && !old->isolated)
		rc = end_step(old, STEP_DESTROY, &err);
	if (rc != HYDRO_OK)
		hd_services_log(old->services, HYDRO_LOG_ERROR, err.text);
	for (size_t i = 0; i < plugins->instance_count; i++)
		if (plugins->instances[i] == old) {
			plugins->instances[i] = plugins->instances[--plugins->instance_count];
			break;
		}
	(void)pthread_mutex_lock(&plugins->lock);
	old->image->instances--;
	(void)pthread_mutex_unlock(&plugins->lock);
	/* A call that is lost still reads them: they stay. */
	if (old->lost) {
		old->options = NULL;
		old->kept_count = 0;
	}
	drop(old);
	hd_catalog_prune(plugins);
}

/* ---- asking ---- */

const char *hd_instance_name(const struct hd_instance *instance)
{
	return instance->name;
}

const char *hd_instance_plugin(const struct hd_instance *instance)
{
	return instance->image->info.name;
}

const char *hd_instance_version(const struct hd_instance *instance)
{
	return instance->image->info.version;
}

bool hd_instance_is_isolated(const struct hd_instance *instance)
{
	return instance->isolated != NULL;
}

const struct hd_descriptor *hd_instance_descriptor(const struct hd_instance *instance)
{
	return instance->image->module.descriptor;
}

struct cJSON *hd_instance_options_json(const struct hd_instance *instance)
{
	return hd_options_redacted_json(hd_instance_descriptor(instance), instance->options);
}

static bool is_kind(const struct hd_instance *instance, uint32_t kind)
{
	return instance->image->info.kind == kind;
}

const struct hd_provider *hd_instance_provider(const struct hd_instance *instance)
{
	return is_kind(instance, HYDRO_KIND_PROVIDER) ? &instance->face.provider : NULL;
}

const struct hd_sink *hd_instance_sink(const struct hd_instance *instance)
{
	return is_kind(instance, HYDRO_KIND_SINK) ? &instance->face.sink : NULL;
}

const struct hd_analytics *hd_instance_analytics(const struct hd_instance *instance)
{
	return is_kind(instance, HYDRO_KIND_ANALYTICS) ? &instance->face.analytics : NULL;
}
