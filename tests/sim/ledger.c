/* SPDX-License-Identifier: MIT */
#include "ledger.h"

#include "base/hash.h"
#include "base/map.h"
#include "base/timefmt.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 2048u
#define KEY_BYTES 80u
#define WHY_BYTES 96u

static const char *const outcome_names[] = {"filed", "duplicate", "not_informant", "refused"};

struct entry { /* one POST */
	struct sim_filing filing;
	int64_t arrival_ms;
	enum sim_ledger_outcome outcome;
	bool stored;
	char receipt[SIM_RECEIPT_TEXT];
	char why[WHY_BYTES];
};

struct sim_ledger {
	pthread_mutex_t lock; /* guards: all below */
	struct entry *entries;
	size_t count, cap;
	size_t outcomes[4];
	struct hd_map by_slot;    /* work|date|hour -> entry that was taken */
	struct hd_map by_receipt; /* receipt -> entry */
	struct hd_map informants; /* work -> hash of the user */
	FILE *file;
};

static size_t slot_key(const struct sim_filing *f, char ret[KEY_BYTES])
{
	int n = snprintf(ret, KEY_BYTES, "%s|%s|%s", f->work, f->date, f->hour);
	return (size_t)n;
}

/* Letters and digits as the real ones look; from the slot, so that the same filing has the same receipt in each run. */
static void make_receipt(const char *key, size_t len, size_t salt, char ret[SIM_RECEIPT_TEXT])
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	uint64_t h = hd_hash(key, len) ^ hd_hash_u64(salt);
	for (size_t i = 0; i < SIM_RECEIPT_TEXT - 1; i++) {
		h = hd_hash_u64(h);
		ret[i] = digits[h % (sizeof digits - 1)];
	}
	ret[SIM_RECEIPT_TEXT - 1] = '\0';
}

static struct entry *add_entry(struct sim_ledger *l, const struct sim_filing *filing, int64_t now_ms, enum sim_ledger_outcome outcome)
{
	if (l->count == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 256;
		struct entry *entries = realloc(l->entries, cap * sizeof *entries);
		if (!entries)
			return NULL;
		l->entries = entries;
		l->cap = cap;
	}
	struct entry *e = &l->entries[l->count++];
	*e = (struct entry){.filing = *filing, .arrival_ms = now_ms, .outcome = outcome};
	l->outcomes[outcome]++;
	return e;
}

static void print_entry(const struct entry *e, struct hd_buf *out)
{
	const struct sim_filing *f = &e->filing;
	char arrival[HD_TIME_TEXT];
	hd_time_format(e->arrival_ms, arrival);
	(void)hd_buf_printf(out, "{\"outcome\":\"%s\",\"arrival\":\"%s\",\"arrival_ms\":%" PRId64 ",\"kind\":%u,\"stored\":%s", outcome_names[e->outcome],
	                    arrival, e->arrival_ms, f->kind, e->stored ? "true" : "false");
	const struct {
		const char *name, *text;
	} texts[] = {{"work", f->work}, {"date", f->date}, {"hour", f->hour}, {"flow", f->flow}, {"total", f->total}, {"level", f->level},
	             {"user", f->user}, {"company", f->company}, {"origin", f->origin}, {"receipt", e->receipt}, {"why", e->why}};
	for (size_t i = 0; i < HD_ARRAY_LEN(texts); i++) {
		(void)hd_buf_printf(out, ",\"%s\":", texts[i].name);
		(void)hd_buf_add_json(out, texts[i].text, strlen(texts[i].text));
	}
	(void)hd_buf_add_char(out, '}');
}

static bool append_file(struct sim_ledger *l, const struct entry *e)
{
	if (!l->file)
		return true;
	struct hd_buf line = {0};
	print_entry(e, &line);
	(void)hd_buf_add_char(&line, '\n');
	bool ok = !line.failed && fwrite(line.data, 1, line.len, l->file) == line.len && fflush(l->file) == 0;
	hd_buf_done(&line);
	return ok;
}

static bool index_entry(struct sim_ledger *l, const struct entry *e)
{
	char key[KEY_BYTES];
	size_t len = slot_key(&e->filing, key), at = (size_t)(e - l->entries);
	return hd_map_put(&l->by_slot, key, len, at) && hd_map_put(&l->by_receipt, e->receipt, strlen(e->receipt), at);
}

static void copy_text(const cJSON *object, const char *name, char *ret, size_t size)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
	(void)snprintf(ret, size, "%s", cJSON_IsString(item) ? item->valuestring : "");
}

static int read_line(struct sim_ledger *l, const char *line)
{
	cJSON *o = cJSON_Parse(line);
	const cJSON *kind = cJSON_GetObjectItemCaseSensitive(o, "kind"), *arrival = cJSON_GetObjectItemCaseSensitive(o, "arrival_ms");
	if (!cJSON_IsNumber(kind) || !cJSON_IsNumber(arrival) || kind->valuedouble < 0 || kind->valuedouble >= SIM_DGA_KINDS) {
		cJSON_Delete(o);
		return HYDRO_E_PARSE;
	}
	struct sim_filing f = {.kind = (uint32_t)kind->valuedouble};
	copy_text(o, "work", f.work, sizeof f.work);
	copy_text(o, "date", f.date, sizeof f.date);
	copy_text(o, "hour", f.hour, sizeof f.hour);
	copy_text(o, "flow", f.flow, sizeof f.flow);
	copy_text(o, "total", f.total, sizeof f.total);
	copy_text(o, "level", f.level, sizeof f.level);
	copy_text(o, "user", f.user, sizeof f.user);
	copy_text(o, "company", f.company, sizeof f.company);
	copy_text(o, "origin", f.origin, sizeof f.origin);
	struct entry *e = add_entry(l, &f, (int64_t)arrival->valuedouble, SIM_FILED);
	if (e) {
		copy_text(o, "receipt", e->receipt, sizeof e->receipt);
		e->stored = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "stored"));
	}
	cJSON_Delete(o);
	return e && index_entry(l, e) ? HYDRO_OK : HYDRO_E_NOMEM;
}

static int read_file(struct sim_ledger *l, const char *file, struct hydro_error *err)
{
	l->file = fopen(file, "a+e");
	if (!l->file)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot open the DGA's ledger %s", file);
	rewind(l->file);
	char line[LINE_BYTES];
	for (unsigned n = 1; fgets(line, sizeof line, l->file); n++) {
		int rc = read_line(l, line);
		if (rc != HYDRO_OK)
			return hd_error_set(err, rc, "%s line %u is no ledger entry", file, n);
	}
	return HYDRO_OK;
}

int sim_ledger_open(const char *file, struct sim_ledger **ret, struct hydro_error *err)
{
	struct sim_ledger *l = calloc(1, sizeof *l);
	if (!l || pthread_mutex_init(&l->lock, NULL) != 0) {
		free(l);
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the ledger");
	}
	int rc = file ? read_file(l, file, err) : HYDRO_OK;
	if (rc != HYDRO_OK) {
		sim_ledger_free(l);
		return rc;
	}
	*ret = l;
	return HYDRO_OK;
}

void sim_ledger_free(struct sim_ledger *l)
{
	if (!l)
		return;
	if (l->file)
		(void)fclose(l->file);
	hd_map_done(&l->by_slot);
	hd_map_done(&l->by_receipt);
	hd_map_done(&l->informants);
	(void)pthread_mutex_destroy(&l->lock);
	free(l->entries);
	free(l);
}

static enum sim_ledger_outcome file_locked(struct sim_ledger *l, const struct sim_filing *filing, int64_t now_ms, bool stored, char ret_receipt[SIM_RECEIPT_TEXT])
{
	uint64_t value;
	char key[KEY_BYTES];
	size_t len = slot_key(filing, key);
	bool known = hd_map_get(&l->informants, filing->work, strlen(filing->work), &value);
	if (known && value != hd_hash(filing->user, strlen(filing->user)))
		return add_entry(l, filing, now_ms, SIM_NOT_INFORMANT) ? SIM_NOT_INFORMANT : SIM_LEDGER_FAILED;
	if (hd_map_get(&l->by_slot, key, len, &value)) {
		struct entry *e = add_entry(l, filing, now_ms, SIM_DUPLICATE);
		if (!e)
			return SIM_LEDGER_FAILED;
		memcpy(e->receipt, l->entries[value].receipt, sizeof e->receipt);
		memcpy(ret_receipt, e->receipt, sizeof e->receipt);
		return SIM_DUPLICATE;
	}
	struct entry *e = add_entry(l, filing, now_ms, SIM_FILED);
	if (!e)
		return SIM_LEDGER_FAILED;
	e->stored = stored;
	make_receipt(key, len, 0, e->receipt);
	for (size_t salt = 1; hd_map_get(&l->by_receipt, e->receipt, strlen(e->receipt), &value); salt++)
		make_receipt(key, len, salt, e->receipt);
	memcpy(ret_receipt, e->receipt, sizeof e->receipt);
	return index_entry(l, e) && append_file(l, e) ? SIM_FILED : SIM_LEDGER_FAILED;
}

enum sim_ledger_outcome sim_ledger_file(struct sim_ledger *l, const struct sim_filing *filing, int64_t now_ms, bool stored, char ret_receipt[SIM_RECEIPT_TEXT])
{
	(void)pthread_mutex_lock(&l->lock);
	enum sim_ledger_outcome outcome = file_locked(l, filing, now_ms, stored, ret_receipt);
	(void)pthread_mutex_unlock(&l->lock);
	return outcome;
}

void sim_ledger_refuse(struct sim_ledger *l, const struct sim_filing *filing, int64_t now_ms, const char *why)
{
	(void)pthread_mutex_lock(&l->lock);
	struct entry *e = add_entry(l, filing, now_ms, SIM_REFUSED);
	if (e)
		(void)snprintf(e->why, sizeof e->why, "%s", why);
	(void)pthread_mutex_unlock(&l->lock);
}

bool sim_ledger_find(struct sim_ledger *l, const char *work, const char *receipt, struct sim_filing *ret)
{
	uint64_t at;
	(void)pthread_mutex_lock(&l->lock);
	bool found = hd_map_get(&l->by_receipt, receipt, strlen(receipt), &at) && l->entries[at].stored && strcmp(l->entries[at].filing.work, work) == 0;
	if (found)
		*ret = l->entries[at].filing;
	(void)pthread_mutex_unlock(&l->lock);
	return found;
}

bool sim_ledger_set_informant(struct sim_ledger *l, const char *work, const char *user)
{
	(void)pthread_mutex_lock(&l->lock);
	bool ok = hd_map_put(&l->informants, work, strlen(work), hd_hash(user, strlen(user)));
	(void)pthread_mutex_unlock(&l->lock);
	return ok;
}

void sim_ledger_print(struct sim_ledger *l, const char *work, size_t offset, size_t limit, struct hd_buf *out)
{
	(void)pthread_mutex_lock(&l->lock);
	(void)hd_buf_add_char(out, '{');
	for (size_t o = 0; o < HD_ARRAY_LEN(outcome_names); o++)
		(void)hd_buf_printf(out, "\"%s\":%zu,", outcome_names[o], l->outcomes[o]);
	(void)hd_buf_printf(out, "\"total\":%zu,\"events\":[", l->count);
	const char *comma = "";
	for (size_t i = offset; i < l->count && limit > 0; i++) {
		if (work && strcmp(work, l->entries[i].filing.work) != 0)
			continue;
		(void)hd_buf_add_text(out, comma);
		print_entry(&l->entries[i], out);
		comma = ",";
		limit--;
	}
	(void)hd_buf_add_text(out, "]}");
	(void)pthread_mutex_unlock(&l->lock);
}
