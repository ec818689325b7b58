/* SPDX-License-Identifier: MIT */
#include "world.h"

#include "plugin/crashes.h"

#include <signal.h>
#include <sys/wait.h>

/* Runs the crasher on the world's folder; its exit status, or minus the signal that ended it. What it printed goes to w->log. */
static int run(struct world *w, const char *instance, const char *plugin, const char *body, unsigned hang_ms)
{
	char command[1024];
	(void)snprintf(command, sizeof command, "ASAN_OPTIONS=handle_segv=0:handle_abort=0:detect_leaks=0 TSAN_OPTIONS=handle_segv=0:handle_abort=0 exec %s %s %s %s %s %s %u 2>/dev/null", HD_CRASHER,
		       HD_RUNNER, w->dir, instance, plugin, body, hang_ms);
	FILE *out = popen(command, "r");
	cr_assert_not_null(out);
	w->log[0] = '\0';
	w->log[fread(w->log, 1, sizeof w->log - 1, out)] = '\0';
	int status = pclose(out);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static struct hd_crumb_where last_crash(struct world *w)
{
	struct hd_crumb_where where[4];
	size_t count = 0;
	cr_assert_eq(hd_crumbs_read(w->crumbs, where, 4, &count, &w->err), HYDRO_OK);
	cr_assert_eq(count, 1);
	return where[0];
}

Test(crumb, a_crash_inside_a_plugin_names_instance_version_and_point)
{
	struct world w;
	world_init(&w);
	world_add(&w, "crash_parse", "c");
	cr_assert_eq(run(&w, "culprit", "crash_parse", "12", 0), 0, "%s", w.log);
	size_t count = 9;
	struct hd_crumb_where where[4];
	cr_assert_eq(hd_crumbs_read(w.crumbs, where, 4, &count, &w.err), HYDRO_OK);
	cr_assert_eq(count, 0, "an orderly end blames nobody");
	cr_assert_lt(run(&w, "culprit", "crash_parse", "CRASH", 0), 0, "%s", w.log);
	struct hd_crumb_where crash = last_crash(&w);
	cr_assert_str_eq(crash.instance, "culprit");
	cr_assert_str_eq(crash.plugin, "crash_parse");
	cr_assert_str_eq(crash.version, "1.0.0");
	cr_assert_eq(crash.fatal, SIGSEGV);
	cr_assert_eq(crash.point[0], 0xaa);
	cr_assert_eq(crash.point[15], 0xbb);
	world_done(&w);
}

Test(crumb, the_start_after_a_crash_runs_the_culprit_isolated_and_the_daemon_survives_the_same_answer)
{
	struct world w;
	world_init(&w);
	world_add(&w, "crash_parse", "c");
	cr_assert_lt(run(&w, "culprit", "crash_parse", "CRASH", 0), 0, "%s", w.log);
	cr_assert_eq(run(&w, "culprit", "crash_parse", "CRASH", 0), 1, "%s", w.log);
	cr_assert(strstr(w.log, "the last run ended by SIGSEGV inside instance 'culprit' (plugin crash_parse 1.0.0): crash 1"), "%s", w.log);
	cr_assert(strstr(w.log, "it runs isolated from now on"), "%s", w.log);
	cr_assert(strstr(w.log, "failed: isolated plugin crash_parse 1.0.0"), "%s", w.log);
	cr_assert_eq(run(&w, "culprit", "crash_parse", "12", 0), 0, "%s", w.log);
	world_done(&w);
}

Test(crumb, a_kill_blames_nobody)
{
	struct world w;
	world_init(&w);
	world_add(&w, "good", "good");
	cr_assert_eq(run(&w, "innocent", "good", "KILL", 0), -SIGKILL, "%s", w.log);
	cr_assert_eq(run(&w, "innocent", "good", "1", 0), 0, "%s", w.log);
	cr_assert_null(strstr(w.log, "crash"));
	world_done(&w);
}

Test(crumb, a_crash_in_create_is_marked_too)
{
	struct world w;
	world_init(&w);
	world_add(&w, "crash_create", "c");
	cr_assert_lt(run(&w, "culprit", "crash_create", "1", 0), 0, "%s", w.log);
	cr_assert_str_eq(last_crash(&w).instance, "culprit");
	world_done(&w);
}

Test(crumb, a_hang_past_the_deadline_aborts_on_purpose_and_is_marked)
{
	struct world w;
	world_init(&w);
	world_add(&w, "hang_parse", "h");
	cr_assert_eq(run(&w, "sleeper", "hang_parse", "HANG", 100), -SIGABRT, "%s", w.log);
	cr_assert(strstr(w.log, "instance 'sleeper' (plugin hang_parse 1.0.0) has not returned for 100 ms"), "%s", w.log);
	cr_assert_eq(last_crash(&w).fatal, HD_CRUMB_HANG);
	world_done(&w);
}

Test(crumb, counts_of_crashes_last_and_begin_again_with_another_file)
{
	struct world w;
	struct hd_crashes *crashes = NULL;
	char path[128];
	world_init(&w);
	(void)snprintf(path, sizeof path, "%s/counts", w.dir);
	struct hd_crumb_where where = {.instance = "i", .plugin = "p", .version = "1", .hash = "aa", .fatal = SIGBUS};
	cr_assert_eq(hd_crashes_open(path, &crashes, &w.err), HYDRO_OK);
	cr_assert_eq(hd_crashes_add(crashes, &where, &w.err), HYDRO_OK);
	cr_assert_eq(hd_crashes_add(crashes, &where, &w.err), HYDRO_OK);
	hd_crashes_close(&crashes);
	world_write(&w, "counts", "i p aa 2 7\nnot a row\n", 21);
	cr_assert_eq(hd_crashes_open(path, &crashes, &w.err), HYDRO_OK);
	cr_assert_eq(hd_crashes_find(crashes, "i")->count, 2);
	cr_assert_null(hd_crashes_find(crashes, "not"));
	(void)snprintf(where.hash, sizeof where.hash, "bb");
	cr_assert_eq(hd_crashes_add(crashes, &where, &w.err), HYDRO_OK);
	cr_assert_eq(hd_crashes_find(crashes, "i")->count, 1);
	cr_assert_eq(hd_crashes_forget(crashes, "i", &w.err), HYDRO_OK);
	cr_assert_eq(hd_crashes_forget(crashes, "i", &w.err), HYDRO_E_NOTFOUND);
	hd_crashes_close(&crashes);
	cr_assert_eq(hd_crashes_open(path, &crashes, &w.err), HYDRO_OK);
	cr_assert_null(hd_crashes_find(crashes, "i"));
	hd_crashes_close(&crashes);
	world_done(&w);
}

Test(crumb, a_file_of_another_build_or_a_cut_one_says_nothing)
{
	struct world w;
	size_t count = 9;
	struct hd_crumb_where where;
	world_init(&w);
	cr_assert_eq(hd_crumbs_read(w.crumbs, &where, 1, &count, &w.err), HYDRO_OK);
	cr_assert_eq(count, 0);
	world_write(&w, "crumbs", "HDCRUMB1", 8);
	cr_assert_eq(hd_crumbs_read(w.crumbs, &where, 1, &count, &w.err), HYDRO_OK);
	cr_assert_eq(count, 0);
	world_done(&w);
}
