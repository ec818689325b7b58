/* SPDX-License-Identifier: MIT */
/*
 * The scripts of a running system: loaded from a folder, checked, built into plans for all their points before any of them
 * switches, reloaded by file watch, command or REST, kept in versions. A failure leaves what ran before, and says file,
 * line, column and why.
 */
#ifndef HD_PIPELINE_SCRIPTS_H
#define HD_PIPELINE_SCRIPTS_H

#include "base/buf.h"
#include "base/error.h"

#include <hydro/abi.h>
#include <stdbool.h>

#define HD_SCRIPTS_MAX 256u
#define HD_SCRIPT_VERSIONS_MAX 100u /* kept of one pipeline; older ones are removed */

struct hd_detectors;
struct hd_lua_fault;
struct hd_mview;
struct hd_names;
struct hd_pipeline;
struct hd_point;
struct hd_points;
struct hd_script;
struct hd_scripts;
struct hd_spec;

/* Edits over REST: refused where the folder comes from version control, else written into it. Never two truths. */
#define HD_SCRIPTS_EDIT_REFUSE 0u
#define HD_SCRIPTS_EDIT_WRITE 1u

struct hd_scripts_config {
	const char *dir;       /* <name>.lua; libraries for use() in its "lib", or in "../lib" */
	const char *state_dir; /* where versions are kept; NULL = not kept */
	struct hd_names *names;
	struct hd_points *points; /* watched from now on */
	uint32_t workers;      /* as the pipeline's */
	uint32_t step_cpu_us;  /* budget of a Lua step; 0 = 2,000 */
	uint32_t edit;         /* HD_SCRIPTS_EDIT_* */
	bool watch;            /* reload when a file changes */
	const char *const *sinks; /* what `to` may name; NULL = anything */
	uint32_t sink_count;
	const struct hd_detectors *detectors; /* what `detect` may name; NULL = nothing */
	/* level as HD_EVENT_* of pipeline.h. NULL = nobody listens. [control, scripts' own thread] */
	void (*event)(void *arg, uint32_t level, const char *event, const char *text);
	void *event_arg;
};

/*
 * Loads the scripts of the folder and makes a Lua state per worker. A script that is wrong is told as an event and left
 * out; its points stay unprocessed until it is corrected. HYDRO_E_NOTFOUND without the folder, HYDRO_E_NOMEM. [control]
 */
int hd_scripts_open(const struct hd_scripts_config *config, struct hd_scripts **ret, struct hydro_error *err);
/* Builds the plans of all points, gives them to the pipeline, then follows files and points. A point whose plan cannot be
 * built is told as an event and gets none. [control] */
int hd_scripts_start(struct hd_scripts *scripts, struct hd_pipeline *pipeline, struct hydro_error *err);
/* No more following. Before the pipeline is closed. NULL is fine. [control] */
void hd_scripts_stop(struct hd_scripts *scripts);
/* After the pipeline is closed. NULL is fine. [control] */
void hd_scripts_close(struct hd_scripts **scripts);

/* For hd_pipeline_config.call_lua; arg is the scripts. [worker] */
int hd_scripts_call_lua(void *arg, uint32_t worker, struct hd_script *script, uint32_t function, const struct hd_mview *view, double *slots,
			const struct hd_point *point, struct hd_lua_fault *fault);

/*
 * The functions below give JSON also when they fail, then with "result":"refused" and "diagnostics":[{"file","line",
 * "column","message","hint"}]. One at a time: others wait. [control, http]
 */

/*
 * Syntax, steps and options, the script's own samples (or, without any and without points, a bare point), its selftest, and a build of every point that
 * has the pipeline now; nothing goes live. {"pipeline","result":"valid","hash","samples","points"}. text NULL: the file.
 * HYDRO_E_CONFIG when it is wrong.
 */
int hd_scripts_check(struct hd_scripts *scripts, const char *name, const char *text, size_t len, struct hd_buf *ret_json, struct hydro_error *err);

struct hd_scripts_change {
	const char *author; /* NULL = "file" */
	const char *reason; /* NULL = "" */
	const char *if_hash; /* the live script's hash must be this; NULL = whatever it is. Else HYDRO_E_STALE */
	uint32_t share;     /* percent of the points that get it, a canary; 0 or 100 = all */
	bool force;         /* also when the text is what runs */
};

/*
 * Takes the pipeline's file as it is now. {"pipeline","result":"live"|"canary"|"unchanged","generation","hash","version",
 * "points","in","out","lost","worst_pause_ms","worst_pause_cpu_ms","states_kept","states_reset","reset":[step],"build_ms","written"}. HYDRO_E_NOTFOUND, HYDRO_E_CONFIG,
 * HYDRO_E_STALE. name NULL: all whose file has changed, and the answer is a list.
 */
int hd_scripts_reload(struct hd_scripts *scripts, const char *name, const struct hd_scripts_change *change, struct hd_buf *ret_json,
		      struct hydro_error *err);
/* As reload with a new text, which is written to the folder once it has been built; HYDRO_E_DENIED when edits are refused. */
int hd_scripts_put(struct hd_scripts *scripts, const char *name, const char *text, size_t len, const struct hd_scripts_change *change,
		   struct hd_buf *ret_json, struct hydro_error *err);
/* As put with the text of a kept version; 0 = what runs beside a canary, which so ends, else the one before the present.
 * HYDRO_E_NOTFOUND, HYDRO_E_UNSUPPORTED where versions are not kept. Where edits are refused it runs
 * without being written, until the next reload, and says so ("written":false). */
int hd_scripts_rollback(struct hd_scripts *scripts, const char *name, uint32_t version, const struct hd_scripts_change *change,
			struct hd_buf *ret_json, struct hydro_error *err);

/* The name of a pipeline nearest to one that is none, copied; false when none is near. [any] */
bool hd_scripts_nearest(struct hd_scripts *scripts, const char *name, char ret[64]);
/* [{"name","file","hash","generation","folder":"same"|"differs"|"missing","live","version","points","canary"}]; `folder`: whether the
 * file says what runs, or beside a canary what either of them is. */
int hd_scripts_list(struct hd_scripts *scripts, struct hd_buf *ret_json, struct hydro_error *err);
/* [{"version","hash","author","reason","at"}], newest first. HYDRO_E_NOTFOUND. */
int hd_scripts_versions(struct hd_scripts *scripts, const char *name, struct hd_buf *ret_json, struct hydro_error *err);
/* Text and hash of the live script (version 0) or of a kept version. HYDRO_E_NOTFOUND. */
int hd_scripts_text(struct hd_scripts *scripts, const char *name, uint32_t version, struct hd_buf *ret_text, char ret_hash[17],
		    struct hydro_error *err);
/* {"name","hash","generation","version","source"} of the live script (version 0) or of a kept version. HYDRO_E_NOTFOUND. */
int hd_scripts_show(struct hd_scripts *scripts, const char *name, uint32_t version, struct hd_buf *ret_json, char ret_hash[17],
		    struct hydro_error *err);
/*
 * Builds a candidate (text NULL: the live script) for a point, for hd_pipeline_dry_run: `use(arg, spec, script)` is called
 * while both live. HYDRO_E_CONFIG, HYDRO_E_NOTFOUND; otherwise what `use` returned.
 */
int hd_scripts_with_spec(struct hd_scripts *scripts, const char *name, const char *text, size_t len, const struct hd_point *point,
			 int (*use)(void *arg, const struct hd_spec *spec, struct hd_script *script), void *arg, struct hydro_error *err);
/*
 * Raw values through a candidate (text NULL: the live script) from the point's present state, step by step; JSON as
 * hd_pipeline_dry_run gives. Nothing is stored. HYDRO_E_CONFIG with "diagnostics", HYDRO_E_NOTFOUND. [control, http]
 */
int hd_scripts_dry_run(struct hd_scripts *scripts, const char *name, const char *text, size_t len, uint32_t point, const hydro_raw *raws, uint32_t count,
		       struct hd_buf *ret_json, struct hydro_error *err);
/*
 * The readings of from_ms <= ts < to_ms of a point through a candidate (text NULL: the live script), from the raw values kept
 * and after a run-up, beside what is stored: {"point","candidate","from","to","changes":[{"ts","values":{metric:{"was",
 * "would","quality_was","quality_would"}},"flags_added":[{"flag","metric"}],"flags_removed":[]}],"more","summary":{"readings",
 * "changed","flags_added","flags_removed","unprocessed","faults","metrics":{metric:{"changed","largest":{"difference","was",
 * "would","ts"}}}}}; at most 500 changes are told one by one. Stores nothing, takes no worker's time but for a copy of the
 * point's state. HYDRO_E_CONFIG with "diagnostics", HYDRO_E_NOTFOUND, HYDRO_E_LIMIT for more than 50,000 records with the
 * run-up, HYDRO_E_UNSUPPORTED without history.
 */
int hd_scripts_replay(struct hd_scripts *scripts, const char *name, const char *text, size_t len, uint32_t point, int64_t from_ms, int64_t to_ms,
		      struct hd_buf *ret_json, struct hydro_error *err);

/*
 * The readings of from_ms <= ts < to_ms of all the pipeline's points once more through the live script, as hd_pipeline_reprocess
 * does for one: slice by slice on a thread of its own, which leaves the workers as much time as it takes. Answers at once:
 * {"pipeline","generation","state":"running"|"done"|"cancelled"|"ended","from","to","points","points_done","points_failed",
 * "readings","revisions","unprocessed","at","started","ended","error"}; "error" is the first point's that failed. A change of
 * the script while it lasts ends it. HYDRO_E_CONFLICT while one runs, HYDRO_E_NOTFOUND, HYDRO_E_UNSUPPORTED. [control, http]
 */
int hd_scripts_reprocess(struct hd_scripts *scripts, const char *name, int64_t from_ms, int64_t to_ms, struct hd_buf *ret_json, struct hydro_error *err);
/* How the last one is, if it is of that pipeline; HYDRO_E_NOTFOUND. [control, http] */
int hd_scripts_reprocess_state(struct hd_scripts *scripts, const char *name, struct hd_buf *ret_json, struct hydro_error *err);
/* Ends it after the slice under way; what was done stays. Answers at once. HYDRO_E_NOTFOUND. [control, http] */
int hd_scripts_reprocess_cancel(struct hd_scripts *scripts, const char *name, struct hd_buf *ret_json, struct hydro_error *err);

#define HD_SCRIPTS_EVAL_READINGS_MAX 500u

struct hd_scripts_eval {
	const char *code;      /* ended by NUL too: an expression, statements, or steps as build returns them */
	size_t code_len;
	const char *prelude;   /* stands before it at the script's top level: locals, functions, use(); NULL = none */
	int64_t from_ms, to_ms; /* 0: as far back as it takes, up to the newest */
	uint32_t limit;        /* the newest of the window, 1 … HD_SCRIPTS_EVAL_READINGS_MAX */
};
/*
 * Runs `code` over recent measurements of a point: metrics are those that the pipeline made, and the raw ones beside them. In
 * an expression or in statements a metric may be named without `m.`, and the state slots a, b, c, n, last and sum are there;
 * steps get 100 readings before the first as run-up. {"point","kind":"expression"|"statements"|"steps","readings":[{"ts",
 * "value","sets":{metric:value},"flags":[{"flag","metric"}],"fault"}],"faults","stopped"}: `stopped` after three overruns of
 * the budget. Touches nothing and takes no worker's time. HYDRO_E_CONFIG with "diagnostics" whose "file" is "line" or
 * "prelude", HYDRO_E_NOTFOUND, HYDRO_E_LIMIT for more than 50,000 records, HYDRO_E_UNSUPPORTED without history. [control, http]
 */
int hd_scripts_eval(struct hd_scripts *scripts, uint32_t point, const struct hd_scripts_eval *what, struct hd_buf *ret_json, struct hydro_error *err);

#endif
