/* SPDX-License-Identifier: MIT */
/*
 *   bench_history [MEASUREMENTS] | sparse [POINTS]
 * History over N measurements (20 million) of hourly points on real series, three metrics raw and result, a year long:
 * bytes at rest and written, and 30 days of one point in process, by day chunks; then its months are merged and the same
 * is measured again, and a year of one point both ways. The reference of the queries of 30 days is SQLite reading the same
 * rows of day chunks in the same database by key, without decoding; that of months is what day chunks gave. `sparse`: many points with a reading each 50 s, merged while the day lasts, each time
 * a point has so many rows: what that writes, what is at rest, and the day of one point in process.
 */
#include "bench.h"

#include "base/clock.h"
#include "history/history.h"
#include "model/names.h"
#include "options.h"
#include "sim.h"

#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define START_MS INT64_C(1735689600000) /* 2025-01-01 */
#define HOURS 8760
#define HOUR_MS INT64_C(3600000)
#define QUERIES 5000u
#define WARM 500u
#define YEAR_HOURS 8000 /* eleven months: a run of fewer measurements may end within the year */
#define YEAR_QUERIES 500u

struct options {
	uint64_t measurements;
	const char *dir;
};

struct world {
	struct sim sim;
	struct sim_point *list;
	uint32_t points;
};

static void die(const char *what, const struct hydro_error *err)
{
	(void)fprintf(stderr, "bench_history: %s: %s\n", what, err ? err->text : "");
	exit(1);
}

/* From the kernel's account of this process: "wchar" is what was handed to write calls, "write_bytes" what was dirtied for the
 * disk, which counts whole folios (up to a megabyte) for each group that ends within one. */
static uint64_t io_account(const char *what)
{
	char line[128];
	unsigned long long bytes = 0;
	FILE *file = fopen("/proc/self/io", "re");
	while (file && fgets(line, sizeof line, file))
		if (strncmp(line, what, strlen(what)) == 0 && line[strlen(what)] == ':') {
			bytes = strtoull(line + strlen(what) + 1, NULL, 10);
			break;
		}
	if (file)
		(void)fclose(file);
	return bytes;
}

/* One point's hour: as the provider sends it and as the well pipeline leaves it. */
static void sample_of(const struct world *world, uint32_t index, int64_t hour, struct hd_value values[6], struct hd_sample *ret)
{
	const struct sim_point *point = &world->list[index];
	int64_t truth[SIM_METRICS], slot = sim_slot_at(point, START_MS + HOUR_MS) + hour;
	sim_point_read(&world->sim, point, slot, truth);
	double flow = (double)truth[SIM_FLOW] / 100, level = (double)truth[SIM_LEVEL] / 1000, pulses = (double)truth[SIM_PULSES];
	values[0] = (struct hd_value){flow, HD_METRIC_FLOW, 1};
	values[1] = (struct hd_value){level, HD_METRIC_LEVEL, 1};
	values[2] = (struct hd_value){pulses, HD_METRIC_PULSES, 1};
	values[3] = (struct hd_value){flow, HD_METRIC_FLOW, 1};
	values[4] = (struct hd_value){point->sensor_depth_m - level, HD_METRIC_WATER_TABLE, 1};
	values[5] = (struct hd_value){pulses * (double)point->litres_per_pulse / 1000 + point->offset_m3, HD_METRIC_TOTAL, 1};
	*ret = (struct hd_sample){.ts_ms = sim_slot_ts(point, slot), .point = index, .generation = 1, .source = (uint64_t)hour, .raw_count = 3, .value_count = 3,
				  .raws = values, .values = values + 3};
}

static void append(struct hd_journal *journal, struct hd_batch *batch)
{
	struct hydro_error err = {0};
	int rc;
	while ((rc = hd_journal_append(journal, batch, &err)) == HYDRO_E_AGAIN)
		(void)hd_journal_flush(journal, 10000);
	if (rc != HYDRO_OK)
		die("append", &err);
}

static struct hd_batch *new_batch(void)
{
	struct hd_batch *batch = NULL;
	if (hd_batch_new(4096, 4u << 20, &batch) != HYDRO_OK)
		die("no memory", NULL);
	return batch;
}

static uint64_t load(const struct world *world, struct hd_journal *journal, struct hd_history *history, uint64_t measurements)
{
	struct hd_batch *batch = new_batch();
	struct hydro_error err = {0};
	uint64_t done = 0;
	for (int64_t hour = 0; hour < HOURS && done < measurements; hour++) {
		for (uint32_t p = 0; p < world->points && done < measurements; p++, done++) {
			struct hd_value values[6];
			struct hd_sample sample;
			sample_of(world, p, hour, values, &sample);
			if (!hd_batch_has_room(batch)) {
				append(journal, batch);
				batch = new_batch();
			}
			(void)hd_batch_add(batch, &sample);
		}
		if (hour % 24 == 23 && hd_history_merge(history, false, &err) != HYDRO_OK)
			die("merge", &err);
	}
	append(journal, batch);
	(void)hd_journal_flush(journal, 60000);
	if (hd_history_merge(history, true, &err) != HYDRO_OK)
		die("merge", &err);
	return done;
}

static int count_row(void *arg, const struct hd_sample *sample)
{
	(void)sample;
	++*(uint32_t *)arg;
	return HYDRO_OK;
}

static uint64_t next(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *seed >> 33;
}

static void time_queries(struct hd_history *history, uint32_t points, int64_t hours, int64_t window, uint32_t queries, double *took_ms)
{
	struct hydro_error err = {0};
	uint64_t seed = 7;
	for (uint32_t i = 0; i < queries + WARM; i++) {
		int64_t first = (int64_t)(next(&seed) % (uint64_t)(hours - window + 1));
		struct hd_history_query q = {.point = (uint32_t)(next(&seed) % points), .from_ms = START_MS + first * HOUR_MS, .to_ms = START_MS + (first + window) * HOUR_MS};
		uint32_t rows = 0;
		int64_t start = hd_clock_real_ns();
		if (hd_history_query(history, &q, count_row, &rows, &err) != HYDRO_OK)
			die("query", &err);
		if (rows < window - 1 || rows > window + 1)
			die("a query did not give all of its rows", NULL);
		if (i >= WARM)
			took_ms[i - WARM] = (double)(hd_clock_real_ns() - start) / 1e6;
	}
}

/* 31 look-ups of blobs by key in the same file. */
static double time_sqlite(const char *path, uint32_t points, int64_t days)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *stmt = NULL;
	static double took[1000];
	uint64_t seed = 9;
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(db, "SELECT data FROM chunk WHERE key BETWEEN ? AND ?", -1, &stmt, NULL) != SQLITE_OK)
		die("sqlite", NULL);
	for (size_t i = 0; i < 1000; i++) {
		int64_t day = START_MS / 86400000 + (int64_t)(next(&seed) % (uint64_t)(days - 31)), point = (int64_t)(next(&seed) % points);
		int64_t start = hd_clock_real_ns();
		for (int64_t d = day; d < day + 31; d++) {
			(void)sqlite3_bind_int64(stmt, 1, d << 32 | point << 8);
			(void)sqlite3_bind_int64(stmt, 2, d << 32 | point << 8 | 255);
			while (sqlite3_step(stmt) == SQLITE_ROW)
				;
			(void)sqlite3_reset(stmt);
		}
		took[i] = (double)(hd_clock_real_ns() - start) / 1e6;
	}
	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(db);
	return bench_quantile(took, 1000, 0.5);
}

static double table_bytes(const char *path, const char *table)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *stmt = NULL;
	double bytes = 0;
	(void)sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL);
	if (sqlite3_prepare_v2(db, "SELECT sum(pgsize) FROM dbstat WHERE name = ?", -1, &stmt, NULL) == SQLITE_OK) {
		(void)sqlite3_bind_text(stmt, 1, table, -1, SQLITE_STATIC);
		if (sqlite3_step(stmt) == SQLITE_ROW)
			bytes = sqlite3_column_double(stmt, 0);
	}
	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(db);
	return bytes;
}

/* As the thread does it, without its pauses; seconds taken. The longest step goes to *ret_step_ms. */
static double merge_months(struct hd_history *history, double *ret_step_ms)
{
	struct hydro_error err = {0};
	int64_t start = hd_clock_real_ns(), longest = 0;
	for (bool more = true; more;) {
		int64_t step = hd_clock_real_ns();
		if (hd_history_merge_months(history, INT64_MAX / 2, &more, &err) != HYDRO_OK)
			die("months", &err);
		longest = HD_MAX(longest, hd_clock_real_ns() - step);
	}
	*ret_step_ms = (double)longest / 1e6;
	return (double)(hd_clock_real_ns() - start) / 1e9;
}

static struct hd_history *open_history(const char *dir, struct hd_journal *journal, const struct hd_key *seal)
{
	struct hydro_error err = {0};
	struct hd_history *history = NULL;
	struct hd_history_config hc = {.dir = dir, .journal = journal, .seal = seal, .manual = true};
	if (hd_history_open(&hc, &history, &err) != HYDRO_OK)
		die("history", &err);
	return history;
}

static void run(const struct options *options, const struct world *world, const struct hd_key *seal, const char *suffix)
{
	char journal_dir[512], history_dir[512], db[600], name[64];
	struct hydro_error err = {0};
	struct hd_journal *journal = NULL;
	(void)snprintf(journal_dir, sizeof journal_dir, "%s/journal%s", options->dir, suffix);
	(void)snprintf(history_dir, sizeof history_dir, "%s/history%s", options->dir, suffix);
	(void)snprintf(db, sizeof db, "%s/history.db", history_dir);
	struct hd_journal_config jc = {.dir = journal_dir, .seal = seal};
	if (hd_journal_open(&jc, &journal, &err) != HYDRO_OK)
		die("journal", &err);
	struct hd_history *history = open_history(history_dir, journal, seal);
	uint64_t before = io_account("wchar"), dirtied_before = io_account("write_bytes");
	int64_t start = hd_clock_real_ns();
	uint64_t count = load(world, journal, history, options->measurements);
	double seconds = (double)(hd_clock_real_ns() - start) / 1e9;
	int64_t hours = (int64_t)(count / world->points);
	static double took[QUERIES];
	time_queries(history, world->points, hours, 720, QUERIES, took);
	double median = bench_quantile(took, QUERIES, 0.5), p99 = bench_quantile(took, QUERIES, 0.99), year = NAN, year_months = NAN;
	if (hours >= YEAR_HOURS) {
		time_queries(history, world->points, hours, YEAR_HOURS, YEAR_QUERIES, took);
		year = bench_quantile(took, YEAR_QUERIES, 0.5);
	}
	struct hd_journal_status journal_status;
	hd_journal_status(journal, &journal_status);
	hd_history_close(&history); /* so that its log is in its file */
	double sqlite_ms = time_sqlite(db, world->points, hours / 24), at_rest = table_bytes(db, "chunk") + table_bytes(db, "slice");
	double written = (double)(io_account("wchar") - before), dirtied = (double)(io_account("write_bytes") - dirtied_before), n = (double)count, step_ms;
	history = open_history(history_dir, journal, seal);
	before = io_account("wchar");
	double months_s = merge_months(history, &step_ms);
	time_queries(history, world->points, hours, 720, QUERIES, took);
	double median_months = bench_quantile(took, QUERIES, 0.5), p99_months = bench_quantile(took, QUERIES, 0.99);
	if (hours >= YEAR_HOURS) {
		time_queries(history, world->points, hours, YEAR_HOURS, YEAR_QUERIES, took);
		year_months = bench_quantile(took, YEAR_QUERIES, 0.5);
	}
	time_queries(history, world->points, hours, 24, QUERIES, took);
	double day_months = bench_quantile(took, QUERIES, 0.5);
	hd_history_close(&history);
	hd_journal_close(&journal);
	double written_months = written + (double)(io_account("wchar") - before);
	static const char by_key[] = "sqlite, the same rows undecoded", by_days[] = "by day chunks";
	const struct bench_figure figures[] = {
		{.name = "30_days_median", .value = median, .unit = "ms", .reference = sqlite_ms, .reference_name = by_key, .goal = 1},
		{.name = "30_days_p99", .value = p99, .unit = "ms", .reference = sqlite_ms, .reference_name = by_key, .goal = 2},
		{.name = "at_rest", .value = at_rest / n, .unit = "bytes/measurement", .reference = NAN, .goal = 16},
		{.name = "aggregates_at_rest", .value = table_bytes(db, "hours") / n, .unit = "bytes/measurement", .reference = NAN, .goal = NAN},
		{.name = "written", .value = written / n, .unit = "bytes/measurement", .reference = NAN, .goal = 100},
		{.name = "dirtied_folios_included", .value = dirtied / n, .unit = "bytes/measurement", .reference = NAN, .goal = NAN},
		{.name = "written_by_journal", .value = (double)journal_status.written_bytes / n, .unit = "bytes/measurement", .reference = NAN, .goal = NAN},
		{.name = "months_30_days_median", .value = median_months, .unit = "ms", .reference = median, .reference_name = by_days, .goal = 1},
		{.name = "months_30_days_p99", .value = p99_months, .unit = "ms", .reference = p99, .reference_name = by_days, .goal = 2},
		{.name = "months_year_median", .value = year_months, .unit = "ms", .reference = year, .reference_name = by_days, .goal = NAN},
		{.name = "months_day_median", .value = day_months, .unit = "ms", .reference = NAN, .goal = NAN},
		{.name = "months_at_rest", .value = (table_bytes(db, "month_chunk") + table_bytes(db, "chunk") + table_bytes(db, "slice")) / n, .unit = "bytes/measurement", .reference = at_rest / n,
		 .reference_name = by_days, .goal = 16},
		{.name = "months_written", .value = written_months / n, .unit = "bytes/measurement", .reference = written / n, .reference_name = by_days, .goal = 100},
		{.name = "months_longest_step", .value = step_ms, .unit = "ms", .reference = NAN, .goal = NAN},
		{.name = "months_merge", .value = n / months_s, .unit = "measurements/s", .reference = NAN, .goal = NAN},
		{.name = "append_and_merge", .value = n / seconds, .unit = "measurements/s", .reference = NAN, .goal = NAN},
	};
	for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
		struct bench_figure figure = figures[i];
		(void)snprintf(name, sizeof name, "%s%s", figures[i].name, suffix);
		figure.bench = "history";
		figure.name = name;
		figure.lower_is_better = true;
		figure.n = count;
		bench_print(&figure);
	}
}

#define SPARSE_ROWS 240u
#define SPARSE_PERIOD_MS 50000

static void sparse_load(const struct world *world, struct hd_journal *journal, struct hd_history *history, int64_t start_ms, uint32_t rows_a_merge)
{
	struct hd_batch *batch = new_batch();
	struct hydro_error err = {0};
	for (uint32_t row = 0; row < SPARSE_ROWS; row++) {
		for (uint32_t p = 0; p < world->points; p++) {
			struct hd_value values[6];
			struct hd_sample sample;
			sample_of(world, p, row, values, &sample);
			sample.ts_ms = start_ms + (int64_t)row * SPARSE_PERIOD_MS;
			if (!hd_batch_has_room(batch)) {
				append(journal, batch);
				batch = new_batch();
			}
			(void)hd_batch_add(batch, &sample);
		}
		if (row % rows_a_merge != rows_a_merge - 1)
			continue;
		append(journal, batch);
		batch = new_batch();
		(void)hd_journal_flush(journal, 60000);
		if (hd_history_merge(history, true, &err) != HYDRO_OK)
			die("merge", &err);
	}
	hd_batch_release(batch);
}

static void sparse_queries(struct hd_history *history, uint32_t points, int64_t start_ms, double *took_ms)
{
	struct hydro_error err = {0};
	uint64_t seed = 7;
	for (uint32_t i = 0; i < QUERIES; i++) {
		struct hd_history_query q = {.point = (uint32_t)(next(&seed) % points), .from_ms = start_ms, .to_ms = start_ms + 86400000};
		uint32_t rows = 0;
		int64_t start = hd_clock_real_ns();
		if (hd_history_query(history, &q, count_row, &rows, &err) != HYDRO_OK)
			die("query", &err);
		if (rows != SPARSE_ROWS)
			die("a query did not give the day's rows", NULL);
		took_ms[i] = (double)(hd_clock_real_ns() - start) / 1e6;
	}
}

static void sparse(const char *dir, const struct world *world, uint32_t rows_a_merge)
{
	char journal_dir[512], history_dir[512], db[600], name[64];
	struct hydro_error err = {0};
	struct hd_journal *journal = NULL;
	struct hd_history *history = NULL;
	int64_t today = hd_clock_wall_ms() / 86400000 * 86400000;
	(void)snprintf(journal_dir, sizeof journal_dir, "%s/journal-%u", dir, rows_a_merge);
	(void)snprintf(history_dir, sizeof history_dir, "%s/history-%u", dir, rows_a_merge);
	(void)snprintf(db, sizeof db, "%s/history.db", history_dir);
	struct hd_journal_config jc = {.dir = journal_dir, .segment_bytes = 8u << 20};
	struct hd_history_config hc = {.dir = history_dir, .manual = true};
	if (hd_journal_open(&jc, &journal, &err) != HYDRO_OK)
		die("journal", &err);
	hc.journal = journal;
	if (hd_history_open(&hc, &history, &err) != HYDRO_OK)
		die("history", &err);
	sparse_load(world, journal, history, today, rows_a_merge);
	static double took[QUERIES];
	sparse_queries(history, world->points, today, took);
	struct hd_history_status status;
	hd_history_status(history, &status);
	hd_history_close(&history);
	hd_journal_close(&journal);
	double n = (double)world->points * SPARSE_ROWS, at_rest = table_bytes(db, "chunk") + table_bytes(db, "slice");
	const struct bench_figure figures[] = {
		{.name = "written_by_history", .value = (double)status.written_bytes / n, .unit = "bytes/measurement", .reference = NAN, .goal = NAN},
		{.name = "at_rest", .value = at_rest / n, .unit = "bytes/measurement", .reference = NAN, .goal = NAN},
		{.name = "day_median", .value = bench_quantile(took, QUERIES, 0.5), .unit = "ms", .reference = NAN, .goal = NAN},
	};
	for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
		struct bench_figure figure = figures[i];
		(void)snprintf(name, sizeof name, "%s_%u_rows_a_merge", figures[i].name, rows_a_merge);
		figure.bench = "sparse";
		figure.name = name;
		figure.n = (uint64_t)n;
		bench_print(&figure);
	}
}

int main(int argc, char **argv)
{
	struct options options = {.measurements = 20000000, .dir = NULL};
	struct hydro_error err = {0};
	char dir[] = "/tmp/hydro-bench-history-XXXXXX";
	bool is_sparse = argc > 1 && strcmp(argv[1], "sparse") == 0;
	if (is_sparse)
		options.measurements = (argc > 2 ? strtoull(argv[2], NULL, 10) : 50000) * HOURS;
	else if (argc > 1)
		options.measurements = strtoull(argv[1], NULL, 10);
	options.dir = mkdtemp(dir);
	if (!options.dir)
		die("no temporary folder", NULL);
	struct world world = {.points = (uint32_t)((options.measurements + HOURS - 1) / HOURS)};
	struct sim_config config;
	char *none[] = {argv[0], NULL};
	if (sim_options_read(1, none, &config, &err) < 0)
		die("options", &err);
	config.points = world.points;
	for (uint32_t i = 0; i < SIM_PROVIDERS; i++)
		config.period_ms[i] = HOUR_MS;
	config.origin_ms = START_MS - 86400000;
	if (sim_init(&world.sim, &config, &err) != HYDRO_OK)
		die("series", &err);
	world.list = calloc(world.points, sizeof *world.list);
	for (uint32_t i = 0; world.list && i < world.points; i++)
		sim_point_at(&world.sim, i, &world.list[i]);
	struct hd_key key = {.bytes = {1, 2, 3}, .id = 1};
	for (uint32_t rows = 5; is_sparse && rows <= 80; rows *= 2)
		sparse(dir, &world, rows);
	if (!is_sparse) {
		run(&options, &world, NULL, "");
		run(&options, &world, &key, "_sealed");
	}
	sim_done(&world.sim);
	free(world.list);
	char command[128];
	(void)snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command) == 0 ? 0 : 1;
}
