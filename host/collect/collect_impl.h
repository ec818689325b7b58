/* SPDX-License-Identifier: MIT */
/* What the files of this folder share; nobody else includes it. All state is the io thread's unless said otherwise. */
#ifndef HD_COLLECT_IMPL_H
#define HD_COLLECT_IMPL_H

#include "base/clock.h"
#include "base/hash.h"
#include "base/map.h"
#include "collect/collect.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define COLLECT_MAGIC 0x434f4c31u
#define NEVER_MS INT64_MAX
#define REASON_BYTES 200u
#define WORKERS_MAX 64u

/* ---- the schedule: 32 bytes a point with its due time and its place in the heap ---- */

enum entry_state {
	ENTRY_OFF,     /* not active, or no such provider */
	ENTRY_TIMED,   /* in the heap; link = place */
	ENTRY_READY,   /* due, in its account's ready list; link = next */
	ENTRY_BACKLOG, /* has a long gap, in its account's backlog; link = next */
	ENTRY_POLLING, /* a poll has it */
};

#define ENTRY_QUIET 1u   /* all since the newest reading has been asked for and there was nothing */
#define ENTRY_DENIED 2u  /* 401 also after a new login: no login for its sake */
#define ENTRY_CHANGED 4u /* configuration changed while polled */
#define ENTRY_RESTING 8u /* a poll with good parts waits to ask the failed ones again */
#define ENTRY_DOUBT 32u  /* a part had nothing while others had data: asked once more, now believed */
#define ENTRY_OVERLAP 64u /* owes a look at the recent past, */
#define ENTRY_DEEP 128u   /* and one further back, until a poll with it was good */
#define ENTRY_NOW 16u    /* wanted again as soon as its poll is over */

struct entry {
	uint32_t link;
	uint32_t account;  /* slot */
	uint32_t period_s;
	uint32_t behind_s; /* wall clock; what is newer has to be asked again because a part failed; 0 = nothing */
	uint8_t state, bits;
	uint8_t failures;  /* in a row */
	uint8_t outcome;   /* HYDRO_PART_* of the last poll */
};

struct schedule {
	struct entry *entries;
	int64_t *due_ms; /* hd_clock_mono in ms */
	uint32_t count, entry_capacity, due_capacity;
	uint32_t *heap;
	uint32_t heap_count, heap_capacity;
};

/* Entries up to and with `index` exist, new ones OFF; false without memory. */
bool schedule_reserve(struct schedule *s, uint32_t index);
void schedule_done(struct schedule *s);
/* Puts an entry that is nowhere into the heap. */
void schedule_put(struct schedule *s, uint32_t index, int64_t due_ms);
void schedule_remove(struct schedule *s, uint32_t index);
/* Due time of the first, NEVER_MS when empty. */
int64_t schedule_first_ms(const struct schedule *s);
uint32_t schedule_pop(struct schedule *s);
/* The next time after now_ms on the point's grid: its phase is spread by a hash of its index. */
int64_t schedule_next_ms(uint32_t index, uint32_t period_s, int64_t origin_ms, int64_t now_ms);

/* ---- options, parsed once per version of a point ---- */

struct options {
	uint32_t refs;
	uint32_t provider;
	uint64_t version;
	void *handle;
	const hydro_options *view;
};

/* ---- accounts ---- */

struct token {
	uint32_t refs;
	uint64_t number;
	char text[];
};

enum token_state { TOKEN_NONE, TOKEN_OK, TOKEN_WAITING, TOKEN_REFUSED };
enum circuit_state { CIRCUIT_CLOSED, CIRCUIT_OPEN, CIRCUIT_HALF_OPEN };

struct list {
	uint32_t head, tail; /* indices of entries, HD_POINT_NONE when empty */
	uint32_t count;
};

struct account {
	struct hd_collect *collect;
	uint32_t slot, id;
	uint32_t provider;
	uint64_t version;
	struct options *options;
	/* login */
	struct token *token;
	uint64_t token_numbers;
	bool token_good;    /* something was answered well with it */
	bool token_refused; /* a 401 with the present number */
	bool logging_in;
	int64_t good_ms;    /* mono; when something was last answered well */
	int64_t expires_ms, refresh_ms; /* wall clock, 0 = unknown */
	uint32_t login_failures;
	int64_t login_at_ms; /* mono; not before */
	enum token_state token_state;
	/* what waits */
	struct list ready, backlog;
	struct poll *send_head, *send_tail;
	uint32_t polls, backlog_polls;
	bool active; /* in collect->active */
	/* pace */
	double tokens;
	int64_t tokens_ns;
	int64_t pause_ms; /* mono; Retry-After */
	enum circuit_state circuit;
	uint32_t failures_in_a_row, circuit_opens_in_a_row;
	int64_t circuit_at_ms; /* mono; when a probe may go */
	bool probing;
	char problem[REASON_BYTES]; /* why options is NULL */
};

/* ---- work for a worker ---- */

/* Embedded in what it works on. All of one round for one worker go over together: one wake-up, one place in its queue. */
struct errand {
	struct errand *next;
	void (*run)(void *arg, struct hd_worker *w);
	void (*drop)(void *arg); /* instead of run, on the io thread, when there are no workers any more */
	void *arg;
	uint32_t worker;
};

struct outbox {
	struct errand *head, *tail;
	bool full; /* the worker took nothing at the last try */
};

/* ---- polls ---- */

#define POLL_DRY 1u
#define POLL_SLICED 2u     /* fills a long gap, slice by slice */
#define POLL_RELOGGED 4u   /* asks again after a new login */
#define POLL_INFRA 8u      /* a part failed for reasons of the service as a whole */
#define POLL_ANSWERED 16u  /* the service answered something */
#define POLL_FED 32u       /* the worker has fed what was there */
#define POLL_HOLDING 64u   /* live readings of the point wait */
#define POLL_RETRY 128u
#define POLL_GOOD_TOKEN 256u
#define POLL_DOUBT 512u /* a part had nothing while others had data */
#define POLL_OVERLAP 1024u /* its window covers the entry's mark */
#define POLL_DEEP 2048u
#define POLL_FAILURES_MAX 255u /* in a row: from then on what a part owes is not asked again */

struct poll {
	struct hd_net_job job; /* first: the way back to the io thread */
	struct hd_collect *collect;
	struct account *account;
	const struct hd_point *point;
	struct options *options, *account_options;
	struct token *token;
	struct poll *next; /* send queue, pool */
	struct errand errand;
	struct dry *dry;
	uint64_t number;
	uint32_t index, worker;
	uint32_t bits;
	uint32_t mode;
	int64_t from_ms, to_ms; /* of this slice */
	int64_t end_ms;         /* of the window */
	int64_t begin_ms;       /* of the window, looks back for late data aside */
	int64_t now_ms;
	uint32_t parts, part, pages, stale_tries, page_tries;
	uint32_t parts_left, failed; /* masks of parts: still to be asked; that did not answer well */
	unsigned char continuation[HYDRO_CONTINUATION_BYTES];
	uint32_t continuation_len;
	/* the answer */
	struct hd_buf body;
	char content_type[64];
	uint32_t status;
	int64_t retry_after_ms, received_ms;
	int64_t received_ns; /* of the oldest answer */
	/* the worker's verdict */
	uint32_t verdict; /* HYDRO_PART_* */
	char reason[REASON_BYTES];
	bool stopped; /* the page chain made no progress */
	int64_t page_newest_ms;
	/* what was received */
	hydro_raw *raws;
	uint32_t raw_count, raw_capacity;
	uint64_t raws_total;
	int64_t newest_ms;
	uint16_t part_status[HD_COLLECT_PARTS_MAX];
	uint8_t outcome[HD_COLLECT_PARTS_MAX];
};

/* ---- health ---- */

#define HEALTH_MINUTES 15u
#define HEALTH_FAILURES 8u

struct failure_note {
	struct hd_uuid point;
	int64_t at_ms; /* wall */
	uint32_t part, status;
	char reason[REASON_BYTES];
};

struct provider {
	struct hd_collect_provider config;
	struct hd_collect_counters counters;
	uint32_t points; /* active */
	struct {
		int64_t minute;
		uint32_t good, bad;
	} window[HEALTH_MINUTES];
	bool reachable;
	int64_t reachable_since_ms; /* wall; of the last change */
	int64_t down_since_ms;      /* atomic; wall; 0 = reachable, or not known yet */
	int64_t newest_ms;          /* of all data */
	int64_t last_good_ms;       /* wall */
	uint32_t failure_count;
	struct failure_note failures[HEALTH_FAILURES];
	struct stream *stream;
	bool latest_only;           /* its instance has no history, whatever its plugin can */
	uint32_t sweep_next, sweep_end; /* collect now, in slices */
};

/* ---- the collector ---- */

struct change;

struct hd_collect {
	uint32_t magic;
	struct hd_collect_config config;
	struct hd_collect_ops ops;
	struct provider *providers;
	uint32_t provider_count;
	int64_t origin_ms; /* mono - wall at open: grids keep their place over restarts */
	struct schedule schedule;
	struct account **accounts; /* by slot */
	uint32_t account_count, account_capacity;
	struct account **active;
	uint32_t active_count, active_capacity;
	const struct account *served; /* the last that started a poll */
	struct options **cache;
	uint32_t *cache_index; /* point of each place */
	struct hd_map resting; /* point → poll */
	uint32_t resting_count;
	struct poll *pool, *all; /* pool by next */
	uint32_t pool_count;
	uint32_t polls; /* admitted and not over */
	uint32_t busy;  /* requests and worker jobs under way */
	struct outbox outbox[WORKERS_MAX]; /* by worker */
	uint64_t numbers, random;
	char *scratch;
	size_t scratch_size;
	bool draining;
	atomic_bool drained;
	bool closed;
	pthread_mutex_t changes_lock; /* guards: changes, slots, slot_count, watching */
	struct change *changes;
	uint32_t change_count, change_capacity;
	struct hd_map slots; /* (provider, account) → slot */
	uint32_t slot_count;
	bool watching;
};

static inline int64_t mono_ms(void) { return hd_clock_mono_ns() / HD_NS_PER_MS; }

/* schedule and admission: admit.c */
void account_activate(struct account *account);
/* Starts what may start; the mono ms at which it wants to be asked again, NEVER_MS when an event will. */
int64_t account_dispatch(struct account *account, int64_t now_ms);
void list_push(struct hd_collect *c, struct list *list, uint32_t index, enum entry_state state);
uint32_t list_pop(struct hd_collect *c, struct list *list);
void list_remove(struct hd_collect *c, struct list *list, uint32_t index);
/* Takes an entry from wherever it waits. */
void entry_detach(struct hd_collect *c, uint32_t index);
void entry_ready(struct hd_collect *c, uint32_t index);
/* After its poll: the next time, or off. */
void entry_after(struct hd_collect *c, uint32_t index, bool retry);
void send_push(struct account *account, struct poll *poll, bool first);

/* poll.c */
struct poll *poll_new(struct hd_collect *c, struct account *account, uint32_t index);
void poll_free(struct poll *poll);
void poll_send(struct poll *poll);
/* The part came to this; goes on with the next part or the end of the poll. */
void poll_part_over(struct poll *poll, uint32_t outcome, uint32_t status, const char *reason);
/* The worker has judged the answer. */
void poll_judged(struct hd_net_job *job);
/* Sets mode and times of what it asks for. */
void poll_window(struct poll *poll);
/* The poll is over and what was to be fed is fed. */
void poll_over(struct poll *poll);
/* No worker takes its errand any more. */
void poll_dropped(void *arg);
void poll_fail_waiting(struct account *account, const char *reason);
void poll_fill(const struct poll *poll, hydro_poll *ret);

/* answer.c: the worker's half */
/* Runs on the worker; busy until errand_back. */
void errand_post(struct hd_collect *c, struct errand *errand);
void answer_parse(void *arg, struct hd_worker *w);
void answer_feed(void *arg, struct hd_worker *w);
/* Finite, a timestamp of 1990 to 2100, a metric. [any] */
bool raws_valid(const hydro_raw *values, uint32_t count);
/* Hands over what has gathered; true when a full worker left something. */
bool outboxes_flush(struct hd_collect *c);
/* Ends what no worker takes any more. */
void outboxes_drop(struct hd_collect *c);
/* The errand's answer is on the io thread. */
static inline void errand_back(struct hd_collect *c) { c->busy--; }
bool worker_is_full(const struct hd_collect *c, uint32_t worker);

/* account.c */
void account_free(struct account *account);
bool account_token_usable(const struct account *account);
/* Begins a login unless one runs or it is too early. */
void account_login(struct account *account, int64_t now_ms);
void account_unauthorized(struct poll *poll);
void account_answered(struct account *account, const struct poll *poll, int64_t now_ms);

bool account_circuit_lets(struct account *account, int64_t now_ms);
/* Takes a request from the bucket; else the ms until there is one. */
int64_t account_rate_take(struct account *account);
struct token *token_ref(struct token *token);
void token_unref(struct token *token);

/* options.c */
struct options *options_point(struct hd_collect *c, const struct hd_point *point, uint32_t provider, struct hydro_error *err);
struct options *options_make(struct hd_collect *c, uint32_t provider, uint32_t scope, const char *json, uint64_t version,
			     struct hydro_error *err);
static inline struct options *options_ref(struct options *options)
{
	if (options)
		options->refs++;
	return options;
}
void options_unref(struct hd_collect *c, struct options *options);
int options_cache_init(struct hd_collect *c);
void options_cache_done(struct hd_collect *c);

/* changes.c */
void changes_watch(void *arg, const struct hd_point *old, const struct hd_point *now);
int changes_scan(struct hd_collect *c, struct hydro_error *err);
void changes_apply(struct hd_collect *c);
void changes_done(struct hd_collect *c);
/* After a poll during which its point changed: back into the schedule, or off. */
void change_resume(struct hd_collect *c, uint32_t index);
/* Index of a provider's name, or UINT32_MAX. [any] */
uint32_t provider_find(const struct hd_collect *c, const char *name);

/* health.c */
void health_poll(struct hd_collect *c, struct poll *poll, bool good);
void health_reachable(struct provider *provider, bool reachable);
void health_failure(struct provider *provider, const struct poll *poll, uint32_t part, uint32_t status, const char *reason);
void health_event(struct hd_collect *c, uint32_t level, const char *event, const char *fmt, ...) HD_PRINTF(4, 5);

/* dry.c */
void dry_request(struct poll *poll, const hydro_http_request *request);
void dry_answer(struct poll *poll, uint32_t status, const char *failure);
void dry_part_over(struct poll *poll, uint32_t outcome, const char *reason);
void dry_over(struct poll *poll);

/* stream.c */
/* Makes the streams; subscribes; refuses more and gives back what no worker has; stops the plugins. [control] */
int streams_prepare(struct hd_collect *c, struct hydro_error *err);
int streams_open(struct hd_collect *c, struct hydro_error *err);
void streams_quiesce(struct hd_collect *c);
void streams_end(struct hd_collect *c);
void streams_free(struct hd_collect *c);
/* The key of a point for the messages of its provider; `gone`: no longer. */
void stream_key(struct hd_collect *c, uint32_t provider, uint32_t index, const struct options *options, bool gone);
void streams_repost(struct hd_collect *c);
bool streams_parked(struct hd_collect *c);
/* Something is at a worker or waits for the disk. */
bool streams_busy(struct hd_collect *c);
/* Brings the provider's counters and health up to its stream's. */
void stream_sum(struct provider *provider);
void stream_status(const struct provider *provider, struct hd_buf *ret);

/* Helpers for all. */
/* More scratch for a plugin that asked for it; false above HD_COLLECT_SCRATCH_BYTES_MAX or without memory. */
bool scratch_grow(struct hd_collect *c, size_t wanted);
uint64_t random_next(struct hd_collect *c);
/* Between half of ms and ms. */
int64_t jitter_ms(struct hd_collect *c, int64_t ms);
/* base doubled `times` times, at most `max`. */
int64_t backoff_ms(int64_t base, uint32_t times, int64_t max);
static inline struct provider *provider_of(const struct account *a) { return &a->collect->providers[a->provider]; }

#endif
