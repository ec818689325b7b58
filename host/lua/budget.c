/* SPDX-License-Identifier: MIT */
#include "lua/budget.h"

#include "base/clock.h"
#include "base/thread.h"

#include <errno.h>
#include <lua.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * ThreadSanitizer holds back signals until the thread calls something it intercepts, which a Lua loop never does; the
 * "synchronous" ones it lets through.
 */
#ifdef __SANITIZE_THREAD__
#define HD_BUDGET_SIGNAL SIGSYS
#else
#define HD_BUDGET_SIGNAL (SIGRTMIN + 4)
#endif

#define POLL_NS 1000000     /* while something runs */
#define POLL_CLOSE_NS 250000 /* while a call is known to be long */
#define IDLE_POLLS 20u      /* then sleep until somebody calls */

/* `running` holds the call's number, shifted, and these bits; 0 = no call. */
#define BIT_KILLING 1u /* the watchdog is about to signal: the call may not end before it has */
#define CALL_SHIFT 1u

struct hd_budget {
	struct hd_watchdog *watchdog;
	lua_State *L;
	struct hd_budget *outer; /* of the same thread, under way */
	uint64_t next_call;
	pthread_t thread;    /* written before `running` is set, read by the watchdog while it is */
	_Atomic uint32_t cpu_us, wall_ms;
	_Atomic uint64_t running;
	_Atomic uint64_t killed;  /* call number that the signal is for */
	_Atomic uint32_t kill_why;
	volatile sig_atomic_t over; /* written by this thread and its handler only */
	/* The watchdog's own: */
	uint64_t seen_call;
	int64_t seen_cpu_ns, seen_real_ns;
	clockid_t cpu_clock;
	struct hd_budget *next;
};

struct hd_watchdog {
	pthread_t thread;
	pthread_mutex_t mutex; /* guards: budgets, stopping, woken */
	pthread_cond_t cond;
	struct hd_budget *budgets;
	bool stopping;
	bool woken;
	_Atomic uint32_t asleep;
};

/* The innermost call under way on this thread. Read by the signal handler. */
static _Thread_local struct hd_budget *volatile current __attribute__((tls_model("initial-exec")));
static _Thread_local bool unblocked;

/* Raises at every instruction until the chunk has left. The value needs no memory. */
static void stop_hook(lua_State *L, lua_Debug *ar)
{
	(void)ar;
	lua_pushlightuserdata(L, (void *)(uintptr_t)&stop_hook);
	(void)lua_error(L);
}

static void arm(struct hd_budget *budget, uint32_t why)
{
	if (budget->over)
		return;
	budget->over = (sig_atomic_t)why;
	lua_sethook(budget->L, stop_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

static void on_signal(int number)
{
	(void)number;
	int saved = errno;
	for (struct hd_budget *budget = current; budget; budget = budget->outer) {
		uint64_t running = atomic_load_explicit(&budget->running, memory_order_relaxed);
		if (running && running >> CALL_SHIFT == atomic_load_explicit(&budget->killed, memory_order_relaxed))
			arm(budget, atomic_load_explicit(&budget->kill_why, memory_order_relaxed));
	}
	errno = saved;
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;
	if (clock_gettime(clock, &ts) != 0)
		return -1;
	return ts.tv_sec * HD_NS_PER_S + ts.tv_nsec;
}

/* Signals the call, unless it has ended; it cannot end (nor its thread) between the two exchanges. */
static void kill_call(struct hd_budget *budget, uint64_t running, uint32_t why)
{
	atomic_store(&budget->kill_why, why);
	atomic_store(&budget->killed, running >> CALL_SHIFT);
	uint64_t expected = running;
	if (!atomic_compare_exchange_strong(&budget->running, &expected, running | BIT_KILLING))
		return;
	(void)pthread_kill(budget->thread, HD_BUDGET_SIGNAL);
	atomic_store(&budget->running, running);
}

/* Looks at one state; false when nothing has run in it since the last look. */
static bool look(struct hd_budget *budget, int64_t real_ns, bool *ret_close)
{
	uint64_t running = atomic_load(&budget->running);
	if (running == 0)
		return false;
	if (running != budget->seen_call) {
		/* The call cannot end while its clock is asked for: its thread could be gone. */
		uint64_t expected = running;
		if (!atomic_compare_exchange_strong(&budget->running, &expected, running | BIT_KILLING))
			return true;
		budget->seen_cpu_ns = pthread_getcpuclockid(budget->thread, &budget->cpu_clock) == 0 ? clock_ns(budget->cpu_clock) : -1;
		atomic_store(&budget->running, running);
		budget->seen_call = running;
		budget->seen_real_ns = real_ns;
		return true;
	}
	*ret_close = true;
	int64_t wall_ns = real_ns - budget->seen_real_ns;
	/* The clock id names the thread to the kernel: of a thread that is gone it answers with an error. */
	int64_t cpu_ns = clock_ns(budget->cpu_clock);
	if (cpu_ns >= 0 && budget->seen_cpu_ns >= 0 && cpu_ns - budget->seen_cpu_ns >= (int64_t)budget->cpu_us * 1000)
		kill_call(budget, running, HD_STOP_CPU);
	else if (wall_ns >= (int64_t)budget->wall_ms * HD_NS_PER_MS)
		kill_call(budget, running, HD_STOP_WALL);
	return true;
}

static void wait_for_a_call(struct hd_watchdog *watchdog)
{
	watchdog->woken = false;
	atomic_store(&watchdog->asleep, 1);
	for (struct hd_budget *budget = watchdog->budgets; budget; budget = budget->next)
		if (atomic_load(&budget->running))
			watchdog->woken = true;
	while (!watchdog->woken && !watchdog->stopping)
		(void)pthread_cond_wait(&watchdog->cond, &watchdog->mutex);
	atomic_store(&watchdog->asleep, 0);
}

static void *watch(void *arg)
{
	struct hd_watchdog *watchdog = arg;
	uint32_t idle = 0;
	(void)pthread_mutex_lock(&watchdog->mutex);
	while (!watchdog->stopping) {
		bool busy = false, close = false;
		int64_t real_ns = hd_clock_real_ns();
		for (struct hd_budget *budget = watchdog->budgets; budget; budget = budget->next)
			busy |= look(budget, real_ns, &close);
		idle = busy ? 0 : idle + 1;
		if (idle >= IDLE_POLLS) {
			wait_for_a_call(watchdog);
			idle = 0;
		}
		(void)pthread_mutex_unlock(&watchdog->mutex);
		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = close ? POLL_CLOSE_NS : POLL_NS}, NULL);
		(void)pthread_mutex_lock(&watchdog->mutex);
	}
	(void)pthread_mutex_unlock(&watchdog->mutex);
	return NULL;
}

int hd_watchdog_new(struct hd_watchdog **ret, struct hydro_error *err)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	(void)sigemptyset(&action.sa_mask);
	if (sigaction(HD_BUDGET_SIGNAL, &action, NULL) != 0)
		return hd_error_errno(err, HYDRO_E_FATAL, errno, "the handler for Lua budgets");
	struct hd_watchdog *watchdog = calloc(1, sizeof *watchdog);
	if (!watchdog)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the Lua watchdog");
	(void)pthread_mutex_init(&watchdog->mutex, NULL);
	(void)pthread_cond_init(&watchdog->cond, NULL);
	int rc = hd_thread_start(&watchdog->thread, HD_ROLE_ANY, "lua-watchdog", watch, watchdog, err);
	if (rc != HYDRO_OK) {
		(void)pthread_cond_destroy(&watchdog->cond);
		(void)pthread_mutex_destroy(&watchdog->mutex);
		free(watchdog);
		return rc;
	}
	*ret = watchdog;
	return HYDRO_OK;
}

void hd_watchdog_free(struct hd_watchdog **watchdog)
{
	struct hd_watchdog *w = HD_STEAL(*watchdog);
	if (!w)
		return;
	HD_ASSERT(!w->budgets);
	(void)pthread_mutex_lock(&w->mutex);
	w->stopping = true;
	(void)pthread_cond_signal(&w->cond);
	(void)pthread_mutex_unlock(&w->mutex);
	(void)pthread_join(w->thread, NULL);
	(void)pthread_cond_destroy(&w->cond);
	(void)pthread_mutex_destroy(&w->mutex);
	free(w);
}

int hd_budget_new(struct hd_watchdog *watchdog, lua_State *L, struct hd_budget **ret)
{
	struct hd_budget *budget = calloc(1, sizeof *budget);
	if (!budget)
		return HYDRO_E_NOMEM;
	budget->watchdog = watchdog;
	budget->L = L;
	(void)pthread_mutex_lock(&watchdog->mutex);
	budget->next = watchdog->budgets;
	watchdog->budgets = budget;
	(void)pthread_mutex_unlock(&watchdog->mutex);
	*ret = budget;
	return HYDRO_OK;
}

void hd_budget_free(struct hd_budget **budget)
{
	struct hd_budget *b = HD_STEAL(*budget);
	if (!b)
		return;
	HD_ASSERT(atomic_load(&b->running) == 0);
	struct hd_watchdog *watchdog = b->watchdog;
	(void)pthread_mutex_lock(&watchdog->mutex);
	struct hd_budget **at = &watchdog->budgets;
	while (*at != b)
		at = &(*at)->next;
	*at = b->next;
	(void)pthread_mutex_unlock(&watchdog->mutex);
	free(b);
}

static void wake(struct hd_watchdog *watchdog)
{
	(void)pthread_mutex_lock(&watchdog->mutex);
	watchdog->woken = true;
	(void)pthread_cond_signal(&watchdog->cond);
	(void)pthread_mutex_unlock(&watchdog->mutex);
}

/* Threads of the daemon start with all signals blocked; the one that runs Lua must hear this one. */
static void unblock(void)
{
	sigset_t set;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, HD_BUDGET_SIGNAL);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	unblocked = true;
}

void hd_budget_begin(struct hd_budget *budget, uint32_t cpu_us, uint32_t wall_ms)
{
	if (HD_UNLIKELY(!unblocked))
		unblock();
	budget->thread = pthread_self();
	atomic_store_explicit(&budget->cpu_us, cpu_us, memory_order_relaxed);
	atomic_store_explicit(&budget->wall_ms, wall_ms, memory_order_relaxed);
	budget->over = 0;
	budget->outer = current;
	current = budget;
	/* Sequentially consistent, against `asleep`: either the watchdog sees the call or we see that it sleeps. */
	atomic_store(&budget->running, ++budget->next_call << CALL_SHIFT);
	if (HD_UNLIKELY(atomic_load(&budget->watchdog->asleep)))
		wake(budget->watchdog);
}

uint32_t hd_budget_end(struct hd_budget *budget)
{
	uint64_t expected = budget->next_call << CALL_SHIFT;
	while (HD_UNLIKELY(!atomic_compare_exchange_weak(&budget->running, &expected, 0))) {
		expected = budget->next_call << CALL_SHIFT;
		(void)sched_yield(); /* the watchdog is between its two exchanges */
	}
	/* From here a signal finds no call; one that came before has armed the hook by now or never will. */
	atomic_signal_fence(memory_order_seq_cst);
	current = budget->outer;
	uint32_t why = (uint32_t)budget->over;
	if (HD_UNLIKELY(why))
		lua_sethook(budget->L, NULL, 0, 0);
	return why;
}

void hd_budget_stop(struct hd_budget *budget, uint32_t why)
{
	if (atomic_load_explicit(&budget->running, memory_order_relaxed))
		arm(budget, why);
}

bool hd_budget_is_over(const struct hd_budget *budget)
{
	return budget->over != 0;
}
