/* SPDX-License-Identifier: MIT */
#include "base/thread.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct start {
	void *(*run)(void *);
	void *arg;
	uint32_t role;
	char name[16];
};

static _Thread_local uint32_t thread_role;

static void *thread_main(void *arg)
{
	struct start start = *(struct start *)arg;
	free(arg);
	thread_role = start.role;
	(void)pthread_setname_np(pthread_self(), start.name);
	return start.run(start.arg);
}

int hd_thread_start(pthread_t *ret, uint32_t role, const char *name, void *(*run)(void *), void *arg, struct hydro_error *err)
{
	struct start *start = calloc(1, sizeof *start);
	if (!start)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to start thread %s", name);
	*start = (struct start){.run = run, .arg = arg, .role = role};
	memcpy(start->name, name, strnlen(name, sizeof start->name - 1));
	sigset_t all, old;
	(void)sigfillset(&all);
	/* A fault in this thread must reach its handler: blocked, it would end the process without a mark. */
	static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
	for (size_t i = 0; i < HD_ARRAY_LEN(faults); i++)
		(void)sigdelset(&all, faults[i]);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	int rc = pthread_create(ret, NULL, thread_main, start);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0) {
		free(start);
		return hd_error_errno(err, HYDRO_E_AGAIN, rc, "cannot start thread %s", name);
	}
	return HYDRO_OK;
}

uint32_t hd_thread_role(void)
{
	return thread_role;
}

void hd_thread_set_role(uint32_t role)
{
	thread_role = role;
}
