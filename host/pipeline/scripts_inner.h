/* SPDX-License-Identifier: MIT */
/* Private to scripts*.c. */
#ifndef HD_PIPELINE_SCRIPTS_INNER_H
#define HD_PIPELINE_SCRIPTS_INNER_H

#include "lua/lua.h"
#include "model/names.h"
#include "model/points.h"
#include "pipeline/pipeline.h"
#include "pipeline/plan.h"
#include "pipeline/scripts.h"

#include <pthread.h>

#define HD_SCRIPTS_PATH_BYTES 4096u
#define HD_SCRIPTS_DIAGS_MAX 8u

/* A pipeline by name. */
struct hd_scripts_entry {
	char name[HD_SCRIPT_NAME_BYTES_MAX];
	struct hd_script *live;   /* NULL: none was right yet */
	struct hd_script *canary; /* runs on `share` percent of the points; NULL = none */
	uint32_t share;
	uint32_t version;         /* of the live one; 0 = not kept */
	uint32_t sure_functions;  /* Lua steps met in the samples: they have the same numbers at every start */
	char file_hash[HD_SCRIPT_HASH_TEXT]; /* of the text last tried from the folder, so that a wrong one is told once */
};

struct hd_scripts_job;

struct hd_scripts {
	struct hd_scripts_config config;
	char dir[HD_SCRIPTS_PATH_BYTES], lib_dir[HD_SCRIPTS_PATH_BYTES], state_dir[HD_SCRIPTS_PATH_BYTES];
	struct hd_watchdog *watchdog;
	struct hd_shapes *shapes;     /* of what is tried before the start; then the pipeline's own are used */
	struct hd_pipeline *pipeline; /* NULL before the start */
	struct hd_lua *workers[HD_WORKERS_MAX]; /* each the worker's own once it runs */
	uint32_t worker_count;
	pthread_mutex_t lock; /* guards: entries, entry_count, builder, tester, spec, trial; one change at a time */
	struct hd_scripts_entry entries[HD_SCRIPTS_MAX];
	uint32_t entry_count;
	struct hd_lua *builder; /* has all live scripts: builds plans */
	struct hd_lua *tester;  /* runs selftests; their steps run in `builder` */
	struct hd_spec spec;
	bool trial;           /* what the builder builds may never live: it makes no names that are kept for ever */
	struct hd_scripts_job *job; /* a past window run again */

	pthread_t thread; /* follows files and points */
	bool started;
	int wake_fd, watch_fd;
	pthread_mutex_t changed_lock; /* guards: changed, changed_count, changed_capacity, following, stopping */
	uint32_t *changed; /* points whose configuration changed */
	uint32_t changed_count, changed_capacity;
	bool following, stopping;
};

/* What is wrong, gathered while a change is tried. */
struct hd_scripts_diags {
	struct hd_diag diags[HD_SCRIPTS_DIAGS_MAX];
	uint32_t count;
	uint32_t more; /* not kept */
};

void hd_scripts_event(struct hd_scripts *s, uint32_t level, const char *event, const char *fmt, ...) HD_PRINTF(4, 5);
/* With the lock held: */
struct hd_scripts_entry *hd_scripts_find(struct hd_scripts *s, const char *name);
struct hd_scripts_entry *hd_scripts_add(struct hd_scripts *s, const char *name);
/* Whether points run it, or may from one moment to the next. */
bool hd_scripts_is_live(const struct hd_scripts *s, const struct hd_script *script);
/* Which script a point of the entry runs. */
struct hd_script *hd_scripts_of_point(const struct hd_scripts_entry *entry, uint32_t point);

/* scripts_check.c */
void hd_scripts_diag(struct hd_scripts_diags *diags, const struct hd_script *script, const struct hd_diag *diag, const struct hydro_error *err);
void hd_scripts_diags_json(const struct hd_scripts_diags *diags, struct hd_buf *ret_json);
/* Builds and compiles for a point. The script is attached to the builder. */
int hd_scripts_build(struct hd_scripts *s, struct hd_script *script, const struct hd_point *point, struct hd_plan **ret,
		     struct hd_scripts_diags *diags, struct hydro_error *err);
/* The same in another state that the script is attached to. [the thread that owns state and spec] */
int hd_scripts_build_in(struct hd_scripts *s, struct hd_lua *lua, struct hd_spec *spec, struct hd_script *script, const struct hd_point *point,
			struct hd_plan **ret, struct hd_scripts_diags *diags, struct hydro_error *err);
/* Builds a point without params: of a script that has no samples and no points yet, so that it is built at all. */
int hd_scripts_build_bare(struct hd_scripts *s, struct hd_script *script, struct hd_scripts_diags *diags, struct hydro_error *err);
/* Attaches to the builder, builds the samples, runs the selftest; on failure nothing stays attached. */
int hd_scripts_try(struct hd_scripts *s, struct hd_script *script, uint32_t *ret_samples, struct hd_scripts_diags *diags, struct hydro_error *err);

/* scripts_dry.c; lock held */
/* The text, or without one what runs, attached to the builder. HYDRO_E_NOTFOUND, HYDRO_E_CONFIG … with diagnostics. */
int hd_scripts_candidate(struct hd_scripts *s, const char *name, const char *text, size_t len, struct hd_script **ret, struct hd_scripts_diags *diags,
			 struct hydro_error *err);
void hd_scripts_candidate_done(struct hd_scripts *s, struct hd_script **script);
/* {"result":"refused","diagnostics":[…]} in place of what is there. */
void hd_scripts_refused(const struct hd_scripts_diags *diags, struct hd_buf *ret_json);

/* As hd_scripts_call_lua, in the builder's state: for what is tried. */
int hd_scripts_call_builder(void *arg, uint32_t worker, struct hd_script *script, uint32_t function, const struct hd_mview *view, double *slots,
			    const struct hd_point *point, struct hd_lua_fault *fault);

/* scripts_plans.c; lock held */
/* A plan for every point of the entry's pipeline. */
int hd_scripts_build_all(struct hd_scripts *s, const struct hd_scripts_entry *entry, struct hd_plans *plans, uint32_t *ret_points,
			 struct hd_scripts_diags *diags, struct hydro_error *err);
/* Makes sure that all workers have the script, or that none has it any more. *worst_ns (may be NULL) is raised to the longest
 * time that it took one of them. */
int hd_scripts_attach(struct hd_scripts *s, struct hd_script *script, int64_t *worst_ns, struct hydro_error *err);
void hd_scripts_detach(struct hd_scripts *s, struct hd_script *script, int64_t *worst_ns);
/* The plans of all points at the start. */
int hd_scripts_first_plans(struct hd_scripts *s, struct hydro_error *err);
/* Plans for points whose configuration changed. Takes the lock. */
void hd_scripts_follow_points(struct hd_scripts *s, const uint32_t *points, uint32_t count);

/* scripts_reload.c; lock held */
/* Each script of the folder, at the start; a wrong one is told and left out. */
int hd_scripts_load_all(struct hd_scripts *s, struct hydro_error *err);
/* A script from a text, with the libraries as they are in the folder now. */
int hd_scripts_load_text(struct hd_scripts *s, const char *name, const char *text, size_t len, struct hd_script **ret, struct hydro_error *err);

/* The same of the file as it is. */
int hd_scripts_load_file(struct hd_scripts *s, const char *name, struct hd_script **ret, struct hydro_error *err);

/* scripts_versions.c; lock held */
/* Keeps the text as the next version unless the newest has its hash; 0 when versions are not kept. */
int hd_scripts_version_keep(struct hd_scripts *s, const struct hd_script *script, const char *author, const char *reason, uint32_t *ret_version,
			    struct hydro_error *err);
int hd_scripts_version_read(struct hd_scripts *s, const char *name, uint32_t version, struct hd_buf *ret_text, struct hydro_error *err);
uint32_t hd_scripts_version_newest(struct hd_scripts *s, const char *name);
int hd_scripts_versions_json(struct hd_scripts *s, const char *name, struct hd_buf *ret_json, struct hydro_error *err);

/* scripts_reprocess.c */
int hd_scripts_job_new(struct hd_scripts *s, struct hydro_error *err);
/* Ends what is under way. */
void hd_scripts_job_stop(struct hd_scripts *s);
void hd_scripts_job_free(struct hd_scripts *s);

/* scripts_watch.c */
int hd_scripts_follow_start(struct hd_scripts *s, struct hydro_error *err);
void hd_scripts_follow_stop(struct hd_scripts *s);
void hd_scripts_point_changed(void *arg, const struct hd_point *old, const struct hd_point *now);

#endif
