/* SPDX-License-Identifier: MIT */
#include "ledger.h"

#include "base/hash.h"
#include "base/timefmt.h"
#include "filing_row.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 2048u
#define BLOCK_ROWS 65536u
#define BLOCKS_MAX 4096u
#define INDEX_FIRST 1024u
#define NO_ROW UINT32_MAX

static const char *const outcome_names[] = {"filed", "duplicate", "not_informant", "refused"};

struct odd { /* a filing kept in full */
	struct sim_filing filing;
	uint32_t why;
};

struct sim_ledger {
	pthread_mutex_t lock; /* guards: all below */
	struct sim_row *blocks[BLOCKS_MAX];
	uint32_t count;
	size_t outcomes[4];
	struct sim_names works, names; /* names: who files, and why what was refused */
	struct odd *odd;
	size_t odd_count;
	uint32_t *index; /* of taken filings by (work, slot): row + 1; 0 is free */
	uint32_t index_mask, index_used;
	struct hd_map informants; /* work -> hash of the user */
	FILE *file;
};

static struct sim_row *row_at(const struct sim_ledger *l, uint32_t i)
{
	return &l->blocks[i / BLOCK_ROWS][i % BLOCK_ROWS];
}

static uint64_t index_hash(uint32_t work, uint32_t slot_s)
{
	return hd_hash_u64((uint64_t)work << 32 | slot_s);
}

/* The row of what was taken for a slot, or NO_ROW. */
static uint32_t index_find(const struct sim_ledger *l, uint32_t work, uint32_t slot_s)
{
	if (!l->index)
		return NO_ROW;
	for (uint32_t at = (uint32_t)index_hash(work, slot_s) & l->index_mask; l->index[at]; at = (at + 1) & l->index_mask) {
		const struct sim_row *row = row_at(l, l->index[at] - 1);
		if (row->work == work && row->slot_s == slot_s)
			return l->index[at] - 1;
	}
	return NO_ROW;
}

static void index_place(uint32_t *index, uint32_t mask, const struct sim_row *row, uint32_t i)
{
	uint32_t at = (uint32_t)index_hash(row->work, row->slot_s) & mask;
	while (index[at])
		at = (at + 1) & mask;
	index[at] = i + 1;
}

static bool index_add(struct sim_ledger *l, uint32_t i)
{
	if (!l->index || l->index_used >= (l->index_mask + 1) / 4 * 3) {
		uint32_t size = l->index ? (l->index_mask + 1) * 2 : INDEX_FIRST;
		uint32_t *index = calloc(size, sizeof *index);
		if (!index)
			return false;
		for (uint32_t at = 0; l->index && at <= l->index_mask; at++)
			if (l->index[at])
				index_place(index, size - 1, row_at(l, l->index[at] - 1), l->index[at] - 1);
		free(l->index);
		l->index = index;
		l->index_mask = size - 1;
	}
	index_place(l->index, l->index_mask, row_at(l, i), i);
	l->index_used++;
	return true;
}

static bool keep_in_full(struct sim_ledger *l, const struct sim_filing *filing, struct sim_row *row)
{
	struct odd *odd = realloc(l->odd, (l->odd_count + 1) * sizeof *odd);
	if (!odd)
		return false;
	l->odd = odd;
	odd[l->odd_count] = (struct odd){*filing, 0};
	row->odd = 1;
	row->aux = (uint32_t)l->odd_count++;
	return true;
}

static struct sim_row *add_row(struct sim_ledger *l, const struct sim_filing *filing, int64_t now_ms, enum sim_ledger_outcome outcome)
{
	struct sim_row row = {0};
	char who[sizeof filing->user + sizeof filing->company + 1];
	struct sim_row **block = &l->blocks[l->count / BLOCK_ROWS];
	if (l->count / BLOCK_ROWS >= BLOCKS_MAX || (!*block && !(*block = malloc(BLOCK_ROWS * sizeof **block))))
		return NULL;
	(void)snprintf(who, sizeof who, "%s|%s", filing->user, filing->company);
	if (!sim_names_put(&l->works, filing->work, &row.work) || !sim_names_put(&l->names, who, &row.who))
		return NULL;
	if (!sim_row_pack(filing, now_ms, &row) && !keep_in_full(l, filing, &row))
		return NULL;
	row.outcome = (uint32_t)outcome & 3u;
	l->outcomes[outcome]++;
	struct sim_row *added = row_at(l, l->count++);
	*added = row;
	return added;
}

static void read_row(const struct sim_ledger *l, const struct sim_row *row, struct sim_filing *ret)
{
	if (row->odd)
		*ret = l->odd[row->aux].filing;
	else
		sim_row_unpack(row, l->works.texts[row->work], l->names.texts[row->who], ret);
}

static void print_row(const struct sim_ledger *l, const struct sim_row *row, struct hd_buf *out)
{
	struct sim_filing f;
	char arrival[HD_TIME_TEXT], receipt[SIM_RECEIPT_TEXT] = "";
	int64_t arrival_ms = (int64_t)row->arrival_ms;
	read_row(l, row, &f);
	hd_time_format(arrival_ms, arrival);
	if (row->outcome == SIM_FILED || row->outcome == SIM_DUPLICATE)
		sim_receipt_make(f.work, row->slot_s, receipt);
	const char *why = row->outcome != SIM_REFUSED ? "" : l->names.texts[row->odd ? l->odd[row->aux].why : row->aux];
	(void)hd_buf_printf(out, "{\"outcome\":\"%s\",\"arrival\":\"%s\",\"arrival_ms\":%" PRId64 ",\"kind\":%u,\"stored\":%s,\"foreign\":%s",
	                    outcome_names[row->outcome], arrival, arrival_ms, f.kind, row->stored ? "true" : "false", row->foreign ? "true" : "false");
	const struct {
		const char *name, *text;
	} texts[] = {{"work", f.work}, {"date", f.date}, {"hour", f.hour}, {"flow", f.flow}, {"total", f.total}, {"level", f.level},
	             {"user", f.user}, {"company", f.company}, {"origin", f.origin}, {"receipt", receipt}, {"why", why}};
	for (size_t i = 0; i < HD_ARRAY_LEN(texts); i++) {
		(void)hd_buf_printf(out, ",\"%s\":", texts[i].name);
		(void)hd_buf_add_json(out, texts[i].text, strlen(texts[i].text));
	}
	(void)hd_buf_add_char(out, '}');
}

static bool append_file(struct sim_ledger *l, const struct sim_row *row)
{
	if (!l->file)
		return true;
	struct hd_buf line = {0};
	print_row(l, row, &line);
	(void)hd_buf_add_char(&line, '\n');
	bool ok = !line.failed && fwrite(line.data, 1, line.len, l->file) == line.len && fflush(l->file) == 0;
	hd_buf_done(&line);
	return ok;
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
	struct sim_row *row = add_row(l, &f, (int64_t)arrival->valuedouble, SIM_FILED);
	if (row) {
		row->stored = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "stored")) != 0;
		row->foreign = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "foreign")) != 0;
	}
	cJSON_Delete(o);
	return row && index_add(l, l->count - 1) ? HYDRO_OK : HYDRO_E_NOMEM;
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
	for (size_t i = 0; i < BLOCKS_MAX; i++)
		free(l->blocks[i]);
	sim_names_done(&l->works);
	sim_names_done(&l->names);
	free(l->odd);
	free(l->index);
	hd_map_done(&l->informants);
	(void)pthread_mutex_destroy(&l->lock);
	free(l);
}

static enum sim_ledger_outcome file_locked(struct sim_ledger *l, const struct sim_filing *filing, int64_t now_ms, uint32_t flags, char ret_receipt[SIM_RECEIPT_TEXT])
{
	uint64_t value;
	bool known = hd_map_get(&l->informants, filing->work, strlen(filing->work), &value);
	if (known && value != hd_hash(filing->user, strlen(filing->user)))
		return add_row(l, filing, now_ms, SIM_NOT_INFORMANT) ? SIM_NOT_INFORMANT : SIM_LEDGER_FAILED;
	uint32_t work, slot_s = sim_slot_seconds(filing->date, filing->hour);
	if (!sim_names_put(&l->works, filing->work, &work))
		return SIM_LEDGER_FAILED;
	bool taken = index_find(l, work, slot_s) != NO_ROW;
	struct sim_row *row = add_row(l, filing, now_ms, taken ? SIM_DUPLICATE : SIM_FILED);
	if (!row)
		return SIM_LEDGER_FAILED;
	sim_receipt_make(filing->work, slot_s, ret_receipt);
	if (taken)
		return SIM_DUPLICATE;
	row->stored = (flags & SIM_FILE_STORED) != 0;
	row->foreign = (flags & SIM_FILE_FOREIGN) != 0;
	return index_add(l, l->count - 1) && append_file(l, row) ? SIM_FILED : SIM_LEDGER_FAILED;
}

enum sim_ledger_outcome sim_ledger_file(struct sim_ledger *l, const struct sim_filing *filing, int64_t now_ms, uint32_t flags, char ret_receipt[SIM_RECEIPT_TEXT])
{
	(void)pthread_mutex_lock(&l->lock);
	enum sim_ledger_outcome outcome = file_locked(l, filing, now_ms, flags, ret_receipt);
	(void)pthread_mutex_unlock(&l->lock);
	return outcome;
}

void sim_ledger_refuse(struct sim_ledger *l, const struct sim_filing *filing, int64_t now_ms, const char *why)
{
	(void)pthread_mutex_lock(&l->lock);
	struct sim_row *row = add_row(l, filing, now_ms, SIM_REFUSED);
	uint32_t number;
	if (row && sim_names_put(&l->names, why, &number)) {
		if (row->odd)
			l->odd[row->aux].why = number;
		else
			row->aux = number;
	}
	(void)pthread_mutex_unlock(&l->lock);
}

/* Under the lock: the taken row of a work's slot, or NULL. */
static struct sim_row *taken_row(const struct sim_ledger *l, const char *work, uint32_t slot_s)
{
	uint64_t number;
	if (!slot_s || !hd_map_get(&l->works.numbers, work, strlen(work), &number))
		return NULL;
	uint32_t at = index_find(l, (uint32_t)number, slot_s);
	return at == NO_ROW ? NULL : row_at(l, at);
}

bool sim_ledger_find(struct sim_ledger *l, const char *work, const char *receipt, struct sim_filing *ret)
{
	uint32_t slot_s = sim_receipt_slot(work, receipt);
	(void)pthread_mutex_lock(&l->lock);
	const struct sim_row *row = taken_row(l, work, slot_s);
	bool found = row && row->stored;
	if (found)
		read_row(l, row, ret);
	(void)pthread_mutex_unlock(&l->lock);
	return found;
}

bool sim_ledger_taken(struct sim_ledger *l, const char *work, int64_t slot_ms, struct sim_taken *ret)
{
	(void)pthread_mutex_lock(&l->lock);
	const struct sim_row *row = taken_row(l, work, (uint32_t)(slot_ms / 1000));
	if (row)
		*ret = (struct sim_taken){(int64_t)row->arrival_ms, row->foreign, row->delivered};
	(void)pthread_mutex_unlock(&l->lock);
	return row != NULL;
}

void sim_ledger_delivered(struct sim_ledger *l, const char *work, int64_t slot_ms)
{
	(void)pthread_mutex_lock(&l->lock);
	struct sim_row *row = taken_row(l, work, (uint32_t)(slot_ms / 1000));
	if (row)
		row->delivered = 1;
	(void)pthread_mutex_unlock(&l->lock);
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
	(void)hd_buf_printf(out, "\"total\":%u,\"events\":[", l->count);
	const char *comma = "";
	for (size_t i = offset; i < l->count && limit > 0; i++) {
		const struct sim_row *row = row_at(l, (uint32_t)i);
		if (work && strcmp(work, l->works.texts[row->work]) != 0)
			continue;
		(void)hd_buf_add_text(out, comma);
		print_row(l, row, out);
		comma = ",";
		limit--;
	}
	(void)hd_buf_add_text(out, "]}");
	(void)pthread_mutex_unlock(&l->lock);
}
