/* SPDX-License-Identifier: MIT */
/* Candidates on trial, and one reading through one, step by step. */
#include "pipeline/scripts_inner.h"

int hd_scripts_candidate(struct hd_scripts *s, const char *name, const char *text, size_t len, struct hd_script **ret, struct hd_scripts_diags *diags,
			 struct hydro_error *err)
{
	const struct hd_scripts_entry *entry = hd_scripts_find(s, name);
	struct hd_script *script = NULL;
	struct hd_diag diag = {0};
	int rc = HYDRO_OK;
	if (text)
		rc = hd_scripts_load_text(s, name, text, len, &script, err);
	else if (entry && entry->live)
		script = hd_script_ref(entry->live);
	else
		return hd_error_set(err, HYDRO_E_NOTFOUND, "there is no pipeline '%s' that runs", name);
	if (rc == HYDRO_OK)
		rc = hd_lua_attach(s->builder, script, &diag, err);
	if (rc != HYDRO_OK) {
		hd_scripts_diag(diags, script, &diag, err);
		hd_script_unref(&script);
		return rc;
	}
	*ret = script;
	return HYDRO_OK;
}

void hd_scripts_candidate_done(struct hd_scripts *s, struct hd_script **script)
{
	if (*script)
		hd_lua_detach(s->builder, *script);
	hd_script_unref(script);
}

void hd_scripts_refused(const struct hd_scripts_diags *diags, struct hd_buf *ret_json)
{
	hd_buf_clear(ret_json);
	hd_buf_add_text(ret_json, "{\"result\":\"refused\",\"diagnostics\":");
	hd_scripts_diags_json(diags, ret_json);
	hd_buf_add_char(ret_json, '}');
}

static int run(struct hd_scripts *s, struct hd_script *script, const struct hd_point *point, const hydro_raw *raws, uint32_t count,
	       struct hd_scripts_diags *diags, struct hd_buf *ret_json, struct hydro_error *err)
{
	struct hd_plan *plan = NULL;
	s->trial = true;
	int rc = hd_scripts_build(s, script, point, &plan, diags, err); /* for its diagnostics; what it was made of is in s->spec */
	s->trial = false;
	hd_plan_free(&plan);
	if (rc != HYDRO_OK)
		return rc;
	bool was = hd_scripts_is_live(s, script);
	rc = hd_pipeline_dry_run(s->pipeline, point->index, raws, count, &s->spec, script, ret_json, err);
	if (!was)
		hd_scripts_detach(s, script, NULL); /* its Lua steps ran on the point's worker */
	return rc;
}

int hd_scripts_dry_run(struct hd_scripts *s, const char *name, const char *text, size_t len, uint32_t point, const hydro_raw *raws, uint32_t count,
		       struct hd_buf *ret_json, struct hydro_error *err)
{
	struct hd_scripts_diags diags = {.count = 0};
	struct hd_script *script = NULL;
	const struct hd_point *config = hd_points_get(s->config.points, point);
	if (!config)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "there is no point number %u", point);
	(void)pthread_mutex_lock(&s->lock);
	int rc = s->pipeline ? hd_scripts_candidate(s, name, text, len, &script, &diags, err) : hd_error_set(err, HYDRO_E_CONFLICT, "nothing runs yet");
	if (rc == HYDRO_OK)
		rc = run(s, script, config, raws, count, &diags, ret_json, err);
	hd_scripts_candidate_done(s, &script);
	(void)pthread_mutex_unlock(&s->lock);
	hd_point_unref(config);
	if (rc != HYDRO_OK && diags.count)
		hd_scripts_refused(&diags, ret_json);
	return rc;
}
