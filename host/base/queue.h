/* SPDX-License-Identifier: MIT */
/* A bounded first-in first-out queue of pointers between threads: many producers, many consumers. */
#ifndef HD_BASE_QUEUE_H
#define HD_BASE_QUEUE_H

#include "base/error.h"

#include <stdbool.h>

struct hd_queue;

int hd_queue_new(size_t capacity, struct hd_queue **ret);
/* The queue must be empty of what needs freeing; sets the pointer to NULL. */
void hd_queue_free(struct hd_queue **queue);
/* false when full (never blocks) or closed. [any] */
bool hd_queue_try_push(struct hd_queue *queue, void *item);
/* Waits for room; false when closed. [not io] */
bool hd_queue_push(struct hd_queue *queue, void *item);
/* Takes up to `max` items; waits up to timeout_ms for the first (-1: without end, 0: not at all). 0 items: time ran out, or closed and empty. */
size_t hd_queue_pop(struct hd_queue *queue, void **ret_items, size_t max, int timeout_ms);
size_t hd_queue_count(struct hd_queue *queue);
size_t hd_queue_capacity(const struct hd_queue *queue);
/* No more pushes; poppers get what is left, then 0. */
void hd_queue_close(struct hd_queue *queue);
bool hd_queue_is_closed(struct hd_queue *queue);

#endif
