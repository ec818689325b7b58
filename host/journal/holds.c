/* SPDX-License-Identifier: MIT */
/* Who still needs what: names of readers with the first LSN each needs, remembered in the file READERS. */
#include "journal/internal.h"

#include "base/fs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "hydro-journal-readers 1\n"
#define FILE_BYTES_MAX (1u << 20)

uint64_t holds_first_locked(const struct hd_journal *journal, const char **ret_name)
{
	uint64_t first = journal->holds ? UINT64_MAX : 0;
	for (const struct hold *h = journal->holds; h; h = h->next)
		if (!h->shed && h->lsn < first) {
			first = h->lsn;
			if (ret_name)
				*ret_name = h->name;
		}
	return first;
}

struct hold *holds_find_locked(struct hd_journal *journal, const char *name)
{
	for (struct hold *h = journal->holds; h; h = h->next)
		if (strcmp(h->name, name) == 0)
			return h;
	return NULL;
}

static bool name_is_good(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.-");
	return len > 0 && len <= HD_JOURNAL_READER_NAME_MAX && name[len] == '\0';
}

int holds_load(struct hd_journal *journal, struct hydro_error *err)
{
	struct hd_buf text HD_CLEANUP(hd_buf_done) = {0};
	HD_CLEANUP(hd_cleanup_free) char *path = hd_fs_join(journal->dir, "READERS");
	if (!path)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a path");
	int rc = hd_fs_read(path, FILE_BYTES_MAX, &text, err);
	if (rc != HYDRO_OK)
		return rc == HYDRO_E_NOTFOUND ? HYDRO_OK : rc;
	const char *line = hd_buf_text(&text);
	if (!line)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to read %s", path);
	if (strncmp(line, HEAD, strlen(HEAD)) != 0)
		return hd_error_set(err, strncmp(line, HEAD, strlen(HEAD) - 2) == 0 ? HYDRO_E_UNSUPPORTED : HYDRO_E_CORRUPT,
				    "%s is not a list of readers that this program reads", path);
	for (line += strlen(HEAD); *line; line = strchr(line, '\n') + 1) {
		struct hold hold = {0};
		if (!strchr(line, '\n') || sscanf(line, "%63s %" SCNu64 " %" SCNu32, hold.name, &hold.lsn, &hold.flags) != 3 ||
		    !name_is_good(hold.name) || holds_find_locked(journal, hold.name))
			return hd_error_set(err, HYDRO_E_CORRUPT, "%s holds a line that is no reader", path);
		struct hold *added = malloc(sizeof *added);
		if (!added)
			return hd_error_set(err, HYDRO_E_NOMEM, "no memory to read %s", path);
		*added = hold;
		added->next = journal->holds;
		journal->holds = added;
	}
	return HYDRO_OK;
}

int holds_save(struct hd_journal *journal, struct hydro_error *err)
{
	struct hd_buf text HD_CLEANUP(hd_buf_done) = {0};
	HD_CLEANUP(hd_cleanup_free) char *path = hd_fs_join(journal->dir, "READERS");
	(void)pthread_mutex_lock(&journal->holds_lock);
	(void)hd_buf_add_text(&text, HEAD);
	(void)pthread_mutex_lock(&journal->lock);
	for (const struct hold *h = journal->holds; h; h = h->next)
		(void)hd_buf_printf(&text, "%s %" PRIu64 " %" PRIu32 "\n", h->name, h->lsn, h->flags);
	(void)pthread_mutex_unlock(&journal->lock);
	int rc = !path || text.failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory to write the list of readers")
				      : hd_fs_write_atomic(path, text.data, text.len, 0600, err);
	(void)pthread_mutex_unlock(&journal->holds_lock);
	return rc;
}

/* Checks a new cursor against what there is. */
static int cursor_check_locked(const struct hd_journal *journal, const char *name, uint64_t lsn, struct hydro_error *err)
{
	uint64_t first = journal->first ? journal->first->header.first_lsn : journal->next_lsn;
	if (lsn > journal->next_lsn)
		return hd_error_set(err, HYDRO_E_CONFLICT, "%s wants record %" PRIu64 ", the journal in %s ends before %" PRIu64
				    ": they do not belong together", name, lsn, journal->dir, journal->next_lsn);
	if (lsn < first)
		return hd_error_set(err, HYDRO_E_STALE, "%s wants record %" PRIu64 ", the journal begins at %" PRIu64, name, lsn, first);
	return HYDRO_OK;
}

void holds_let_go(struct hd_journal *journal, struct hold *hold)
{
	(void)pthread_mutex_lock(&journal->lock);
	hold->open = false;
	(void)pthread_mutex_unlock(&journal->lock);
}

int holds_take(struct hd_journal *journal, const char *name, uint32_t flags, uint64_t *lsn, struct hold **ret, struct hydro_error *err)
{
	if (!name_is_good(name))
		return hd_error_set(err, HYDRO_E_INVALID, "'%s' is no name for a reader of the journal", name);
	struct hold *fresh = calloc(1, sizeof *fresh);
	if (!fresh)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a reader");
	int rc = HYDRO_OK;
	(void)pthread_mutex_lock(&journal->lock);
	struct hold *hold = holds_find_locked(journal, name);
	bool known = hold != NULL;
	if (hold && hold->open)
		rc = hd_error_set(err, HYDRO_E_CONFLICT, "the reader %s of the journal is open already", name);
	if (*lsn == 0)
		*lsn = journal->first ? journal->first->header.first_lsn : journal->next_lsn;
	if (rc == HYDRO_OK)
		rc = cursor_check_locked(journal, name, *lsn, err);
	if (rc == HYDRO_OK && !hold) {
		hold = HD_STEAL(fresh);
		memcpy(hold->name, name, strlen(name) + 1);
		hold->next = journal->holds;
		journal->holds = hold;
	}
	if (rc == HYDRO_OK) {
		hold->lsn = *lsn;
		hold->flags = flags;
		hold->open = true;
		hold->shed = false;
		*ret = hold;
	}
	(void)pthread_mutex_unlock(&journal->lock);
	free(fresh);
	if (rc != HYDRO_OK || known)
		return rc;
	rc = holds_save(journal, err);
	if (rc != HYDRO_OK)
		holds_let_go(journal, hold);
	return rc;
}

int hd_journal_reader_forget(struct hd_journal *journal, const char *name, struct hydro_error *err)
{
	(void)pthread_mutex_lock(&journal->lock);
	struct hold **at = &journal->holds;
	while (*at && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	struct hold *hold = *at;
	int rc = !hold ? HYDRO_E_NOTFOUND : hold->open ? HYDRO_E_CONFLICT : HYDRO_OK;
	if (rc == HYDRO_OK)
		*at = hold->next;
	journal_keep_locked(journal);
	(void)pthread_mutex_unlock(&journal->lock);
	if (rc != HYDRO_OK)
		return hd_error_set(err, rc, rc == HYDRO_E_NOTFOUND ? "the journal knows no reader %s" : "the reader %s is open", name);
	free(hold);
	return holds_save(journal, err);
}
