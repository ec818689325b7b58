/* SPDX-License-Identifier: MIT */
#include "plugin/call.h"

#include "base/clock.h"
#include "base/thread.h"

#include <stdlib.h>
#include <time.h>

/* Between the caller and the thread; freed by the one that is second to let go. */
struct meeting {
	pthread_mutex_t lock; /* guards: the members below */
	pthread_cond_t ended;
	struct hd_call *call;
	struct hd_crumb_slot *slot;
	bool done, given_up;
};

static void meeting_free(struct meeting *meeting)
{
	(void)pthread_cond_destroy(&meeting->ended);
	(void)pthread_mutex_destroy(&meeting->lock);
	free(meeting);
}

static void *thread_main(void *arg)
{
	struct meeting *meeting = arg;
	struct hd_call *call = meeting->call;
	hd_crumb_enter(call->crumb, NULL);
	(void)pthread_mutex_lock(&meeting->lock);
	meeting->slot = hd_crumb_slot_;
	(void)pthread_mutex_unlock(&meeting->lock);
	call->run(call);
	hd_crumb_leave();
	(void)pthread_mutex_lock(&meeting->lock);
	bool given_up = meeting->given_up;
	meeting->done = true;
	(void)pthread_cond_signal(&meeting->ended);
	(void)pthread_mutex_unlock(&meeting->lock);
	if (given_up) {
		call->free(call);
		meeting_free(meeting);
	}
	return NULL;
}

static struct meeting *meeting_new(struct hd_call *call)
{
	struct meeting *meeting = calloc(1, sizeof *meeting);
	if (!meeting)
		return NULL;
	pthread_condattr_t attributes;
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&meeting->ended, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	(void)pthread_mutex_init(&meeting->lock, NULL);
	meeting->call = call;
	return meeting;
}

int hd_call_run(struct hd_call *call, const char *thread_name, uint32_t timeout_ms, struct hydro_error *err)
{
	struct meeting *meeting = meeting_new(call);
	pthread_t thread;
	int rc = meeting ? hd_thread_start(&thread, HD_ROLE_CONTROL, thread_name, thread_main, meeting, err)
			 : hd_error_set(err, HYDRO_E_AGAIN, "no memory to call a plugin");
	if (rc != HYDRO_OK) {
		if (meeting)
			meeting_free(meeting);
		call->free(call);
		return HYDRO_E_AGAIN;
	}
	int64_t until_ns = hd_clock_real_ns() + (int64_t)timeout_ms * HD_NS_PER_MS;
	struct timespec until = {.tv_sec = until_ns / HD_NS_PER_S, .tv_nsec = until_ns % HD_NS_PER_S};
	int waited = 0;
	(void)pthread_mutex_lock(&meeting->lock);
	while (!meeting->done && waited == 0)
		waited = pthread_cond_timedwait(&meeting->ended, &meeting->lock, &until);
	bool done = meeting->done;
	meeting->given_up = !done;
	if (!done && meeting->slot)
		hd_crumb_give_up(meeting->slot);
	(void)pthread_mutex_unlock(&meeting->lock);
	if (!done) {
		(void)pthread_detach(thread);
		return hd_error_set(err, HYDRO_E_TIMEOUT, "did not return within %u ms", timeout_ms);
	}
	(void)pthread_join(thread, NULL);
	meeting_free(meeting);
	return HYDRO_OK;
}
