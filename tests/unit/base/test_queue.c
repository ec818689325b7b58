/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "base/queue.h"

#include <pthread.h>

static void *producer(void *arg)
{
	for (uintptr_t i = 1; i <= 10000; i++)
		if (!hd_queue_push(arg, (void *)i))
			return NULL;
	return NULL;
}

Test(queue, all_items_of_two_producers_arrive_in_each_producers_order)
{
	struct hd_queue *queue;
	cr_assert_eq(hd_queue_new(64, &queue), HYDRO_OK);
	pthread_t a, b;
	pthread_create(&a, NULL, producer, queue);
	pthread_create(&b, NULL, producer, queue);
	uintptr_t sum = 0, got = 0;
	while (got < 20000) {
		void *items[16];
		size_t n = hd_queue_pop(queue, items, 16, -1);
		for (size_t i = 0; i < n; i++)
			sum += (uintptr_t)items[i];
		got += n;
	}
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	cr_assert_eq(sum, 2u * 10000u * 10001u / 2u);
	hd_queue_close(queue);
	void *item;
	cr_assert_not(hd_queue_try_push(queue, &item));
	cr_assert_eq(hd_queue_pop(queue, &item, 1, -1), 0);
	hd_queue_free(&queue);
}

Test(queue, a_full_queue_refuses_without_blocking)
{
	struct hd_queue *queue;
	cr_assert_eq(hd_queue_new(1, &queue), HYDRO_OK);
	cr_assert(hd_queue_try_push(queue, queue));
	cr_assert_not(hd_queue_try_push(queue, queue));
	void *item;
	cr_assert_eq(hd_queue_pop(queue, &item, 1, 0), 1);
	cr_assert_eq(hd_queue_pop(queue, &item, 1, 1), 0);
	hd_queue_free(&queue);
}
