/* SPDX-License-Identifier: MIT */
/* What the files of the power-cut shim share. Everything runs under one lock: shim_lock … shim_unlock. */
#ifndef HD_TESTS_SHIM_POWERCUT_H
#define HD_TESTS_SHIM_POWERCUT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- pages.c: what the disk would still hold of each file's content ---- */

/* Before bytes [at, at + len) of the open file change, or its size does. Reads the pages as they are durable. */
void pages_touch(int fd, off_t at, off_t len);
void pages_touch_size(int fd);
/* All of this file is durable now. */
void pages_synced(int fd);
void pages_all_synced(void);
/* Puts the durable content back, each 512-byte sector with `keep_percent` chance left as it was written. */
void pages_restore(unsigned keep_percent);

/* ---- names.c: creations, renames and removals that no fsync of their folder has made durable ---- */

void names_created(const char *path);
void names_made_dir(const char *path);
/* Before `to` (if it is there) is replaced and `from` goes. */
void names_rename_before(const char *from, const char *to);
void names_rename_after(const char *from, const char *to, bool done);
void names_unlink_before(const char *path);
void names_unlink_after(const char *path, bool done);
void names_dir_synced(int fd);
void names_all_synced(void);
/* Undoes them, newest first; the oldest `keep_percent` of them stay. */
void names_restore(unsigned keep_percent);

/* ---- powercut.c ---- */

/* A number below `sides`, from HYDRO_CUT_SEED. */
unsigned shim_dice(unsigned sides);
/* A path of its own in the trash folder, for what was unlinked and may have to come back. */
void shim_trash_path(char ret[PATH_MAX]);
_Noreturn void shim_die(const char *what);

#endif
