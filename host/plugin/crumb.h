/* SPDX-License-Identifier: MIT */
/*
 * Breadcrumbs: which instance each thread is inside, in a mapped file that outlives a crash. A fatal signal taken inside a
 * plugin marks the thread's crumb, so a kill -9 or a power cut blames nobody. One set of crumbs per process.
 */
#ifndef HD_PLUGIN_CRUMB_H
#define HD_PLUGIN_CRUMB_H

#include "base/error.h"

#include <stdbool.h>
#include <string.h>

#define HD_CRUMB_THREADS_MAX 512u
#define HD_CRUMB_INSTANCES_MAX 1024u
#define HD_CRUMB_NONE 0u
#define HD_CRUMB_HANG (-1) /* in place of a signal's number: the watchdog found it hung */

/* 64 bytes, one cache line per thread. */
struct hd_crumb_slot {
	uint32_t crumb;      /* HD_CRUMB_NONE = outside; written last on entering */
	uint32_t entries;    /* counts enters: the same number twice, and inside, is the same call */
	uint8_t point[16];   /* id of the point; all zero = none */
	int32_t fatal;       /* signal taken inside, or HD_CRUMB_HANG; 0 = none */
	int32_t tid;         /* 0 = free */
	uint32_t left;       /* its call was given up: the watchdog passes it by */
	uint8_t reserved[28];
};

struct hd_crumb_where {
	char instance[64];
	char plugin[40];
	char version[40];
	char hash[65];     /* of the plugin's file */
	uint8_t point[16]; /* all zero = none */
	int32_t fatal;
};

/* Maps `path` afresh (what it held is gone: read it before), installs handlers for SEGV, BUS, ILL, FPE, ABRT that mark and
 * then let the signal take its course. NULL path: in memory only, no handlers. HYDRO_E_IO, HYDRO_E_CONFLICT when open. [control] */
int hd_crumbs_open(const char *path, struct hydro_error *err);
/* Unmaps; no thread may be inside a plugin. The file then says that the end was orderly. [control] */
void hd_crumbs_close(void);
/* Who was inside when the process that wrote `path` crashed: up to `max` of them; *ret_count = 0 without file or crash. [control] */
int hd_crumbs_read(const char *path, struct hd_crumb_where *ret, size_t max, size_t *ret_count, struct hydro_error *err);
/* A number for hd_crumb_enter; the same texts give the same number. HYDRO_E_LIMIT beyond HD_CRUMB_INSTANCES_MAX. [control] */
int hd_crumb_register(const char *instance, const char *plugin, const char *version, const char *hash, uint32_t *ret, struct hydro_error *err);
/* What a number stands for; false for an unknown one. [any] */
bool hd_crumb_describe(uint32_t crumb, struct hd_crumb_where *ret);

/* This thread's slot; internal to the two below. */
extern _Thread_local struct hd_crumb_slot *hd_crumb_slot_;
extern _Thread_local uint32_t hd_crumb_generation_;
extern uint32_t hd_crumb_current_;
struct hd_crumb_slot *hd_crumb_claim_(void);

/* Before each call into a plugin: its number and the point's id (16 bytes; NULL = none). A few stores; does not nest. [any] */
static inline void hd_crumb_enter(uint32_t crumb, const void *point)
{
	struct hd_crumb_slot *slot = hd_crumb_slot_;
	if (HD_UNLIKELY(!slot || hd_crumb_generation_ != __atomic_load_n(&hd_crumb_current_, __ATOMIC_RELAXED)))
		slot = hd_crumb_claim_();
	if (point)
		memcpy(slot->point, point, sizeof slot->point);
	else
		memset(slot->point, 0, sizeof slot->point);
	__atomic_store_n(&slot->entries, slot->entries + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->crumb, crumb, __ATOMIC_RELEASE);
}

/* Marks the slot of a thread whose call was given up and that was left behind. [any] */
static inline void hd_crumb_give_up(struct hd_crumb_slot *slot)
{
	__atomic_store_n(&slot->left, 1, __ATOMIC_RELEASE);
}

static inline void hd_crumb_leave(void)
{
	if (HD_LIKELY(hd_crumb_slot_ != NULL))
		__atomic_store_n(&hd_crumb_slot_->crumb, HD_CRUMB_NONE, __ATOMIC_RELEASE);
}

/*
 * The watchdog's look: a thread that was inside the same call at a look at least limit_ns ago is hung. Returns the number of
 * hung ones and describes the first; hd_crumbs_abort_hung marks it and aborts the daemon on purpose. [control, plugin-watch]
 */
size_t hd_crumbs_check_hung(int64_t now_ns, int64_t limit_ns, struct hd_crumb_where *ret);
_Noreturn void hd_crumbs_abort_hung(void);

#endif
