/* SPDX-License-Identifier: MIT */
/* For each file with writes that are not synced: the pages as they were, read before the first write to each. */
#include "powercut.h"
#include "raw.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096
#define SECTOR 512
#define FILES_MAX 4096
#define TABLE 4096u

struct page {
	off_t number;
	struct page *next;
	unsigned char bytes[PAGE];
};

/* A file with something unsynced. The descriptor keeps its inode from being reused. */
struct file {
	dev_t dev;
	ino_t ino;
	int fd;
	off_t size; /* durable */
	struct page *table[TABLE];
	struct file *next;
};

static struct file *files;

static struct file *file_find(int fd, bool make)
{
	struct stat st;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return NULL;
	for (struct file *f = files; f; f = f->next)
		if (f->dev == st.st_dev && f->ino == st.st_ino)
			return f;
	if (!make)
		return NULL;
	char name[64];
	struct file *f = calloc(1, sizeof *f);
	(void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	if (!f || (f->fd = raw_open(name, O_RDWR | O_CLOEXEC, 0)) < 0)
		shim_die("cannot open a file a second time");
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->size = st.st_size;
	f->next = files;
	files = f;
	return f;
}

static void page_keep(struct file *f, off_t number)
{
	struct page **slot = &f->table[(size_t)number % TABLE];
	for (struct page *p = *slot; p; p = p->next)
		if (p->number == number)
			return;
	struct page *p = calloc(1, sizeof *p);
	if (!p)
		shim_die("no memory for a page");
	p->number = number;
	if (number * PAGE < f->size && raw_pread(f->fd, p->bytes, PAGE, number * PAGE) < 0)
		shim_die("cannot read a page");
	off_t rest = f->size - number * PAGE; /* what lies behind the durable end reads as zero */
	if (rest < PAGE)
		memset(p->bytes + (rest > 0 ? rest : 0), 0, (size_t)(PAGE - (rest > 0 ? rest : 0)));
	p->next = *slot;
	*slot = p;
}

void pages_touch(int fd, off_t at, off_t len)
{
	struct file *f = len > 0 ? file_find(fd, true) : NULL;
	for (off_t n = at / PAGE; f && n <= (at + len - 1) / PAGE; n++)
		page_keep(f, n);
}

void pages_touch_size(int fd)
{
	struct file *f = file_find(fd, true);
	if (f)
		pages_touch(fd, 0, f->size);
}

static void file_drop(struct file **at)
{
	struct file *f = *at;
	*at = f->next;
	for (size_t i = 0; i < TABLE; i++)
		for (struct page *p = f->table[i], *next; p; p = next) {
			next = p->next;
			free(p);
		}
	(void)raw_close(f->fd);
	free(f);
}

void pages_synced(int fd)
{
	struct file *found = file_find(fd, false);
	for (struct file **at = &files; found && *at; at = &(*at)->next)
		if (*at == found) {
			file_drop(at);
			return;
		}
}

void pages_all_synced(void)
{
	while (files)
		file_drop(&files);
}

static void page_restore(const struct file *f, const struct page *p, unsigned keep_percent)
{
	for (off_t at = 0; at < PAGE; at += SECTOR)
		if (shim_dice(100) >= keep_percent && raw_pwrite(f->fd, p->bytes + at, SECTOR, p->number * PAGE + at) != SECTOR)
			shim_die("cannot put a page back");
}

void pages_restore(unsigned keep_percent)
{
	for (struct file *f = files; f; f = f->next) {
		struct stat st;
		if (fstat(f->fd, &st) != 0)
			shim_die("cannot stat a file");
		off_t size = shim_dice(100) < keep_percent ? st.st_size : f->size;
		for (size_t i = 0; i < TABLE; i++)
			for (const struct page *p = f->table[i]; p; p = p->next)
				page_restore(f, p, keep_percent);
		if (raw_ftruncate(f->fd, size) != 0)
			shim_die("cannot put a size back");
	}
}
