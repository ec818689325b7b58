/* SPDX-License-Identifier: MIT */
/* Other plans for points of a running pipeline. Each point changes before its next reading; the rest follows in slices. */
#include "pipeline/inner.h"

#include <stdlib.h>
#include <string.h>

#define SLICE_NS (HD_NS_PER_MS / 2) /* readings wait no longer for the points before them */
#define SLICE_LOOK 32u              /* points between two looks at the clock */

struct hd_plans {
	struct plan_slot {
		struct hd_plan *plan;
		bool given, done;
	} *pages[HD_PAGES];
	uint32_t count;
	uint32_t end; /* highest point + 1 */
};

/* One swap: all workers work on it; the caller waits. */
struct hd_swap {
	struct hd_plans *plans;
	pthread_mutex_t lock; /* guards: left, report, failed */
	pthread_cond_t done;
	uint32_t left;
	uint32_t failed;
	struct hd_swap_report report;
	struct hd_swap_report *of_worker; /* each its own */
};

int hd_plans_new(struct hd_plans **ret)
{
	*ret = calloc(1, sizeof **ret);
	return *ret ? HYDRO_OK : HYDRO_E_NOMEM;
}

void hd_plans_free(struct hd_plans **plans)
{
	if (!*plans)
		return;
	for (uint32_t i = 0; i < HD_PAGES; i++) {
		for (uint32_t k = 0; (*plans)->pages[i] && k < HD_PAGE_POINTS; k++)
			hd_plan_free(&(*plans)->pages[i][k].plan);
		free((*plans)->pages[i]);
	}
	free(*plans);
	*plans = NULL;
}

int hd_plans_put(struct hd_plans *plans, uint32_t point, struct hd_plan *plan)
{
	if (point >= HD_POINTS_MAX)
		return HYDRO_E_INVALID;
	struct plan_slot **page = &plans->pages[point / HD_PAGE_POINTS];
	if (!*page && !(*page = calloc(HD_PAGE_POINTS, sizeof **page)))
		return HYDRO_E_NOMEM;
	struct plan_slot *slot = &(*page)[point % HD_PAGE_POINTS];
	plans->count += !slot->given;
	hd_plan_free(&slot->plan);
	*slot = (struct plan_slot){.plan = plan, .given = true};
	plans->end = HD_MAX(plans->end, point + 1);
	return HYDRO_OK;
}

uint32_t hd_plans_count(const struct hd_plans *plans)
{
	return plans->count;
}

void hd_worker_swap_point(struct hd_worker *w, struct hd_point_block *block, uint32_t point)
{
	struct hd_swap *swap = w->swap;
	struct plan_slot *page = swap->plans->pages[point / HD_PAGE_POINTS];
	struct plan_slot *slot = page ? &page[point % HD_PAGE_POINTS] : NULL;
	if (!slot || !slot->given || slot->done)
		return;
	if (block->bits & HD_HOT_PENDING)
		hd_worker_execute(w);
	slot->done = true;
	if (!block->config)
		hd_block_refresh(w, block, point);
	struct hd_swap_report *report = &swap->of_worker[w->index];
	report->points++;
	if (hd_block_set_plan(w, block, point, slot->plan, report) != HYDRO_OK) {
		hd_pipeline_event(w->pipeline, HD_EVENT_ERROR, "no_memory", point, "a point keeps its old plan: no memory");
		(void)pthread_mutex_lock(&swap->lock);
		swap->failed++;
		(void)pthread_mutex_unlock(&swap->lock);
	}
	/* Without a plan and without a pipeline raw values pass again. */
	if (!block->shape && block->config)
		hd_block_refresh(w, block, point);
}

/* A reading gives one of them; the others are revisions of what was known. */
static uint64_t new_samples(const struct hd_worker *w)
{
	return w->count.samples - w->count.revisions;
}

static void finish(struct hd_worker *w)
{
	struct hd_swap *swap = w->swap;
	w->swap = NULL;
	struct hd_swap_report *own = &swap->of_worker[w->index];
	own->samples_in = w->count.readings - own->samples_in;
	own->samples_out = new_samples(w) - own->samples_out;
	(void)pthread_mutex_lock(&swap->lock);
	struct hd_swap_report *all = &swap->report;
	all->points += own->points;
	all->states_kept += own->states_kept;
	all->states_reset += own->states_reset;
	for (uint32_t i = 0; i < own->named; i++)
		hd_swap_report_name(all, own->names[i]);
	all->samples_in += own->samples_in;
	all->samples_out += own->samples_out;
	all->worst_pause_ns = HD_MAX(all->worst_pause_ns, own->worst_pause_ns);
	all->worst_cpu_ns = HD_MAX(all->worst_cpu_ns, own->worst_cpu_ns);
	if (--swap->left == 0)
		(void)pthread_cond_signal(&swap->done);
	(void)pthread_mutex_unlock(&swap->lock);
}

struct pause {
	int64_t began_ns, cpu_ns;
};

static struct pause begin_pause(void)
{
	return (struct pause){hd_clock_real_ns(), hd_clock_thread_cpu_ns()};
}

static void end_pause(struct hd_worker *w, struct pause pause)
{
	struct hd_swap_report *own = &w->swap->of_worker[w->index];
	own->worst_pause_ns = HD_MAX(own->worst_pause_ns, hd_clock_real_ns() - pause.began_ns);
	own->worst_cpu_ns = HD_MAX(own->worst_cpu_ns, hd_clock_thread_cpu_ns() - pause.cpu_ns);
}

bool hd_worker_swap_slice(struct hd_worker *w)
{
	struct hd_swap *swap = w->swap;
	struct pause pause = begin_pause();
	int64_t now = pause.began_ns;
	uint32_t looked = 0;
	while (w->swap_at < swap->plans->end && now - pause.began_ns < SLICE_NS) {
		if (++looked % SLICE_LOOK == 0)
			now = hd_clock_real_ns();
		uint32_t point = w->swap_at;
		const struct plan_slot *page = swap->plans->pages[point / HD_PAGE_POINTS];
		if (!page) {
			w->swap_at = (point / HD_PAGE_POINTS + 1) * HD_PAGE_POINTS;
			continue;
		}
		w->swap_at++;
		if (hd_pipeline_worker_of(w->pipeline, point) != w->index) /* first: another worker's slot is not ours to read */
			continue;
		if (!page[point % HD_PAGE_POINTS].given || page[point % HD_PAGE_POINTS].done)
			continue;
		struct hd_point_block *block = hd_pipeline_block(w->pipeline, point);
		if (block)
			hd_worker_swap_point(w, block, point);
	}
	end_pause(w, pause);
	if (w->swap_at < swap->plans->end)
		return true;
	finish(w);
	return false;
}

static void begin_swap(void *arg, struct hd_worker *w)
{
	struct hd_swap *swap = arg;
	struct pause pause = begin_pause();
	if (w->pending_count)
		hd_worker_execute(w); /* the batch boundary */
	swap->of_worker[w->index].samples_in = w->count.readings;
	swap->of_worker[w->index].samples_out = new_samples(w);
	w->swap = swap;
	w->swap_at = 0;
	end_pause(w, pause);
}

int hd_pipeline_swap(struct hd_pipeline *p, struct hd_plans *plans, struct hd_swap_report *ret, struct hydro_error *err)
{
	struct hd_swap swap = {.plans = plans};
	swap.of_worker = calloc(p->worker_count, sizeof *swap.of_worker);
	if (!swap.of_worker) {
		hd_plans_free(&plans);
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a swap");
	}
	(void)pthread_mutex_init(&swap.lock, NULL);
	(void)pthread_cond_init(&swap.done, NULL);
	(void)pthread_mutex_lock(&p->swap_lock);
	uint32_t posted = 0;
	swap.left = p->worker_count;
	while (posted < p->worker_count && hd_pipeline_post_wait(p, posted, begin_swap, &swap))
		posted++;
	(void)pthread_mutex_lock(&swap.lock);
	swap.left -= p->worker_count - posted; /* drained meanwhile: those will not come */
	while (swap.left)
		(void)pthread_cond_wait(&swap.done, &swap.lock);
	(void)pthread_mutex_unlock(&swap.lock);
	(void)pthread_mutex_unlock(&p->swap_lock);
	int rc = HYDRO_OK;
	if (posted < p->worker_count)
		rc = hd_error_set(err, HYDRO_E_CONFLICT, "the pipeline is draining");
	else if (swap.failed)
		rc = hd_error_set(err, HYDRO_E_NOMEM, "%u points keep their old plan: no memory", swap.failed);
	else
		*ret = swap.report;
	hd_plans_free(&plans);
	free(swap.of_worker);
	(void)pthread_mutex_destroy(&swap.lock);
	(void)pthread_cond_destroy(&swap.done);
	return rc;
}
