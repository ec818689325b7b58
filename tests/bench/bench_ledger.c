/* SPDX-License-Identifier: MIT */
/*
 * The ledger of filing with WORKS (500) hourly works over HOURS (480): each slot queued, claimed and sent, filed, checked, which is
 * five audit rows; nothing is synced, so what is measured is CPU. Then bytes at rest per slot, and what a year of 10,000 works
 * comes to. The reference of the rate is SQLite inserting as many rows of an audit row's size, as many to a commit, with nothing else.
 *   bench_ledger [WORKS [HOURS [FOLDER]]]
 */
#include "bench.h"

#include "base/clock.h"
#include "filing/ledger.h"

#include <string.h>
#include <unistd.h>

#define DUE INT64_C(1767240000000)
#define HOUR INT64_C(3600000)
#define DAY_HOURS 24u
#define ROWS_PER_SLOT 5u
#define CHANGES_PER_SLOT 4u
#define YEAR_SLOTS 87.6e6
#define TICK 256u /* changes of one commit */

static struct hydro_error err = {.struct_size = sizeof err};
static uint64_t dice = 1;

static uint64_t next_dice(void)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	return dice ^= dice << 17;
}

static void check(int rc, const char *what)
{
	if (rc == HYDRO_OK)
		return;
	(void)fprintf(stderr, "bench_ledger: %s: %s\n", what, err.text);
	exit(1);
}

struct text {
	char payload[200], receipt[33];
	double values[3];
};

static void make_text(struct text *t, uint32_t work, uint32_t hour)
{
	static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	t->values[0] = (double)(next_dice() % 3000) / 100;
	t->values[1] = 100000 + work * 7.0 + hour * 50.0;
	t->values[2] = 10 + (double)(next_dice() % 500) / 100;
	(void)snprintf(t->payload, sizeof t->payload, "{\"medicionSubterranea\":{\"caudal\":\"%.2f\",\"fechaMedicion\":\"2026-%02u-%02u\",\"horaMedicion\":\"%02u:00:00\","
						      "\"nivelFreaticoDelPozo\":\"%.2f\",\"totalizador\":\"%.0f\"}}",
		       t->values[0], 1 + hour / 720 % 12, 1 + hour / 24 % 30, hour % 24, t->values[2], t->values[1]);
	for (int i = 0; i < 32; i++)
		t->receipt[i] = letters[next_dice() % 62];
	t->receipt[32] = '\0';
}

static struct hd_ledger *open_ledger(const char *dir, uint32_t works)
{
	static struct hd_key key = {.id = 1};
	char path[256], code[32];
	bool restored;
	struct hd_ledger *ledger = NULL;
	(void)snprintf(path, sizeof path, "%s/filing.db", dir);
	struct hd_ledger_config config = {.path = path, .key = &key, .unsafe_no_sync = true};
	check(hd_ledger_open(&config, &ledger, &restored, &err), "open");
	for (uint32_t i = 1; i <= works; i++) {
		(void)snprintf(code, sizeof code, "OB-%04u-%u", i % 10000, i);
		struct hd_work work = {.mode = HD_MODE_LIVE, .pick = HD_PICK_NEAREST, .at_ms = -1, .starts_ms = DUE, .granted_lps = 20.5, .granted_m3_year = 1e5, .code = code,
				       .name = "Pozo", .kind = "subterranea", .standard = "mayor", .family = "dga", .client = "c", .region = "RM", .shac = "", .notes = "",
				       .held_why = "", .options = "{}", .adapters = "[]", .flow_metric = "", .total_metric = "", .level_metric = ""};
		check(hd_ledger_work_create(ledger, &work, "bench", &err), "create");
	}
	return ledger;
}

/* Slots first … first + count - 1 of one hour, through all their states. */
static void file_slots(struct hd_ledger *ledger, uint32_t first, uint32_t count, uint32_t hour, const struct text *texts)
{
	static struct hd_slot_change changes[TICK];
	static uint32_t epochs[TICK];
	static const uint32_t states[] = {HD_SLOT_DUE, HD_SLOT_QUEUED, HD_SLOT_SENDING, HD_SLOT_FILED, HD_SLOT_FILED};
	for (size_t step = 1; step < sizeof states / sizeof *states; step++) {
		for (uint32_t i = 0; i < count; i++) {
			struct hd_slot_change *c = &changes[i];
			*c = (struct hd_slot_change){.work = first + i, .from = states[step - 1], .to = states[step], .due_ms = DUE + hour * HOUR, .actor = "hydrod",
						     .epoch = step > 2 ? epochs[i] : 0, .lease_until_ns = INT64_MAX};
			c->at_ms = c->due_ms + (int64_t)step * 60000 + (int64_t)(next_dice() % 60000);
			if (step == 1) {
				c->payload = texts[i].payload;
				c->payload_len = strlen(texts[i].payload);
				c->adapter = "dga_2025";
				c->measured_ms = c->due_ms - (int64_t)(next_dice() % 900) * 1000;
				c->values = texts[i].values;
			} else if (step == 3) {
				c->receipt = texts[i].receipt;
				c->detail = "{\"http\":200,\"ms\":412}";
				c->detail_len = strlen(c->detail);
			} else if (step == 4) {
				c->add_marks = HD_SLOT_CHECKED;
				c->detail = "{\"check\":\"same\"}";
				c->detail_len = strlen(c->detail);
			}
		}
		check(hd_ledger_apply(ledger, changes, count, &err), "apply");
		for (uint32_t i = 0; i < count; i++) {
			check(changes[i].rc, "a change");
			epochs[i] = changes[i].epoch;
		}
	}
}

static double bytes_used(struct hd_db *db)
{
	bool row;
	double pages[3];
	static const char *const pragmas[] = {"PRAGMA page_count", "PRAGMA freelist_count", "PRAGMA page_size"};
	for (int i = 0; i < 3; i++) {
		sqlite3_stmt *stmt = hd_db_prepare(db, pragmas[i], &err);
		check(stmt ? hd_db_step(db, stmt, &row, &err) : HYDRO_E_IO, pragmas[i]);
		pages[i] = sqlite3_column_double(stmt, 0);
		(void)sqlite3_reset(stmt);
	}
	return (pages[0] - pages[1]) * pages[2];
}

struct use {
	double bytes;
	bool print;
};

static int measure(struct hd_db *db, void *arg, struct hydro_error *e)
{
	struct use *use = arg;
	bool row;
	use->bytes = bytes_used(db);
	sqlite3_stmt *stmt = use->print ? hd_db_prepare(db, "SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC LIMIT 8", NULL) : NULL;
	while (stmt && hd_db_step(db, stmt, &row, e) == HYDRO_OK && row)
		(void)fprintf(stderr, "  %-16s %12.0f bytes\n", hd_column_text(stmt, 0), sqlite3_column_double(stmt, 1));
	return HYDRO_OK;
}

/* Rows as SQLite takes them when there is no ledger around. */
static double reference_rate(const char *dir, uint64_t rows)
{
	char path[256], filler[100];
	struct hd_db *db = NULL;
	(void)snprintf(path, sizeof path, "%s/reference.db", dir);
	check(hd_db_open(path, true, &db, &err), "reference");
	check(hd_db_exec(db, "PRAGMA synchronous = OFF; CREATE TABLE t (a INTEGER, b INTEGER, c BLOB, PRIMARY KEY (a, b)) WITHOUT ROWID", &err), "reference");
	memset(filler, 'x', sizeof filler);
	int64_t start = hd_clock_thread_cpu_ns();
	for (uint64_t i = 0; i < rows; i++) {
		if (i % TICK == 0)
			check(hd_db_exec(db, i ? "COMMIT; BEGIN" : "BEGIN", &err), "reference");
		sqlite3_stmt *stmt = hd_db_prepare(db, "INSERT INTO t VALUES (?1, ?2, ?3)", &err);
		hd_bind_int(stmt, 1, (int64_t)(i % 1000));
		hd_bind_int(stmt, 2, (int64_t)i);
		hd_bind_blob(stmt, 3, filler, sizeof filler);
		check(hd_db_run(db, stmt, &err), "reference");
	}
	check(hd_db_exec(db, "COMMIT", &err), "reference");
	double rate = (double)rows / ((double)(hd_clock_thread_cpu_ns() - start) / 1e9);
	hd_db_close(&db);
	return rate;
}

static void figure(const char *name, const char *unit, double value, double reference, const char *reference_name, double goal, bool lower, uint64_t n)
{
	bench_print(&(struct bench_figure){.bench = "ledger", .name = name, .unit = unit, .value = value, .reference = reference, .reference_name = reference_name, .goal = goal,
					   .lower_is_better = lower, .n = n});
}

int main(int argc, char **argv)
{
	uint32_t works = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 500, hours = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 480;
	char dir[] = "/tmp/hydro-bench-ledger-XXXXXX", command[128];
	const char *folder = argc > 3 ? argv[3] : mkdtemp(dir);
	static struct text texts[TICK];
	struct hd_ledger *ledger = open_ledger(folder, works);
	struct use empty = {0}, full = {.print = true};
	uint64_t slots = (uint64_t)works * hours;
	int64_t cpu = 0;
	check(hd_ledger_read(ledger, measure, &empty, &err), "measure");
	for (uint32_t hour = 0; hour < hours; hour++) {
		for (uint32_t first = 1; first <= works; first += TICK) {
			uint32_t count = works - first + 1 < TICK ? works - first + 1 : TICK;
			for (uint32_t i = 0; i < count; i++)
				make_text(&texts[i], first + i, hour);
			int64_t start = hd_clock_thread_cpu_ns();
			file_slots(ledger, first, count, hour, texts);
			cpu += hd_clock_thread_cpu_ns() - start;
		}
		if (hour % DAY_HOURS == DAY_HOURS - 1)
			check(hd_ledger_anchor(ledger, 20454 + hour / DAY_HOURS, DUE, &err), "anchor");
	}
	check(hd_ledger_read(ledger, measure, &full, &err), "measure");
	double rows = (double)(slots * ROWS_PER_SLOT), rate = (double)(slots * CHANGES_PER_SLOT) / ((double)cpu / 1e9), bytes = (full.bytes - empty.bytes) / (double)slots;
	figure("changes per second of CPU", "1/s", rate, reference_rate(folder, slots < 200000 ? slots * ROWS_PER_SLOT : 1000000), "SQLite inserts alone", 50000, false, slots * CHANGES_PER_SLOT);
	figure("bytes per filed slot at rest, unpacked", "B", bytes, NAN, NULL, NAN, true, slots);
	struct hd_ledger_verdict verdict;
	int64_t start = hd_clock_thread_cpu_ns();
	check(hd_ledger_verify(ledger, HD_LEDGER_ALL, &verdict, &err), "verify");
	figure("audit rows verified per second of CPU", "1/s", (double)verdict.rows / ((double)(hd_clock_thread_cpu_ns() - start) / 1e9), NAN, NULL, NAN, false, verdict.rows);
	if (!verdict.good)
		(void)fprintf(stderr, "bench_ledger: does not verify: %s\n", verdict.text);
	uint64_t packed = 0;
	struct hd_pack_plan plan = {.before_ms = INT64_MAX, .rows_min = 512, .chains_max = 8};
	struct hd_pack_done done = {.more = true};
	int64_t longest = 0;
	for (start = hd_clock_thread_cpu_ns(); done.more; packed += done.rows) {
		int64_t begin = hd_clock_thread_cpu_ns();
		check(hd_ledger_pack(ledger, &plan, &done, &err), "pack");
		if (hd_clock_thread_cpu_ns() - begin > longest)
			longest = hd_clock_thread_cpu_ns() - begin;
	}
	cpu = hd_clock_thread_cpu_ns() - start;
	check(hd_ledger_read(ledger, measure, &full, &err), "measure");
	double left = (double)(slots * ROWS_PER_SLOT + works - packed) / rows; /* what was too little to be packed stays as it was */
	double packed_bytes = ((full.bytes - empty.bytes) / (double)slots - left * bytes) / (1 - left);
	figure("audit rows packed per second of CPU", "1/s", (double)packed / ((double)cpu / 1e9), NAN, NULL, NAN, false, packed);
	figure("longest step of packing", "ms", (double)longest / 1e6, NAN, NULL, NAN, true, packed);
	figure("bytes per filed slot at rest, packed", "B", packed_bytes, NAN, NULL, 700, true, slots);
	figure("a year of 10,000 hourly works (87.6 million slots)", "GB", packed_bytes * YEAR_SLOTS / 1e9, NAN, NULL, NAN, true, slots);
	start = hd_clock_thread_cpu_ns();
	check(hd_ledger_verify(ledger, HD_LEDGER_ALL, &verdict, &err), "verify");
	figure("packed audit rows verified per second of CPU", "1/s", (double)verdict.rows / ((double)(hd_clock_thread_cpu_ns() - start) / 1e9), NAN, NULL, NAN, false, verdict.rows);
	if (!verdict.good)
		(void)fprintf(stderr, "bench_ledger: does not verify: %s\n", verdict.text);
	hd_ledger_close(&ledger);
	(void)snprintf(command, sizeof command, "rm -rf '%s'", dir);
	return argc > 3 || system(command) == 0 ? (verdict.good ? 0 : 1) : 1;
}
