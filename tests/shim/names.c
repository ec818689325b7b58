/* SPDX-License-Identifier: MIT */
/* The log of changes to folders. An entry goes when the folders it touches have been synced. */
#include "powercut.h"
#include "raw.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum kind { CREATED, MADE_DIR, RENAMED, UNLINKED };

struct folder {
	dev_t dev;
	ino_t ino;
	bool synced;
};

struct change {
	enum kind kind;
	char path[PATH_MAX], to[PATH_MAX]; /* `to`: of a rename */
	char trash[PATH_MAX];              /* a link to what was unlinked or replaced; "" = nothing was */
	struct folder folders[2];
	struct change *older;
};

static struct change *changes;
static char pending_trash[PATH_MAX]; /* from _before to _after; the lock is held between them */

static struct folder folder_of(const char *path)
{
	char dir[PATH_MAX];
	struct stat st;
	(void)snprintf(dir, sizeof dir, "%s", path);
	char *slash = strrchr(dir, '/');
	if (!slash)
		return (struct folder){.synced = true};
	slash[slash == dir] = '\0';
	if (stat(dir, &st) != 0)
		return (struct folder){.synced = true};
	return (struct folder){st.st_dev, st.st_ino, false};
}

static void change_add(enum kind kind, const char *path, const char *to, const char *trash)
{
	struct change *c = calloc(1, sizeof *c);
	if (!c)
		shim_die("no memory for a change");
	c->kind = kind;
	(void)snprintf(c->path, sizeof c->path, "%s", path);
	(void)snprintf(c->to, sizeof c->to, "%s", to);
	(void)snprintf(c->trash, sizeof c->trash, "%s", trash);
	c->folders[0] = folder_of(path);
	c->folders[1] = kind == RENAMED ? folder_of(to) : (struct folder){.synced = true};
	c->older = changes;
	changes = c;
}

/* Keeps what a name stands for, in case its removal has to be undone. */
static void trash_keep(const char *path)
{
	pending_trash[0] = '\0';
	struct stat st;
	if (lstat(path, &st) != 0 || S_ISDIR(st.st_mode))
		return;
	shim_trash_path(pending_trash);
	if (raw_link(path, pending_trash) != 0)
		shim_die("cannot link into the trash");
}

static void trash_drop(const char *trash)
{
	if (*trash)
		(void)raw_unlink(trash);
}

void names_created(const char *path)
{
	change_add(CREATED, path, "", "");
}

void names_made_dir(const char *path)
{
	change_add(MADE_DIR, path, "", "");
}

void names_unlink_before(const char *path)
{
	trash_keep(path);
}

void names_unlink_after(const char *path, bool done)
{
	if (done && *pending_trash)
		change_add(UNLINKED, path, "", pending_trash);
	else
		trash_drop(pending_trash);
}

void names_rename_before(const char *from, const char *to)
{
	(void)from;
	trash_keep(to);
}

void names_rename_after(const char *from, const char *to, bool done)
{
	if (done)
		change_add(RENAMED, from, to, pending_trash);
	else
		trash_drop(pending_trash);
}

static void change_drop(struct change **at)
{
	struct change *c = *at;
	*at = c->older;
	trash_drop(c->trash);
	free(c);
}

void names_dir_synced(int fd)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return;
	for (struct change **at = &changes; *at;) {
		for (int i = 0; i < 2; i++)
			if ((*at)->folders[i].dev == st.st_dev && (*at)->folders[i].ino == st.st_ino)
				(*at)->folders[i].synced = true;
		if ((*at)->folders[0].synced && (*at)->folders[1].synced)
			change_drop(at);
		else
			at = &(*at)->older;
	}
}

void names_all_synced(void)
{
	while (changes)
		change_drop(&changes);
}

static void remove_tree(const char *path)
{
	DIR *dir = opendir(path);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		char inner[PATH_MAX];
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name) >= (int)sizeof inner)
			continue;
		if (raw_unlink(inner) != 0)
			remove_tree(inner);
	}
	if (dir)
		(void)closedir(dir);
	(void)raw_rmdir(path);
}

static void undo(const struct change *c)
{
	switch (c->kind) {
	case CREATED:
		(void)raw_unlink(c->path);
		break;
	case MADE_DIR:
		remove_tree(c->path);
		break;
	case RENAMED:
		(void)raw_rename(c->to, c->path);
		if (*c->trash)
			(void)raw_link(c->trash, c->to);
		break;
	case UNLINKED:
		(void)raw_link(c->trash, c->path);
		break;
	}
}

void names_restore(unsigned keep_percent)
{
	unsigned count = 0;
	for (const struct change *c = changes; c; c = c->older)
		count++;
	unsigned kept = keep_percent ? shim_dice(count * keep_percent / 100 + 1) : 0;
	for (; changes && count > kept; count--) {
		undo(changes);
		change_drop(&changes);
	}
	names_all_synced();
}
