/* SPDX-License-Identifier: MIT */
/*
 * Changes to what runs. Always in this order: try the script (syntax, samples, selftest), build every plan, ready all
 * workers, write the file if asked to, swap at a batch boundary, forget the old one. Whatever fails before the swap leaves
 * everything as it was.
 */
#include "pipeline/scripts_inner.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/thread.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define BUILD_NICE 5

struct attempt {
	struct hd_scripts *s;
	struct hd_scripts_entry *entry;
	struct hd_scripts_entry after; /* what the entry becomes */
	struct hd_script *script;      /* the candidate */
	const struct hd_scripts_change *change;
	bool write;                    /* into the folder */
	bool wrote;
	struct hd_scripts_diags diags;
	struct hd_swap_report report;
	uint32_t points, samples;
	int64_t build_ns;
	int64_t pause_ns; /* longest of a worker, for the swap or for a script that came or went */
	const char *result;
};

static void answer(const struct attempt *a, const char *name, int rc, const struct hydro_error *err, struct hd_buf *ret)
{
	hd_buf_add_text(ret, "{\"pipeline\":");
	hd_buf_add_json(ret, name, strlen(name));
	hd_buf_printf(ret, ",\"result\":\"%s\"", rc == HYDRO_OK ? a->result : "refused");
	if (a->script)
		hd_buf_printf(ret, ",\"generation\":\"%s\",\"hash\":\"%s\"", hd_script_version(a->script), hd_script_hash(a->script));
	if (rc != HYDRO_OK) {
		const char *runs = a->entry && a->entry->live ? hd_script_version(a->entry->live) : "";
		hd_buf_printf(ret, ",\"running\":\"%s\",\"error\":", runs);
		hd_buf_add_json(ret, err->text, strlen(err->text));
		hd_buf_add_text(ret, ",\"diagnostics\":");
		hd_scripts_diags_json(&a->diags, ret);
		hd_buf_add_char(ret, '}');
		return;
	}
	hd_buf_printf(ret, ",\"samples\":%u,\"points\":%u,\"build_ms\":%.3f", a->samples, a->points, (double)a->build_ns / 1e6);
	if (a->entry)
		hd_buf_printf(ret, ",\"version\":%u", a->entry->version);
	uint64_t in = a->report.samples_in, out = a->report.samples_out;
	hd_buf_printf(ret, ",\"in\":%llu,\"out\":%llu,\"lost\":%llu,\"worst_pause_ms\":%.3f,\"worst_pause_cpu_ms\":%.3f,\"states_kept\":%u,\"states_reset\":%u,\"reset\":[",
		      (unsigned long long)in, (unsigned long long)out, (unsigned long long)(in > out ? in - out : 0),
		      (double)a->pause_ns / 1e6, (double)a->report.worst_cpu_ns / 1e6, a->report.states_kept, a->report.states_reset);
	for (uint32_t i = 0; i < a->report.named; i++) {
		hd_buf_add_text(ret, i ? "," : "");
		hd_buf_add_json(ret, a->report.names[i], strlen(a->report.names[i]));
	}
	hd_buf_printf(ret, "],\"written\":%s}", a->wrote ? "true" : "false");
}

static int script_path(const struct hd_scripts *s, const char *name, char ret[HD_SCRIPTS_PATH_BYTES], struct hydro_error *err)
{
	/* The name becomes a file's: nothing but a name may pass. */
	size_t len = strlen(name);
	if (len == 0 || len >= HD_SCRIPT_NAME_BYTES_MAX || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != len)
		return hd_error_set(err, HYDRO_E_INVALID, "that is no name for a pipeline: a-z, then a-z 0-9 _, at most %u", HD_SCRIPT_NAME_BYTES_MAX - 1);
	(void)snprintf(ret, HD_SCRIPTS_PATH_BYTES, "%.*s/%s.lua", (int)(HD_SCRIPTS_PATH_BYTES - 128), s->dir, name);
	return HYDRO_OK;
}

int hd_scripts_load_text(struct hd_scripts *s, const char *name, const char *text, size_t len, struct hd_script **ret, struct hydro_error *err)
{
	char path[HD_SCRIPTS_PATH_BYTES];
	int rc = script_path(s, name, path, err);
	return rc == HYDRO_OK ? hd_script_from_text(path, s->lib_dir, text, len, ret, err) : rc;
}

int hd_scripts_load_file(struct hd_scripts *s, const char *name, struct hd_script **ret, struct hydro_error *err)
{
	char path[HD_SCRIPTS_PATH_BYTES];
	int rc = script_path(s, name, path, err);
	return rc == HYDRO_OK ? hd_script_load(path, s->lib_dir, ret, err) : rc;
}

/* Lets go of a script that no plan has any more. */
static void forget(struct attempt *a, struct hd_script *script)
{
	struct hd_scripts *s = a->s;
	hd_scripts_detach(s, script, &a->pause_ns);
	hd_lua_detach(s->builder, script);
	hd_script_unref(&script);
}

static int write_file(struct attempt *a, struct hydro_error *err)
{
	char path[HD_SCRIPTS_PATH_BYTES];
	int rc = script_path(a->s, a->entry->name, path, err);
	if (rc == HYDRO_OK)
		rc = hd_fs_write_atomic(path, hd_script_text(a->script), hd_script_len(a->script), 0644, err);
	a->wrote = rc == HYDRO_OK;
	if (a->wrote) /* what we wrote ourselves is no change of the file: the watch would end a canary */
		(void)snprintf(a->after.file_hash, sizeof a->after.file_hash, "%s", hd_script_hash(a->script));
	return rc;
}

struct build {
	struct attempt *a;
	struct hd_plans *plans;
	struct hydro_error *err;
	int rc;
};

static void *build_plans(void *arg)
{
	struct build *b = arg;
	(void)setpriority(PRIO_PROCESS, 0, BUILD_NICE); /* of this thread alone */
	b->rc = hd_scripts_build_all(b->a->s, &b->a->after, b->plans, &b->a->points, &b->a->diags, b->err);
	return NULL;
}

/* On a thread that steps back for the workers, whose measurements are not to wait for a script. */
static int build_beside(struct attempt *a, struct hd_plans *plans, struct hydro_error *err)
{
	struct build build = {.a = a, .plans = plans, .err = err};
	pthread_t thread;
	int rc = hd_thread_start(&thread, HD_ROLE_ANY, "builder", build_plans, &build, err);
	if (rc != HYDRO_OK)
		return rc;
	(void)pthread_join(thread, NULL);
	return build.rc;
}

/* Builds all, readies the workers, swaps. The candidate is attached to the builder. */
static int go_live(struct attempt *a, struct hydro_error *err)
{
	struct hd_scripts *s = a->s;
	struct hd_plans *plans = NULL;
	int64_t begun = hd_clock_real_ns();
	int rc = hd_plans_new(&plans);
	if (rc != HYDRO_OK)
		return hd_error_set(err, rc, "no memory for plans");
	rc = build_beside(a, plans, err);
	if (rc == HYDRO_OK && !a->points && !a->samples)
		rc = hd_scripts_build_bare(s, a->script, &a->diags, err);
	a->build_ns = hd_clock_real_ns() - begun;
	if (rc == HYDRO_OK)
		rc = hd_scripts_attach(s, a->script, &a->pause_ns, err);
	if (rc == HYDRO_OK && a->write)
		rc = write_file(a, err);
	if (rc == HYDRO_OK && s->pipeline)
		rc = hd_pipeline_swap(s->pipeline, HD_STEAL(plans), &a->report, err);
	hd_plans_free(&plans);
	a->pause_ns = HD_MAX(a->pause_ns, a->report.worst_pause_ns);
	if (rc != HYDRO_OK)
		hd_scripts_detach(s, a->script, NULL);
	return rc;
}

/* The entry as it will be: all points on the candidate, or a share of them beside the present one. */
static void plan_after(struct attempt *a)
{
	uint32_t share = a->change->share;
	a->after = *a->entry;
	if (share > 0 && share < 100 && a->entry->live) {
		a->after.canary = a->script;
		a->after.share = share;
		a->result = "canary";
	} else {
		a->after.live = a->script;
		a->after.canary = NULL;
		a->after.share = 100;
		a->result = "live";
	}
}

static void settle(struct attempt *a)
{
	struct hd_script *olds[2] = {a->entry->live, a->entry->canary};
	struct hydro_error err = {0};
	*a->entry = a->after;
	for (uint32_t i = 0; i < 2; i++)
		if (olds[i] && olds[i] != a->after.live && olds[i] != a->after.canary)
			forget(a, olds[i]);
	const char *author = a->change->author ? a->change->author : "file", *reason = a->change->reason ? a->change->reason : "";
	uint32_t version = 0;
	if (hd_scripts_version_keep(a->s, a->script, author, reason, &version, &err) != HYDRO_OK)
		hd_scripts_event(a->s, HD_EVENT_ERROR, "version_not_kept", "pipeline %s: %s", a->entry->name, err.text);
	if (a->after.live == a->script)
		a->entry->version = version;
	hd_scripts_event(a->s, HD_EVENT_INFO, "pipeline_live", "%s by %s: %u points, worst pause %.3f ms, %u states kept, %u reset",
			 hd_script_version(a->script), author, a->points, (double)a->pause_ns / 1e6, a->report.states_kept,
			 a->report.states_reset);
}

/* Takes the candidate; lock held. `name` need not have an entry yet. */
static int change_script(struct hd_scripts *s, const char *name, struct hd_script *candidate, const struct hd_scripts_change *change, bool write,
			 struct hd_buf *ret_json, struct hydro_error *err)
{
	struct attempt a = {.s = s, .entry = hd_scripts_find(s, name), .script = candidate, .change = change, .write = write, .result = "unchanged"};
	int rc = HYDRO_OK;
	const char *live = a.entry && a.entry->live ? hd_script_hash(a.entry->live) : "";
	if (change->if_hash && strcmp(change->if_hash, live) != 0)
		rc = hd_error_set(err, HYDRO_E_STALE, "pipeline %s is at %s, not at %s", name, live, change->if_hash);
	bool same = rc == HYDRO_OK && strcmp(live, hd_script_hash(candidate)) == 0 && !a.entry->canary && !change->force;
	if (rc == HYDRO_OK && !same) {
		rc = hd_scripts_try(s, candidate, &a.samples, &a.diags, err);
		bool tried = rc == HYDRO_OK;
		if (tried && !a.entry && !(a.entry = hd_scripts_add(s, name)))
			rc = hd_error_set(err, HYDRO_E_LIMIT, "at most %u pipelines", HD_SCRIPTS_MAX);
		if (rc == HYDRO_OK) {
			plan_after(&a);
			rc = go_live(&a, err);
		}
		if (rc == HYDRO_OK) {
			settle(&a);
			(void)hd_script_ref(candidate);
		} else if (tried) {
			hd_lua_detach(s->builder, candidate);
		}
	}
	if (rc != HYDRO_OK)
		hd_scripts_event(s, HD_EVENT_ERROR, "pipeline_refused", "%s stays at %s: %s", name, *live ? live : "nothing", err->text);
	answer(&a, name, rc, err, ret_json);
	hd_script_unref(&candidate);
	return rc;
}

static const struct hd_scripts_change no_change = {0};

/* A refusal before there is a candidate. */
static int refuse(const char *name, int rc, const struct hydro_error *err, struct hd_buf *ret_json)
{
	struct attempt a = {.result = "refused"};
	if (rc == HYDRO_E_CONFIG) /* other refusals are about no place in a script */
		hd_scripts_diag(&a.diags, NULL, NULL, err);
	answer(&a, name, rc, err, ret_json);
	return rc;
}

static int reload_one(struct hd_scripts *s, const char *name, const struct hd_scripts_change *change, struct hd_buf *ret_json,
		      struct hydro_error *err)
{
	struct hd_script *script = NULL;
	int rc = hd_scripts_load_file(s, name, &script, err);
	if (rc != HYDRO_OK)
		return refuse(name, rc, err, ret_json);
	struct hd_scripts_entry *entry = hd_scripts_find(s, name);
	if (entry)
		(void)snprintf(entry->file_hash, sizeof entry->file_hash, "%s", hd_script_hash(script));
	return change_script(s, name, script, change, false, ret_json, err);
}

/* Whether the file says something that has not been tried yet. */
static bool has_changed(struct hd_scripts *s, const char *name)
{
	struct hd_script *script = NULL;
	const struct hd_scripts_entry *entry = hd_scripts_find(s, name);
	bool changed = !entry;
	if (hd_scripts_load_file(s, name, &script, NULL) == HYDRO_OK && entry)
		changed = strcmp(entry->file_hash, hd_script_hash(script)) != 0;
	hd_script_unref(&script);
	return changed;
}

/* Calls fn for each "<name>.lua" of the folder, in order of names. */
static int each_file(struct hd_scripts *s, int (*fn)(struct hd_scripts *s, const char *name, void *arg), void *arg, struct hydro_error *err)
{
	struct dirent **files = NULL;
	int count = scandir(s->dir, &files, NULL, alphasort);
	if (count < 0)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "%s: no folder of pipelines", s->dir);
	int rc = HYDRO_OK;
	for (int i = 0; i < count; i++) {
		char *name = files[i]->d_name;
		size_t len = strlen(name);
		if (rc == HYDRO_OK && len > 4 && strcmp(name + len - 4, ".lua") == 0) {
			name[len - 4] = '\0';
			rc = fn(s, name, arg);
		}
		free(files[i]);
	}
	free(files);
	return rc;
}

struct reload_all {
	const struct hd_scripts_change *change;
	struct hd_buf *json;
	struct hydro_error *err;
	int rc;
	bool any;
};

static int reload_if_changed(struct hd_scripts *s, const char *name, void *arg)
{
	struct reload_all *all = arg;
	if (!has_changed(s, name))
		return HYDRO_OK;
	if (all->any)
		hd_buf_add_char(all->json, ',');
	all->any = true;
	struct hydro_error err = {0};
	int rc = reload_one(s, name, all->change, all->json, &err);
	if (rc != HYDRO_OK && all->rc == HYDRO_OK) {
		all->rc = rc;
		if (all->err)
			*all->err = err;
	}
	return HYDRO_OK; /* one that is wrong keeps none of the others back */
}

int hd_scripts_reload(struct hd_scripts *s, const char *name, const struct hd_scripts_change *change, struct hd_buf *ret_json,
		      struct hydro_error *err)
{
	change = change ? change : &no_change;
	(void)pthread_mutex_lock(&s->lock);
	int rc;
	if (name) {
		rc = reload_one(s, name, change, ret_json, err);
	} else {
		struct reload_all all = {.change = change, .json = ret_json, .err = err};
		hd_buf_add_char(ret_json, '[');
		rc = each_file(s, reload_if_changed, &all, err);
		hd_buf_add_char(ret_json, ']');
		rc = rc == HYDRO_OK ? all.rc : rc;
	}
	(void)pthread_mutex_unlock(&s->lock);
	return rc;
}

int hd_scripts_put(struct hd_scripts *s, const char *name, const char *text, size_t len, const struct hd_scripts_change *change,
		   struct hd_buf *ret_json, struct hydro_error *err)
{
	struct hd_script *script = NULL;
	(void)pthread_mutex_lock(&s->lock);
	int rc = s->config.edit == HD_SCRIPTS_EDIT_WRITE
			 ? hd_scripts_load_text(s, name, text, len, &script, err)
			 : hd_error_set(err, HYDRO_E_DENIED, "pipelines come from %s and are changed there", s->dir);
	if (rc == HYDRO_OK)
		rc = change_script(s, name, script, change ? change : &no_change, true, ret_json, err);
	else
		rc = refuse(name, rc, err, ret_json);
	(void)pthread_mutex_unlock(&s->lock);
	return rc;
}

/* The text of that version; of what runs beside a canary, which so ends; else of the version before the present. */
static int version_before(struct hd_scripts *s, const struct hd_scripts_entry *entry, uint32_t version, struct hd_buf *ret_text, struct hydro_error *err)
{
	if (!version && entry->canary) {
		bool ok = hd_buf_add(ret_text, hd_script_text(entry->live), hd_script_len(entry->live));
		return ok ? HYDRO_OK : hd_error_set(err, HYDRO_E_NOMEM, "no memory for the text of '%s'", entry->name);
	}
	if (!version && !s->config.state_dir)
		return hd_error_set(err, HYDRO_E_UNSUPPORTED, "versions are not kept here: there is none to go back to");
	if (!version && entry->version < 2)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "pipeline '%s' has no version before the present one: there is nothing to go back to", entry->name);
	return hd_scripts_version_read(s, entry->name, version ? version : entry->version - 1, ret_text, err);
}

int hd_scripts_rollback(struct hd_scripts *s, const char *name, uint32_t version, const struct hd_scripts_change *change, struct hd_buf *ret_json,
			struct hydro_error *err)
{
	struct hd_script *script = NULL;
	struct hd_buf text = {0};
	(void)pthread_mutex_lock(&s->lock);
	struct hd_scripts_entry *entry = hd_scripts_find(s, name);
	int rc = entry ? HYDRO_OK : hd_error_set(err, HYDRO_E_NOTFOUND, "there is no pipeline '%s'", name);
	if (rc == HYDRO_OK)
		rc = version_before(s, entry, version, &text, err);
	if (rc == HYDRO_OK)
		rc = hd_scripts_load_text(s, name, text.data ? text.data : "", text.len, &script, err);
	if (rc == HYDRO_OK)
		rc = change_script(s, name, script, change ? change : &no_change, s->config.edit == HD_SCRIPTS_EDIT_WRITE, ret_json, err);
	else
		rc = refuse(name, rc, err, ret_json);
	(void)pthread_mutex_unlock(&s->lock);
	hd_buf_done(&text);
	return rc;
}

static int load_first(struct hd_scripts *s, const char *name, void *arg)
{
	(void)arg;
	struct hd_script *script = NULL;
	struct hydro_error err = {0};
	struct hd_scripts_diags diags = {.count = 0};
	uint32_t samples;
	struct hd_scripts_entry *entry = hd_scripts_add(s, name);
	if (!entry) {
		hd_scripts_event(s, HD_EVENT_ERROR, "pipeline_refused", "%s: at most %u pipelines", name, HD_SCRIPTS_MAX);
		return HYDRO_OK;
	}
	int rc = hd_scripts_load_file(s, name, &script, &err);
	if (rc == HYDRO_OK) {
		(void)snprintf(entry->file_hash, sizeof entry->file_hash, "%s", hd_script_hash(script));
		rc = hd_scripts_try(s, script, &samples, &diags, &err);
	}
	if (rc == HYDRO_OK) {
		entry->live = HD_STEAL(script);
		entry->sure_functions = hd_script_function_count(entry->live);
		rc = hd_scripts_version_keep(s, entry->live, "file", "as found at the start", &entry->version, &err);
	}
	hd_script_unref(&script);
	if (rc != HYDRO_OK)
		hd_scripts_event(s, HD_EVENT_ERROR, "pipeline_refused", "%s does not run: %s", name, err.text);
	return HYDRO_OK;
}

int hd_scripts_load_all(struct hd_scripts *s, struct hydro_error *err)
{
	return each_file(s, load_first, NULL, err);
}

int hd_scripts_check(struct hd_scripts *s, const char *name, const char *text, size_t len, struct hd_buf *ret_json, struct hydro_error *err)
{
	struct attempt a = {.s = s, .change = &no_change, .result = "valid"};
	struct hd_plans *plans = NULL;
	(void)pthread_mutex_lock(&s->lock);
	s->trial = true;
	int rc = text ? hd_scripts_load_text(s, name, text, len, &a.script, err) : hd_scripts_load_file(s, name, &a.script, err);
	if (rc != HYDRO_OK) {
		hd_scripts_diag(&a.diags, NULL, NULL, err);
	} else if ((rc = hd_scripts_try(s, a.script, &a.samples, &a.diags, err)) == HYDRO_OK) {
		struct hd_scripts_entry after = {.live = a.script, .share = 100};
		(void)snprintf(after.name, sizeof after.name, "%s", name);
		rc = hd_plans_new(&plans);
		if (rc == HYDRO_OK)
			rc = hd_scripts_build_all(s, &after, plans, &a.points, &a.diags, err);
		if (rc == HYDRO_OK && !a.points && !a.samples)
			rc = hd_scripts_build_bare(s, a.script, &a.diags, err);
		hd_plans_free(&plans);
		hd_lua_detach(s->builder, a.script);
	}
	s->trial = false;
	answer(&a, name, rc, err, ret_json);
	hd_script_unref(&a.script);
	(void)pthread_mutex_unlock(&s->lock);
	return rc;
}

int hd_scripts_with_spec(struct hd_scripts *s, const char *name, const char *text, size_t len, const struct hd_point *point,
			 int (*use)(void *arg, const struct hd_spec *spec, struct hd_script *script), void *arg, struct hydro_error *err)
{
	struct hd_script *script = NULL;
	struct hd_diag diag = {0};
	(void)pthread_mutex_lock(&s->lock);
	const struct hd_scripts_entry *entry = hd_scripts_find(s, name);
	int rc = HYDRO_OK;
	if (text)
		rc = hd_scripts_load_text(s, name, text, len, &script, err);
	else if (entry && entry->live)
		script = hd_script_ref(entry->live);
	else
		rc = hd_error_set(err, HYDRO_E_NOTFOUND, "there is no pipeline '%s' that runs", name);
	if (rc == HYDRO_OK)
		rc = hd_lua_attach(s->builder, script, &diag, err);
	if (rc == HYDRO_OK) {
		rc = hd_script_build(s->builder, script, point, &s->spec, &diag, err);
		if (rc == HYDRO_OK)
			rc = use(arg, &s->spec, script);
		if (text)
			hd_scripts_detach(s, script, NULL); /* a dry run attached it to the point's worker */
		hd_lua_detach(s->builder, script);
	}
	hd_script_unref(&script);
	(void)pthread_mutex_unlock(&s->lock);
	return rc;
}
