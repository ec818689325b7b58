/* SPDX-License-Identifier: MIT */
/*
 * The pipeline at 1,000,000 points: memory, and the start from its state files with an empty tail: map, latest values,
 * plans from what is stored, state to each point. No journal: what is counted is the pipeline's own part of a start.
 *   bench_start [points]
 */
#include "bench.h"

#include "base/fs.h"
#include "pipeline/inner.h"

#include <string.h>
#include <unistd.h>

#define T0 INT64_C(1767225600000)
#define JOB_POINTS 4096u

struct place {
	char dir[128];
	uint32_t points;
	struct hd_names *names;
	struct hd_points *registry;
	struct hd_pipeline *pipeline;
	uint64_t lsn;
	pthread_mutex_t lock; /* guards: lsn, left */
	pthread_cond_t done;
	uint32_t left;
};

static int append(void *arg, struct hd_batch *batch, struct hydro_error *err)
{
	struct place *place = arg;
	(void)err;
	(void)pthread_mutex_lock(&place->lock);
	batch->first_lsn = place->lsn + 1;
	place->lsn += batch->count;
	(void)pthread_mutex_unlock(&place->lock);
	hd_pipeline_synced(place->pipeline, batch);
	return HYDRO_OK;
}

static int replay(void *arg, uint64_t from_lsn, hd_sample_row_fn row, void *row_arg, struct hydro_error *err)
{
	(void)arg, (void)from_lsn, (void)row, (void)row_arg, (void)err;
	return HYDRO_OK;
}

static void must(int rc, const struct hydro_error *err, const char *what)
{
	if (rc == HYDRO_OK)
		return;
	(void)fprintf(stderr, "bench_start: %s: %s\n", what, err ? err->text : "");
	exit(1);
}

static double rss_mib(void)
{
	char line[256];
	double kib = 0, part;
	FILE *file = fopen("/proc/self/status", "re");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "RssAnon: %lf", &part) == 1 || sscanf(line, "RssFile: %lf", &part) == 1)
			kib += part;
	if (file)
		(void)fclose(file);
	return kib / 1024;
}

static void step(struct hd_spec *spec, const char *kind, const char *first_key, const char *first, const char *keys, const double *numbers)
{
	struct hd_spec_arg *args = hd_spec_alloc(spec, 8 * sizeof *args);
	uint32_t n = 0;
	args[n++] = (struct hd_spec_arg){.key = first_key, .type = HD_ARG_TEXT, .count = 1, .text = first};
	while (*keys) {
		size_t len = strcspn(keys, " ");
		args[n++] = (struct hd_spec_arg){.key = hd_spec_text(spec, keys, len), .type = HD_ARG_NUMBER, .count = 1, .number = *numbers++};
		keys += len + (keys[len] == ' ');
	}
	struct hd_spec_step s = {.kind = kind, .id = "", .arg_count = n, .args = args};
	HD_ASSERT(hd_spec_add(spec, &s, NULL) == HYDRO_OK);
}

static struct hd_plan *compile(struct place *place, uint32_t point)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_spec spec = {.script = "well@1"};
	struct hd_plan *plan = NULL;
	step(&spec, "counter", "from", "pulses", "litres_per_pulse offset max_per_hour", (const double[]){100, point, 500});
	step(&spec, "rate", "from", "total", "", NULL);
	step(&spec, "depth", "from", "level", "sensor_depth", (const double[]){20.0 + point % 80});
	step(&spec, "range", "of", "flow", "min max tolerance", (const double[]){0, 100, 0.1});
	step(&spec, "range", "of", "level", "min max", (const double[]){0, 50});
	step(&spec, "frozen", "of", "total", "readings", (const double[]){4});
	must(hd_plan_compile(hd_pipeline_shapes(place->pipeline), &spec, 1, NULL, &plan, NULL, &err), &err, "compile");
	hd_spec_done(&spec);
	return plan;
}

static void open_pipeline(struct place *place)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_pipeline_config config = {.workers = 2, .names = place->names, .points = place->registry, .state_dir = place->dir, .append = append,
					    .append_arg = place, .replay = replay, .checkpoint_ms = 3600000};
	must(hd_pipeline_open(&config, &place->pipeline, &err), &err, "open");
}

static const char *well_takes_all(void *arg, const struct hd_shape *shape)
{
	(void)arg, (void)shape;
	return "well";
}

static int build(void *arg, uint32_t worker, const struct hd_point *point, struct hd_plan **ret)
{
	(void)worker;
	*ret = compile(arg, point->index);
	(*ret)->config_version = point->version;
	return HYDRO_OK;
}

/* Plans from what is stored where they are, else compiled. */
static uint32_t give_plans(struct place *place)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_plan *sample = compile(place, 0);
	uint32_t stored = 0;
	must(hd_pipeline_adopt(place->pipeline, well_takes_all, NULL, &stored, &err), &err, "adopt");
	must(hd_pipeline_build_rest(place->pipeline, build, place, &err), &err, "build");
	must(hd_pipeline_recover(place->pipeline, NULL, &err), &err, "recover");
	hd_plan_free(&sample);
	return stored;
}

struct job {
	struct place *place;
	uint32_t first;
};

static void feed_job(void *arg, struct hd_worker *w)
{
	struct job *job = arg;
	struct place *place = job->place;
	struct hydro_error err = {.struct_size = sizeof err};
	for (uint32_t i = job->first; i < place->points && i < job->first + JOB_POINTS; i++) {
		if (hd_pipeline_worker_of(place->pipeline, i) != hd_worker_index(w))
			continue;
		for (int k = 0; k < 2; k++) {
			hydro_raw raws[] = {{T0 + k * 60000, 1000.0 + i + k, HD_METRIC_PULSES, 0}, {T0 + k * 60000, 20, HD_METRIC_LEVEL, 0}};
			must(hd_pipeline_feed(w, i, raws, 2, &(struct hd_feed){.source = 1}, &err), &err, "feed");
		}
	}
	(void)pthread_mutex_lock(&place->lock);
	if (--place->left == 0)
		(void)pthread_cond_signal(&place->done);
	(void)pthread_mutex_unlock(&place->lock);
	free(job);
}

static void feed_all(struct place *place)
{
	place->left = (place->points + JOB_POINTS - 1) / JOB_POINTS * 2;
	for (uint32_t first = 0; first < place->points; first += JOB_POINTS)
		for (uint32_t worker = 0; worker < 2; worker++) {
			struct job *job = malloc(sizeof *job);
			*job = (struct job){place, first};
			HD_ASSERT(hd_pipeline_post_wait(place->pipeline, worker, feed_job, job));
		}
	(void)pthread_mutex_lock(&place->lock);
	while (place->left)
		(void)pthread_cond_wait(&place->done, &place->lock);
	(void)pthread_mutex_unlock(&place->lock);
}

static void print(const char *name, double value, const char *unit, double goal, uint64_t n)
{
	bench_print(&(struct bench_figure){.bench = "start", .name = name, .unit = unit, .value = value, .reference = NAN, .goal = goal, .lower_is_better = true, .n = n});
}

static double seconds_since(int64_t began)
{
	return (double)(hd_clock_real_ns() - began) / 1e9;
}

int main(int argc, char **argv)
{
	struct place place = {.points = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000u, .lock = PTHREAD_MUTEX_INITIALIZER,
			      .done = PTHREAD_COND_INITIALIZER};
	(void)snprintf(place.dir, sizeof place.dir, "%s/hydro-start-XXXXXX", getenv("HYDRO_BENCH_DIR") ? getenv("HYDRO_BENCH_DIR") : "/tmp");
	HD_ASSERT(mkdtemp(place.dir) != NULL && hd_points_new(&place.registry) == HYDRO_OK);
	must(hd_names_open(NULL, &place.names, NULL), NULL, "names");
	for (uint32_t i = 0; i < place.points; i++) {
		uint32_t index;
		struct hd_point_spec spec = {.index = HD_POINT_NONE, .id = hd_uuid_new(), .version = 1, .bits = HD_POINT_ACTIVE, .join_ms = 30000,
					     .pipeline = "well", .options = "{}", .params = "{}"};
		HD_ASSERT(hd_points_put(place.registry, &spec, &index, NULL) == HYDRO_OK);
	}
	double before = rss_mib();
	int64_t began = hd_clock_real_ns();
	open_pipeline(&place);
	(void)give_plans(&place);
	print("first start: compile and give all plans", seconds_since(began), "s", NAN, place.points);
	feed_all(&place);
	print("memory of plans, state, newest and latest values", (rss_mib() - before) * 1048576 / place.points, "bytes/point", NAN, place.points);
	began = hd_clock_real_ns();
	hd_pipeline_close(&place.pipeline);
	print("state of all points to disk, synced", seconds_since(began), "s", NAN, place.points);
	began = hd_clock_real_ns();
	open_pipeline(&place);
	uint32_t stored = give_plans(&place);
	struct hd_latest_value latest;
	HD_ASSERT(hd_latest_get(hd_pipeline_latest(place.pipeline), place.points - 1, &latest) && stored == place.points);
	HD_ASSERT(hd_pipeline_newest(place.pipeline, 0) == T0 + 60000);
	print("start from state files: all points ready", seconds_since(began), "s", 2, place.points);
	hd_pipeline_close(&place.pipeline);
	hd_points_free(&place.registry);
	hd_names_close(&place.names);
	char command[256];
	(void)snprintf(command, sizeof command, "rm -rf '%s'", place.dir);
	return system(command) == 0 ? 0 : 1;
}
