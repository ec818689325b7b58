/* SPDX-License-Identifier: MIT */
#include "faults.h"

#include "base/timefmt.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define FAULTS_MAX 10000u

struct sim_faults {
	uint64_t seed;
	pthread_mutex_t lock; /* guards: changes of list, next_id */
	uint32_t next_id;
	_Atomic(struct sim_fault_list *) list;
	struct sim_fault_list *lists; /* all there ever were */
	struct sim_fault **all;       /* all faults there ever were */
	size_t all_count;
};

const struct sim_fault_info sim_fault_infos[SIM_FAULT_KIND_COUNT] = {
#define X(id, name, scope, doc) {name, SIM_SCOPE_##scope, doc},
	SIM_FAULT_KINDS(X)
#undef X
};

int sim_faults_new(uint64_t seed, struct sim_faults **ret, struct hydro_error *err)
{
	struct sim_faults *f = calloc(1, sizeof *f);
	struct sim_fault_list *list = calloc(1, sizeof *list);
	if (!f || !list || pthread_mutex_init(&f->lock, NULL) != 0) {
		free(f);
		free(list);
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the faults");
	}
	f->seed = seed;
	f->next_id = 1;
	f->lists = list;
	atomic_init(&f->list, list);
	*ret = f;
	return HYDRO_OK;
}

void sim_faults_free(struct sim_faults *faults)
{
	if (!faults)
		return;
	for (struct sim_fault_list *l = faults->lists; l;) {
		struct sim_fault_list *older = l->older;
		free(l);
		l = older;
	}
	for (size_t i = 0; i < faults->all_count; i++)
		free(faults->all[i]);
	free(faults->all);
	(void)pthread_mutex_destroy(&faults->lock);
	free(faults);
}

const struct sim_fault_list *sim_faults_list(const struct sim_faults *faults)
{
	return atomic_load_explicit(&faults->list, memory_order_acquire);
}

uint64_t sim_faults_seed(const struct sim_faults *faults)
{
	return faults->seed;
}

/* Under the lock: a list of those of the present one that are not forgotten, and of `more`. */
static bool replace_list(struct sim_faults *faults, struct sim_fault **more, size_t more_count)
{
	const struct sim_fault_list *now = sim_faults_list(faults);
	struct sim_fault_list *list = calloc(1, sizeof *list + (now->count + more_count) * sizeof list->rows[0]);
	struct sim_fault **all = realloc(faults->all, (faults->all_count + more_count + 1) * sizeof *all);
	if (all)
		faults->all = all;
	if (!list || !all) {
		free(list);
		return false;
	}
	for (size_t i = 0; i < now->count; i++)
		if (!now->rows[i]->forgotten)
			list->rows[list->count++] = now->rows[i];
	for (size_t i = 0; i < more_count; i++) {
		more[i]->id = faults->next_id++;
		list->rows[list->count++] = more[i];
		faults->all[faults->all_count++] = more[i];
	}
	list->older = faults->lists;
	faults->lists = list;
	atomic_store_explicit(&faults->list, list, memory_order_release);
	return true;
}

int sim_faults_add(struct sim_faults *faults, const char *json, size_t len, int64_t now_ms, uint32_t *ret_first_id, struct hydro_error *err)
{
	struct sim_fault **more;
	size_t count;
	int rc = sim_faults_parse(json, len, now_ms, &more, &count, err);
	if (rc != HYDRO_OK)
		return rc;
	(void)pthread_mutex_lock(&faults->lock);
	uint32_t first = faults->next_id;
	if (faults->all_count + count > FAULTS_MAX)
		rc = hd_error_set(err, HYDRO_E_LIMIT, "more than %u faults", FAULTS_MAX);
	else if (!replace_list(faults, more, count))
		rc = hd_error_set(err, HYDRO_E_NOMEM, "no memory for the faults");
	(void)pthread_mutex_unlock(&faults->lock);
	if (rc != HYDRO_OK)
		for (size_t i = 0; i < count; i++)
			free(more[i]);
	free(more);
	if (rc == HYDRO_OK && ret_first_id)
		*ret_first_id = first;
	return rc;
}

bool sim_faults_end(struct sim_faults *faults, uint32_t id, int64_t now_ms, bool forget)
{
	bool found = id == 0;
	(void)pthread_mutex_lock(&faults->lock);
	const struct sim_fault_list *list = sim_faults_list(faults);
	for (size_t i = 0; i < list->count; i++) {
		struct sim_fault *f = list->rows[i];
		if (id && f->id != id)
			continue;
		found = true;
		f->forgotten = forget;
		/* An event that has happened stays: its window's end only says where it was to fall. */
		bool event = sim_fault_infos[f->kind].scope == SIM_SCOPE_EVENT;
		if (!event && atomic_load(&f->until_ms) > now_ms)
			atomic_store(&f->until_ms, now_ms);
		if (event && f->from_ms > now_ms)
			f->forgotten = true;
	}
	if (found)
		found = replace_list(faults, NULL, 0);
	(void)pthread_mutex_unlock(&faults->lock);
	return found;
}

static void print_time(struct hd_buf *out, const char *name, int64_t ms)
{
	char text[HD_TIME_TEXT];
	if (ms == INT64_MIN || ms == INT64_MAX)
		return;
	hd_time_format(ms, text);
	(void)hd_buf_printf(out, ",\"%s\":\"%s\"", name, text);
}

static void print_fault(const struct sim_fault *f, struct hd_buf *out)
{
	(void)hd_buf_printf(out, "{\"id\":%u,\"kind\":\"%s\",\"services\":[", f->id, sim_fault_infos[f->kind].name);
	const char *comma = "";
	for (uint32_t s = 0; s < SIM_SERVICES; s++)
		if (f->services & 1u << s) {
			(void)hd_buf_printf(out, "%s\"%s\"", comma, sim_service_names[s]);
			comma = ",";
		}
	(void)hd_buf_add_text(out, "],\"probability\":");
	(void)hd_buf_add_number(out, f->probability);
	if (f->point_first || f->point_last != UINT32_MAX)
		(void)hd_buf_printf(out, ",\"points\":[%u,%u]", f->point_first, f->point_last);
	print_time(out, "from", f->from_ms);
	print_time(out, "until", atomic_load(&f->until_ms));
	if (f->count >= 0)
		(void)hd_buf_printf(out, ",\"count\":%" PRId64, f->count);
	if (f->delay_ms >= 0)
		(void)hd_buf_printf(out, ",\"delay_ms\":%" PRId64, f->delay_ms);
	if (f->has_value) {
		(void)hd_buf_add_text(out, ",\"value\":");
		(void)hd_buf_add_number(out, f->value);
	}
	(void)hd_buf_printf(out, ",\"length\":%" PRId64 ",\"history\":%s,\"seen\":%" PRIu64 ",\"hits\":%" PRIu64 "}", f->length,
	                    f->history ? "true" : "false", atomic_load(&f->seen), atomic_load(&f->hits));
}

void sim_faults_print(const struct sim_faults *faults, struct hd_buf *out)
{
	const struct sim_fault_list *list = sim_faults_list(faults);
	(void)hd_buf_add_char(out, '[');
	for (size_t i = 0; i < list->count; i++) {
		if (i)
			(void)hd_buf_add_char(out, ',');
		print_fault(list->rows[i], out);
	}
	(void)hd_buf_add_char(out, ']');
}

/* Claims one hit of those a fault has left. */
static bool take_hit(struct sim_fault *f)
{
	if (f->count < 0) {
		(void)atomic_fetch_add_explicit(&f->hits, 1, memory_order_relaxed);
		return true;
	}
	uint64_t hits = atomic_load(&f->hits);
	while (hits < (uint64_t)f->count)
		if (atomic_compare_exchange_weak(&f->hits, &hits, hits + 1))
			return true;
	return false;
}

struct sim_fault *sim_faults_hit(struct sim_faults *faults, uint32_t service, uint32_t point, int64_t now_ms, uint64_t kinds)
{
	const struct sim_fault_list *list = sim_faults_list(faults);
	for (size_t i = 0; i < list->count; i++) {
		struct sim_fault *f = list->rows[i];
		if (!(kinds & SIM_FAULT_BIT(f->kind)) || !(f->services & 1u << service))
			continue;
		bool all_points = f->point_first == 0 && f->point_last == UINT32_MAX;
		if (!all_points && (point == SIM_NO_POINT || point < f->point_first || point > f->point_last))
			continue;
		if (now_ms < f->from_ms || now_ms >= atomic_load_explicit(&f->until_ms, memory_order_relaxed))
			continue;
		uint64_t n = atomic_fetch_add_explicit(&f->seen, 1, memory_order_relaxed);
		if ((f->probability >= 1 || sim_chance(sim_mix(sim_mix(faults->seed, f->id), n), f->probability)) && take_hit(f))
			return f;
	}
	return NULL;
}
