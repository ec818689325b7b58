/* SPDX-License-Identifier: MIT */
#include "pipeline/detect.h"

#include "base/clock.h"
#include "base/hash.h"
#include "model/flags.h"
#include "pipeline/plan.h"
#include "pipeline/pipeline.h"

#include <hydro/conv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TELL_EVERY_NS (60 * HD_NS_PER_S)
#define FENCE_BYTES 32u
#define FENCE_BYTE 0xa5

/* What a detector may say of a value; all else is the host's own to say. */
static bool may_set(uint32_t flag)
{
	switch (flag) {
	case HD_FLAG_OUT_OF_RANGE:
	case HD_FLAG_FROZEN:
	case HD_FLAG_NOISE:
	case HD_FLAG_JUMP:
	case HD_FLAG_PUMPING_DRY:
	case HD_FLAG_SPIKE:
	case HD_FLAG_RATE_OF_CHANGE:
	case HD_FLAG_ANOMALY:
	case HD_FLAG_BALANCE:
		return true;
	default:
		return false;
	}
}

_Static_assert(HYDRO_FLAG_OUT_OF_RANGE == HD_FLAG_OUT_OF_RANGE && HYDRO_FLAG_FROZEN == HD_FLAG_FROZEN && HYDRO_FLAG_NOISE == HD_FLAG_NOISE &&
		       HYDRO_FLAG_JUMP == HD_FLAG_JUMP && HYDRO_FLAG_PUMPING_DRY == HD_FLAG_PUMPING_DRY && HYDRO_FLAG_SPIKE == HD_FLAG_SPIKE &&
		       HYDRO_FLAG_RATE_OF_CHANGE == HD_FLAG_RATE_OF_CHANGE && HYDRO_FLAG_ANOMALY == HD_FLAG_ANOMALY && HYDRO_FLAG_BALANCE == HD_FLAG_BALANCE,
	       "the SDK's numbers of flags are the host's");

/* ---- the list ---- */

static void detector_free(struct hd_detector *d)
{
	hd_options_unref(&d->point);
	(void)pthread_mutex_destroy(&d->migrate);
	free(d);
}

int hd_detectors_add(struct hd_detectors *detectors, const char *name, const struct hd_instance *instance, const struct hd_descriptor *descriptor,
		     struct hd_names *names, struct hydro_error *err)
{
	if (descriptor->plugin.kind != HYDRO_KIND_ANALYTICS)
		return hd_error_set(err, HYDRO_E_CONFIG, "plugin %s is a %s, not analytics", descriptor->plugin.name, hd_kind_name(descriptor->plugin.kind));
	if (detectors->count == HD_DETECTORS_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "more than %u instances of analytics", HD_DETECTORS_MAX);
	struct hd_detector *d = calloc(1, sizeof *d);
	if (!d)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for an instance of analytics");
	(void)pthread_mutex_init(&d->migrate, NULL);
	const hydro_analytics_ops *ops = &descriptor->ops.analytics;
	(void)snprintf(d->name, sizeof d->name, "%s", name);
	(void)snprintf(d->plugin, sizeof d->plugin, "%s", descriptor->plugin.name);
	(void)snprintf(d->version, sizeof d->version, "%.39s", descriptor->plugin.version);
	d->face = instance ? hd_instance_analytics(instance) : NULL;
	d->updates_points = ops->capabilities & HYDRO_ANALYTICS_UPDATE && ops->update && ops->state_init;
	d->state_size = d->updates_points ? ops->state_size : 0;
	d->state_version = ops->state_version;
	d->plugin_hash = (uint16_t)hd_hash(d->plugin, strlen(d->plugin));
	d->event = detectors->event;
	d->event_arg = detectors->event_arg;
	int rc = hd_options_parse(descriptor, HYDRO_SCOPE_POINT, NULL, names, &d->point, err);
	if (rc != HYDRO_OK) {
		detector_free(d);
		return rc;
	}
	detectors->list[detectors->count++] = d;
	return HYDRO_OK;
}

void hd_detectors_done(struct hd_detectors *detectors)
{
	for (uint32_t i = 0; i < detectors->count; i++)
		detector_free(detectors->list[i]);
	detectors->count = 0;
}

/* ---- calls ---- */

/* Room for the largest state with a fence behind it. */
struct workspace {
	_Alignas(64) uint8_t bytes[HD_PLAN_STATE_BYTES_MAX + FENCE_BYTES];
};

static void fence(struct workspace *space, uint32_t size)
{
	memset(space->bytes + size, FENCE_BYTE, FENCE_BYTES);
}

static bool fence_holds(const struct workspace *space, uint32_t size)
{
	for (uint32_t i = 0; i < FENCE_BYTES; i++)
		if (space->bytes[size + i] != FENCE_BYTE)
			return false;
	return true;
}

static int failed(struct hd_detector *d, const char *what)
{
	atomic_fetch_add_explicit(&d->failures, 1, memory_order_relaxed);
	int64_t now = hd_clock_mono_ns(), told = atomic_load(&d->told_ns);
	if (d->event && (!told || now - told > TELL_EVERY_NS) && atomic_compare_exchange_strong(&d->told_ns, &told, now)) {
		char text[256];
		(void)snprintf(text, sizeof text, "analytics %s (plugin %s %s): %s; the reading goes on, flagged unannotated (%llu so far)", d->name, d->plugin,
			       d->version, what, (unsigned long long)atomic_load(&d->failures));
		d->event(d->event_arg, HD_EVENT_WARN, "detector_failed", text);
	}
	return HYDRO_E_FATAL;
}

/* NULL = in order. */
static const char *fault_of(int32_t rc, const hydro_annotation *a)
{
	if (rc != HYDRO_OK)
		return "update failed";
	if (!(a->score >= 0.0 && a->score <= 1.0))
		return "its score is not within 0 … 1";
	if (isnan(a->quality) || a->quality > 1.0f)
		return "its quality is not within 0 … 1";
	if (a->flag && !may_set(a->flag))
		return "its flag is not one that a detector may set";
	return NULL;
}

int hd_detector_update(struct hd_detector *d, uint8_t *state, const hydro_sample *sample, const void *point_id, hydro_annotation *ret)
{
	struct workspace space;
	struct hd_detect_head *head = (struct hd_detect_head *)(void *)state;
	const struct hd_analytics *face = d->face;
	uint8_t *kept = state + sizeof *head;
	bool begins = head->version == 0;
	if (!begins)
		memcpy(space.bytes, kept, d->state_size);
	else
		memset(space.bytes, 0, d->state_size);
	fence(&space, d->state_size);
	*ret = (hydro_annotation){.struct_size = sizeof *ret, .quality = -1.0f};
	hd_crumb_enter(face->crumb, point_id);
	if (begins)
		face->ops.state_init(face->self, hd_options_abi(d->point), space.bytes);
	int32_t rc = face->ops.update(face->self, space.bytes, sample, ret);
	hd_crumb_leave();
	if (HD_UNLIKELY(!fence_holds(&space, d->state_size)))
		return failed(d, "it wrote behind its state");
	const char *fault = fault_of(rc, ret);
	if (HD_UNLIKELY(fault != NULL))
		return failed(d, fault);
	memcpy(kept, space.bytes, d->state_size);
	*head = (struct hd_detect_head){d->state_version + 1, (uint16_t)d->state_size, d->plugin_hash};
	atomic_fetch_add_explicit(&d->samples, 1, memory_order_relaxed);
	if (ret->flag)
		atomic_fetch_add_explicit(&d->flagged, 1, memory_order_relaxed);
	return HYDRO_OK;
}

/* The old state through the plugin's own migrate. */
static bool migrate(struct hd_detector *d, const struct hd_detect_head *old, const uint8_t *from, uint8_t *to)
{
	struct workspace before, after;
	struct hydro_error err = {.struct_size = sizeof err};
	const struct hd_analytics *face = d->face;
	if (!face || !face->ops.migrate || old->size > HD_PLAN_STATE_BYTES_MAX)
		return false;
	memcpy(before.bytes, from, old->size);
	memset(after.bytes, 0, d->state_size);
	fence(&after, d->state_size);
	(void)pthread_mutex_lock(&d->migrate);
	hd_crumb_enter(face->crumb, NULL);
	int32_t rc = face->ops.migrate(face->self, old->version - 1, before.bytes, after.bytes, &err);
	hd_crumb_leave();
	(void)pthread_mutex_unlock(&d->migrate);
	if (rc != HYDRO_OK || !fence_holds(&after, d->state_size)) {
		(void)failed(d, rc != HYDRO_OK ? "it cannot carry over the state of an earlier version" : "it wrote behind its state");
		return false;
	}
	memcpy(to + sizeof *old, after.bytes, d->state_size);
	return true;
}

bool hd_detector_take_state(struct hd_detector *d, const uint8_t *from, uint32_t from_bytes, uint8_t *to)
{
	struct hd_detect_head head;
	if (from_bytes < sizeof head)
		return false;
	memcpy(&head, from, sizeof head);
	if (head.version == 0)
		return true; /* nothing to carry over */
	if (head.size > from_bytes - sizeof head || head.plugin != d->plugin_hash)
		return false;
	bool same = head.version == d->state_version + 1 && head.size == d->state_size;
	if (same)
		memcpy(to + sizeof head, from + sizeof head, d->state_size);
	else if (!migrate(d, &head, from + sizeof head, to))
		return false;
	head = (struct hd_detect_head){d->state_version + 1, (uint16_t)d->state_size, d->plugin_hash};
	memcpy(to, &head, sizeof head);
	return true;
}
