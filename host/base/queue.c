/* SPDX-License-Identifier: MIT */
#include "base/queue.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct hd_queue {
	pthread_mutex_t lock; /* guards: head, count, closed, items */
	pthread_cond_t not_empty;
	pthread_cond_t not_full;
	size_t capacity;
	size_t head;
	size_t count;
	bool closed;
	void *items[];
};

int hd_queue_new(size_t capacity, struct hd_queue **ret)
{
	HD_ASSERT(capacity > 0);
	struct hd_queue *queue = calloc(1, sizeof *queue + capacity * sizeof queue->items[0]);
	if (!queue)
		return HYDRO_E_NOMEM;
	queue->capacity = capacity;
	pthread_condattr_t attr;
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_mutex_init(&queue->lock, NULL);
	(void)pthread_cond_init(&queue->not_empty, &attr);
	(void)pthread_cond_init(&queue->not_full, &attr);
	(void)pthread_condattr_destroy(&attr);
	*ret = queue;
	return HYDRO_OK;
}

void hd_queue_free(struct hd_queue **queue)
{
	if (!*queue)
		return;
	(void)pthread_mutex_destroy(&(*queue)->lock);
	(void)pthread_cond_destroy(&(*queue)->not_empty);
	(void)pthread_cond_destroy(&(*queue)->not_full);
	free(*queue);
	*queue = NULL;
}

static bool push(struct hd_queue *queue, void *item, bool wait)
{
	(void)pthread_mutex_lock(&queue->lock);
	while (wait && !queue->closed && queue->count == queue->capacity)
		(void)pthread_cond_wait(&queue->not_full, &queue->lock);
	bool ok = !queue->closed && queue->count < queue->capacity;
	if (ok) {
		queue->items[(queue->head + queue->count) % queue->capacity] = item;
		queue->count++;
		(void)pthread_cond_signal(&queue->not_empty);
	}
	(void)pthread_mutex_unlock(&queue->lock);
	return ok;
}

bool hd_queue_try_push(struct hd_queue *queue, void *item)
{
	return push(queue, item, false);
}

bool hd_queue_push(struct hd_queue *queue, void *item)
{
	return push(queue, item, true);
}

size_t hd_queue_pop(struct hd_queue *queue, void **ret_items, size_t max, int timeout_ms)
{
	struct timespec until = {0, 0};
	if (timeout_ms > 0) {
		(void)clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += timeout_ms / 1000;
		until.tv_nsec += (long)(timeout_ms % 1000) * 1000000L;
		if (until.tv_nsec >= 1000000000L) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000L;
		}
	}
	(void)pthread_mutex_lock(&queue->lock);
	while (queue->count == 0 && !queue->closed && timeout_ms != 0) {
		if (timeout_ms < 0)
			(void)pthread_cond_wait(&queue->not_empty, &queue->lock);
		else if (pthread_cond_timedwait(&queue->not_empty, &queue->lock, &until) == ETIMEDOUT)
			break;
	}
	size_t n = 0;
	for (; n < max && queue->count > 0; n++) {
		ret_items[n] = queue->items[queue->head];
		queue->head = (queue->head + 1) % queue->capacity;
		queue->count--;
	}
	if (n)
		(void)pthread_cond_broadcast(&queue->not_full);
	(void)pthread_mutex_unlock(&queue->lock);
	return n;
}

size_t hd_queue_count(struct hd_queue *queue)
{
	(void)pthread_mutex_lock(&queue->lock);
	size_t n = queue->count;
	(void)pthread_mutex_unlock(&queue->lock);
	return n;
}

size_t hd_queue_capacity(const struct hd_queue *queue)
{
	return queue->capacity;
}

void hd_queue_close(struct hd_queue *queue)
{
	(void)pthread_mutex_lock(&queue->lock);
	queue->closed = true;
	(void)pthread_cond_broadcast(&queue->not_empty);
	(void)pthread_cond_broadcast(&queue->not_full);
	(void)pthread_mutex_unlock(&queue->lock);
}

bool hd_queue_is_closed(struct hd_queue *queue)
{
	(void)pthread_mutex_lock(&queue->lock);
	bool closed = queue->closed;
	(void)pthread_mutex_unlock(&queue->lock);
	return closed;
}
