/* SPDX-License-Identifier: MIT */
#include "account.h"

#include "base/hash.h"
#include "faults.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define LOCKS 1024u
#define STATUS_MAX 600u
#define ALL_METRICS SIM_METRICS /* the union of the metrics' runs */

struct run {
	uint32_t first, last;
};

/* Sorted, disjoint, not touching. One run, the common case, needs no memory of its own. */
struct runs {
	struct run one;
	struct run *many;
	uint32_t count, cap;
};

struct sim_account {
	uint32_t points;
	struct runs *runs; /* points x SIM_METRICS; pages that are never touched cost nothing */
	pthread_mutex_t locks[LOCKS]; /* guards: runs of points with index % LOCKS */
	_Atomic uint64_t requests[SIM_SERVICES][STATUS_MAX];
	_Atomic uint64_t rows, values, failed;
};

int sim_account_new(uint32_t points, struct sim_account **ret, struct hydro_error *err)
{
	struct sim_account *a = calloc(1, sizeof *a);
	if (a)
		a->runs = calloc((size_t)points * SIM_METRICS, sizeof *a->runs);
	if (!a || !a->runs) {
		free(a);
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the account of %u points", points);
	}
	a->points = points;
	for (unsigned i = 0; i < LOCKS; i++)
		(void)pthread_mutex_init(&a->locks[i], NULL);
	*ret = a;
	return HYDRO_OK;
}

void sim_account_free(struct sim_account *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < (size_t)a->points * SIM_METRICS; i++)
		free(a->runs[i].many);
	for (unsigned i = 0; i < LOCKS; i++)
		(void)pthread_mutex_destroy(&a->locks[i]);
	free(a->runs);
	free(a);
}

void sim_account_request(struct sim_account *a, uint32_t service, unsigned status)
{
	HD_ASSERT(service < SIM_SERVICES && status < STATUS_MAX);
	(void)atomic_fetch_add_explicit(&a->requests[service][status], 1, memory_order_relaxed);
}

static struct run *runs_array(struct runs *r)
{
	return r->many ? r->many : &r->one;
}

static bool runs_grow(struct runs *r)
{
	uint32_t cap = r->cap ? r->cap * 2 : 4;
	struct run *many = realloc(r->many, cap * sizeof *many);
	if (!many)
		return false;
	if (!r->many)
		many[0] = r->one;
	r->many = many;
	r->cap = cap;
	return true;
}

/* Adds [first, last]; *ret_new gets how many of them were not there. */
static bool runs_add(struct runs *r, uint32_t first, uint32_t last, uint64_t *ret_new)
{
	struct run *a = runs_array(r);
	uint32_t low = 0, high = r->count;
	while (low < high) { /* the first run that ends at or after first - 1 */
		uint32_t mid = low + (high - low) / 2;
		if ((uint64_t)a[mid].last + 1 < first)
			low = mid + 1;
		else
			high = mid;
	}
	uint32_t end = low;
	uint64_t there = 0;
	struct run merged = {first, last};
	while (end < r->count && a[end].first <= (uint64_t)last + 1) {
		uint32_t from = HD_MAX(a[end].first, first), to = HD_MIN(a[end].last, last);
		there += from <= to ? (uint64_t)to - from + 1 : 0;
		merged.first = HD_MIN(merged.first, a[end].first);
		merged.last = HD_MAX(merged.last, a[end].last);
		end++;
	}
	if (end == low) {
		if (r->count >= (r->many ? r->cap : 1) && !runs_grow(r))
			return false;
		a = runs_array(r);
		memmove(&a[low + 1], &a[low], (r->count - low) * sizeof *a);
		r->count++;
	} else {
		memmove(&a[low + 1], &a[end], (r->count - end) * sizeof *a);
		r->count -= end - low - 1;
	}
	a[low] = merged;
	*ret_new = (uint64_t)last - first + 1 - there;
	return true;
}

void sim_account_serve(struct sim_account *a, uint32_t point, uint32_t metric, int64_t first, int64_t last)
{
	HD_ASSERT(point < a->points && metric < SIM_METRICS && first >= 0 && last < UINT32_MAX && first <= last);
	uint64_t fresh = 0;
	pthread_mutex_t *lock = &a->locks[point % LOCKS];
	(void)pthread_mutex_lock(lock);
	bool ok = runs_add(&a->runs[(size_t)point * SIM_METRICS + metric], (uint32_t)first, (uint32_t)last, &fresh);
	(void)pthread_mutex_unlock(lock);
	if (!ok)
		(void)atomic_fetch_add_explicit(&a->failed, 1, memory_order_relaxed);
	(void)atomic_fetch_add_explicit(&a->rows, (uint64_t)(last - first) + 1, memory_order_relaxed);
	(void)atomic_fetch_add_explicit(&a->values, fresh, memory_order_relaxed);
}

void sim_account_serve_rows(struct sim_account *a, uint32_t point, uint32_t metric, const struct sim_rows *rows)
{
	for (size_t i = 0; i < rows->count;) {
		int64_t first = rows->rows[i].slot, last = first;
		for (i++; i < rows->count; i++) { /* rows come in ascending or descending order */
			if (rows->rows[i].slot == last + 1)
				last++;
			else if (rows->rows[i].slot == first - 1)
				first--;
			else
				break;
		}
		sim_account_serve(a, point, metric, first, last);
	}
}

/* A copy of the runs of one metric, or their union; to be freed. */
static bool copy_runs(struct sim_account *a, uint32_t point, uint32_t metric, struct runs *ret)
{
	bool ok = true;
	uint64_t ignored;
	*ret = (struct runs){0};
	(void)pthread_mutex_lock(&a->locks[point % LOCKS]);
	for (uint32_t m = 0; m < SIM_METRICS; m++) {
		struct runs *r = &a->runs[(size_t)point * SIM_METRICS + m];
		for (uint32_t i = 0; ok && i < r->count && (metric == ALL_METRICS || metric == m); i++)
			ok = runs_add(ret, runs_array(r)[i].first, runs_array(r)[i].last, &ignored);
	}
	(void)pthread_mutex_unlock(&a->locks[point % LOCKS]);
	return ok;
}

struct sum {
	uint64_t count, checksum;
};

static struct sum sum_runs(const struct sim *sim, const struct sim_point *point, struct runs *runs, uint32_t metric)
{
	struct sum sum = {0, 0};
	struct sim_point_faults faults;
	sim_point_faults_pick(sim, point, &faults);
	for (uint32_t i = 0; i < runs->count; i++)
		for (uint64_t slot = runs_array(runs)[i].first; slot <= runs_array(runs)[i].last; slot++) {
			struct sim_reading r = {.ts_ms = sim_slot_ts(point, (int64_t)slot)};
			if (faults.shift_max_ms)
				sim_reading_at(sim, point, &faults, (int64_t)slot, &r);
			sum.count++;
			sum.checksum += hd_hash_u64((uint64_t)sim_reading_ts(point, &r, metric));
		}
	return sum;
}

static void print_runs(const struct sim *sim, const struct sim_point *point, uint32_t metric, const char *name, struct hd_buf *out)
{
	struct runs runs;
	if (!copy_runs(sim->account, point->index, metric, &runs))
		out->failed = true;
	struct sum sum = sum_runs(sim, point, &runs, metric);
	(void)hd_buf_printf(out, ",\"%s\":{\"count\":%" PRIu64 ",\"checksum\":\"%016" PRIx64 "\",\"runs\":[", name, sum.count, sum.checksum);
	int64_t skew = metric < SIM_METRICS ? point->skew_ms[metric] : 0;
	for (uint32_t i = 0; i < runs.count; i++) {
		struct run r = runs_array(&runs)[i];
		(void)hd_buf_printf(out, "%s[%" PRId64 ",%" PRId64 ",%u]", i ? "," : "", sim_slot_ts(point, r.first) + skew,
		                    sim_slot_ts(point, r.last) + skew, r.last - r.first + 1);
	}
	(void)hd_buf_add_text(out, "]}");
	free(runs.many);
}

void sim_account_print_point(const struct sim *sim, const struct sim_point *point, struct hd_buf *out)
{
	char name[SIM_KEY_TEXT];
	sim_point_name(point->index, name);
	(void)hd_buf_printf(out, "{\"point\":%u,\"name\":\"%s\",\"provider\":\"%s\",\"period_ms\":%" PRId64, point->index, name,
	                    sim_service_names[point->provider], point->period_ms);
	print_runs(sim, point, ALL_METRICS, "measurements", out);
	for (uint32_t m = 0; m < SIM_METRICS; m++)
		print_runs(sim, point, m, sim_metric_names[m], out);
	(void)hd_buf_add_char(out, '}');
}

void sim_account_print_csv(const struct sim *sim, uint32_t first, uint32_t last, struct hd_buf *out)
{
	for (uint32_t i = first; i <= last && i < sim->config.points; i++) {
		char name[SIM_KEY_TEXT];
		struct sim_point point;
		struct runs runs;
		sim_point_name(i, name);
		sim_point_at(sim, i, &point);
		if (!copy_runs(sim->account, i, ALL_METRICS, &runs))
			out->failed = true;
		struct sum sum = sum_runs(sim, &point, &runs, ALL_METRICS);
		free(runs.many);
		(void)hd_buf_printf(out, "%s,%u,%" PRIu64 ",%016" PRIx64 "\n", name, i, sum.count, sum.checksum);
	}
}

static void print_requests(struct sim_account *a, uint32_t service, struct hd_buf *out)
{
	(void)hd_buf_printf(out, "%s\"%s\":{", service ? "," : "", sim_service_names[service]);
	const char *comma = "";
	for (unsigned status = 0; status < STATUS_MAX; status++) {
		uint64_t n = atomic_load_explicit(&a->requests[service][status], memory_order_relaxed);
		if (!n)
			continue;
		if (status == SIM_OUTCOME_HANG || status == SIM_OUTCOME_CUT)
			(void)hd_buf_printf(out, "%s\"%s\":%" PRIu64, comma, status == SIM_OUTCOME_HANG ? "hang" : "cut", n);
		else
			(void)hd_buf_printf(out, "%s\"%u\":%" PRIu64, comma, status, n);
		comma = ",";
	}
	(void)hd_buf_add_char(out, '}');
}

void sim_account_print(struct sim_account *a, struct hd_buf *out)
{
	(void)hd_buf_add_text(out, "{\"requests\":{");
	for (uint32_t s = 0; s < SIM_SERVICES; s++)
		print_requests(a, s, out);
	uint64_t measurements = 0, points = 0;
	for (uint32_t i = 0; i < a->points; i++) {
		struct runs runs;
		if (!copy_runs(a, i, ALL_METRICS, &runs))
			out->failed = true;
		for (uint32_t k = 0; k < runs.count; k++)
			measurements += (uint64_t)runs_array(&runs)[k].last - runs_array(&runs)[k].first + 1;
		points += runs.count > 0;
		free(runs.many);
	}
	uint64_t rows = atomic_load(&a->rows), values = atomic_load(&a->values);
	(void)hd_buf_printf(out, "},\"points\":%" PRIu64 ",\"measurements\":%" PRIu64 ",\"values\":%" PRIu64 ",\"values_served\":%" PRIu64
	                    ",\"repeats\":%" PRIu64 ",\"not_noted\":%" PRIu64 "}", points, measurements, values, rows, rows - values, atomic_load(&a->failed));
}
