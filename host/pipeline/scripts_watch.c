/* SPDX-License-Identifier: MIT */
/* One thread follows the folder of scripts and the points' configuration, and brings what changed to life. */
#include "pipeline/scripts_inner.h"

#include "base/array.h"
#include "base/thread.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#define QUIET_MS 50 /* editors write in several steps: act once it is quiet */
#define QUIET_ROUNDS 40

void hd_scripts_point_changed(void *arg, const struct hd_point *old, const struct hd_point *now)
{
	(void)old;
	struct hd_scripts *s = arg;
	(void)pthread_mutex_lock(&s->changed_lock);
	bool wake = false;
	if (s->following) {
		if (HD_RESERVE(s->changed, s->changed_capacity, s->changed_count, 1))
			s->changed[s->changed_count++] = now->index;
		wake = s->wake_fd >= 0;
	}
	if (wake)
		(void)eventfd_write(s->wake_fd, 1);
	(void)pthread_mutex_unlock(&s->changed_lock);
}

/* Takes the list of changed points; false when stopping. */
static bool take_changed(struct hd_scripts *s, uint32_t **ret, uint32_t *ret_count)
{
	(void)pthread_mutex_lock(&s->changed_lock);
	*ret = HD_STEAL(s->changed);
	*ret_count = s->changed_count;
	s->changed_count = s->changed_capacity = 0;
	bool stopping = s->stopping;
	(void)pthread_mutex_unlock(&s->changed_lock);
	return !stopping;
}

/* Reads all events there are; whether there were any. */
static bool drain_watch(struct hd_scripts *s)
{
	_Alignas(struct inotify_event) char events[4096];
	bool any = false;
	while (s->watch_fd >= 0 && read(s->watch_fd, events, sizeof events) > 0)
		any = true;
	return any;
}

static void reload_changed(struct hd_scripts *s)
{
	struct pollfd fd = {.fd = s->watch_fd, .events = POLLIN};
	for (int i = 0; i < QUIET_ROUNDS && poll(&fd, 1, QUIET_MS) > 0; i++)
		(void)drain_watch(s);
	struct hd_buf json = {0};
	struct hydro_error err = {0};
	struct hd_scripts_change change = {.reason = "the file changed"};
	/* What is wrong has been told as an event by the change itself. */
	(void)hd_scripts_reload(s, NULL, &change, &json, &err);
	hd_buf_done(&json);
}

static void *follow(void *arg)
{
	struct hd_scripts *s = arg;
	struct pollfd fds[2] = {{.fd = s->wake_fd, .events = POLLIN}, {.fd = s->watch_fd, .events = POLLIN}};
	for (;;) {
		(void)poll(fds, s->watch_fd >= 0 ? 2 : 1, -1);
		eventfd_t count;
		(void)eventfd_read(s->wake_fd, &count);
		uint32_t *points = NULL, point_count = 0;
		bool go_on = take_changed(s, &points, &point_count);
		if (go_on && point_count)
			hd_scripts_follow_points(s, points, point_count);
		free(points);
		if (!go_on)
			return NULL;
		if (drain_watch(s))
			reload_changed(s);
	}
}

static int watch_folder(struct hd_scripts *s, struct hydro_error *err)
{
	const uint32_t mask = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE;
	s->watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (s->watch_fd < 0 || inotify_add_watch(s->watch_fd, s->dir, mask) < 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "watching %s", s->dir);
	(void)inotify_add_watch(s->watch_fd, s->lib_dir, mask); /* there need be none */
	return HYDRO_OK;
}

int hd_scripts_follow_start(struct hd_scripts *s, struct hydro_error *err)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (fd < 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "an eventfd for the scripts");
	(void)pthread_mutex_lock(&s->changed_lock);
	s->wake_fd = fd;
	s->stopping = false;
	(void)eventfd_write(fd, 1); /* what changed meanwhile */
	(void)pthread_mutex_unlock(&s->changed_lock);
	int rc = s->config.watch ? watch_folder(s, err) : HYDRO_OK;
	if (rc == HYDRO_OK)
		rc = hd_thread_start(&s->thread, HD_ROLE_ANY, "scripts", follow, s, err);
	s->started = rc == HYDRO_OK;
	if (!s->started)
		hd_scripts_follow_stop(s);
	return rc;
}

void hd_scripts_follow_stop(struct hd_scripts *s)
{
	(void)pthread_mutex_lock(&s->changed_lock);
	s->stopping = true;
	s->following = false;
	if (s->wake_fd >= 0)
		(void)eventfd_write(s->wake_fd, 1);
	(void)pthread_mutex_unlock(&s->changed_lock);
	if (s->started)
		(void)pthread_join(s->thread, NULL);
	s->started = false;
	(void)pthread_mutex_lock(&s->changed_lock);
	hd_cleanup_fd(&s->wake_fd);
	hd_cleanup_fd(&s->watch_fd);
	(void)pthread_mutex_unlock(&s->changed_lock);
}
