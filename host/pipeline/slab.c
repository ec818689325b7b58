/* SPDX-License-Identifier: MIT */
/*
 * Memory for points' parameters and state. Pages of one size each, straight from the system, which get them back once nothing
 * is left in them: a script that makes every point's block larger must not leave the old size's memory lying about.
 */
#include "pipeline/inner.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CLASS_BYTES 8u
#define CLASSES ((HD_PLAN_PARAMS_MAX * (uint32_t)sizeof(double) + HD_PLAN_STATE_BYTES_MAX) / CLASS_BYTES + 1)
#define PAGE_BYTES (256u * 1024u) /* a power of two, and where a page lies: its head is found from any block */
#define HEAD_BYTES 64u

struct slab_page {
	struct slab_page *next, *before; /* of its class, while it has room */
	struct slab_page *next_of_all, *before_of_all;
	void *free;
	uint32_t class, used; /* blocks given out */
	uint32_t fresh;       /* bytes from here on were never given out */
};
_Static_assert(sizeof(struct slab_page) <= HEAD_BYTES, "blocks begin behind the head");

struct hd_slab {
	struct slab_page *room[CLASSES];
	struct slab_page *all;
	uint32_t pages;
};

int hd_slab_new(struct hd_slab **ret)
{
	*ret = calloc(1, sizeof **ret);
	return *ret ? HYDRO_OK : HYDRO_E_NOMEM;
}

void hd_slab_free(struct hd_slab **slab)
{
	if (!*slab)
		return;
	for (struct slab_page *page = (*slab)->all, *next; page; page = next) {
		next = page->next_of_all;
		(void)munmap(page, PAGE_BYTES);
	}
	free(*slab);
	*slab = NULL;
}

uint64_t hd_slab_bytes(const struct hd_slab *slab)
{
	return (uint64_t)slab->pages * PAGE_BYTES;
}

static void link_room(struct hd_slab *slab, struct slab_page *page)
{
	page->before = NULL;
	page->next = slab->room[page->class];
	if (page->next)
		page->next->before = page;
	slab->room[page->class] = page;
}

static void unlink_room(struct hd_slab *slab, struct slab_page *page)
{
	if (page->before)
		page->before->next = page->next;
	else
		slab->room[page->class] = page->next;
	if (page->next)
		page->next->before = page->before;
}

/* PAGE_BYTES at a multiple of PAGE_BYTES; NULL without memory. */
static void *map_page(void)
{
	uint8_t *wide = mmap(NULL, 2 * (size_t)PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (wide == MAP_FAILED)
		return NULL;
	size_t ahead = (PAGE_BYTES - (uintptr_t)wide % PAGE_BYTES) % PAGE_BYTES;
	if (ahead)
		(void)munmap(wide, ahead);
	(void)munmap(wide + ahead + PAGE_BYTES, PAGE_BYTES - ahead);
	return wide + ahead;
}

static struct slab_page *add_page(struct hd_slab *slab, uint32_t class)
{
	struct slab_page *page = map_page();
	if (!page)
		return NULL;
	*page = (struct slab_page){.class = class, .fresh = HEAD_BYTES, .next_of_all = slab->all};
	if (slab->all)
		slab->all->before_of_all = page;
	slab->all = page;
	slab->pages++;
	link_room(slab, page);
	return page;
}

static void drop_page(struct hd_slab *slab, struct slab_page *page)
{
	unlink_room(slab, page);
	if (page->before_of_all)
		page->before_of_all->next_of_all = page->next_of_all;
	else
		slab->all = page->next_of_all;
	if (page->next_of_all)
		page->next_of_all->before_of_all = page->before_of_all;
	slab->pages--;
	(void)munmap(page, PAGE_BYTES);
}

static bool is_full(const struct slab_page *page)
{
	return !page->free && PAGE_BYTES - page->fresh < page->class * CLASS_BYTES;
}

void *hd_slab_take(struct hd_slab *slab, uint32_t bytes)
{
	uint32_t class = (bytes + CLASS_BYTES - 1) / CLASS_BYTES;
	if (class == 0)
		return slab; /* anything but NULL: there is nothing in it */
	HD_ASSERT(class < CLASSES);
	struct slab_page *page = slab->room[class] ? slab->room[class] : add_page(slab, class);
	if (!page)
		return NULL;
	void *data = page->free;
	if (data) {
		memcpy(&page->free, data, sizeof page->free);
	} else {
		data = (uint8_t *)page + page->fresh;
		page->fresh += class * CLASS_BYTES;
	}
	page->used++;
	if (is_full(page))
		unlink_room(slab, page);
	return data;
}

void hd_slab_give(struct hd_slab *slab, void *data, uint32_t bytes)
{
	if (!data || bytes == 0)
		return;
	struct slab_page *page = (void *)((uintptr_t)data & ~(uintptr_t)(PAGE_BYTES - 1));
	HD_ASSERT(page->class == (bytes + CLASS_BYTES - 1) / CLASS_BYTES && page->used);
	if (is_full(page))
		link_room(slab, page);
	memcpy(data, &page->free, sizeof page->free);
	page->free = data;
	/* One that others of its size have room beside is not kept empty. */
	if (--page->used == 0 && (page->next || page->before))
		drop_page(slab, page);
}
