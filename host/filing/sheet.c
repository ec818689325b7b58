/* SPDX-License-Identifier: MIT */
/* Frozen payloads as a spreadsheet, for those who file by sheet or form. */
#include "filing/report.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <hydro/abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xlsxwriter.h>

#define KINDS_MAX 8u
#define FIELDS_MAX 24u
#define ROWS_MAX 500000u /* a worksheet takes 1,048,576 */

struct kind_sheet {
	char name[32];
	lxw_worksheet *sheet;
	uint32_t row;
	uint32_t field_count;
	char fields[FIELDS_MAX][48];
};

struct book {
	struct hd_ledger *ledger;
	const struct hd_adapters *adapters;
	struct hd_compliance works;
	const struct hd_compliance_row *work;
	lxw_workbook *workbook;
	lxw_format *head, *whole, *decimals;
	struct kind_sheet kinds[KINDS_MAX];
	uint32_t kind_count;
	uint64_t rows;
};

static struct kind_sheet *kind_of(struct book *book, const char *name)
{
	char title[32];
	(void)snprintf(title, sizeof title, "%.31s", name);
	for (uint32_t i = 0; i < book->kind_count; i++)
		if (strcmp(book->kinds[i].name, title) == 0)
			return &book->kinds[i];
	if (book->kind_count == KINDS_MAX)
		return NULL;
	struct kind_sheet *kind = &book->kinds[book->kind_count];
	kind->sheet = workbook_add_worksheet(book->workbook, title);
	if (!kind->sheet)
		return NULL;
	(void)snprintf(kind->name, sizeof kind->name, "%s", title);
	(void)worksheet_write_string(kind->sheet, 0, 0, "codigoObra", book->head);
	(void)worksheet_set_column(kind->sheet, 0, 0, 16, NULL);
	(void)worksheet_set_column(kind->sheet, 1, FIELDS_MAX, 20, NULL);
	worksheet_freeze_panes(kind->sheet, 1, 0);
	kind->row = 1;
	book->kind_count++;
	return kind;
}

/* The column of a field, made with its heading when it is new; 0 when there are too many. */
static lxw_col_t column_of(struct book *book, struct kind_sheet *kind, const char *field)
{
	for (uint32_t i = 0; i < kind->field_count; i++)
		if (strcmp(kind->fields[i], field) == 0)
			return (lxw_col_t)(i + 1);
	if (kind->field_count == FIELDS_MAX)
		return 0;
	(void)snprintf(kind->fields[kind->field_count], sizeof kind->fields[0], "%s", field);
	kind->field_count++;
	(void)worksheet_write_string(kind->sheet, 0, (lxw_col_t)kind->field_count, field, book->head);
	return (lxw_col_t)kind->field_count;
}

/* A number as a number, with the decimals that it was written with; else text. */
static void put_cell(struct book *book, struct kind_sheet *kind, lxw_col_t col, const char *text)
{
	char *end;
	double value = strtod(text, &end);
	bool number = *text && *end == '\0' && strspn(text, "0123456789.-") == strlen(text);
	if (number)
		(void)worksheet_write_number(kind->sheet, kind->row, col, value, strchr(text, '.') ? book->decimals : book->whole);
	else if (*text)
		(void)worksheet_write_string(kind->sheet, kind->row, col, text, NULL);
}

/* The payload's fields are its members, or those of the one object in it. */
static int put_payload(struct book *book, const char *payload, struct hydro_error *err)
{
	cJSON *json = cJSON_Parse(payload);
	const cJSON *fields = cJSON_IsObject(json) && json->child && !json->child->next && cJSON_IsObject(json->child) ? json->child : json;
	struct kind_sheet *kind = cJSON_IsObject(fields) ? kind_of(book, book->work->kind) : NULL;
	if (!kind) {
		cJSON_Delete(json);
		return hd_error_set(err, HYDRO_E_CORRUPT, "the payload of a slot of %s is no JSON object, or there are too many kinds", book->work->key);
	}
	(void)worksheet_write_string(kind->sheet, kind->row, 0, book->work->key, NULL);
	for (const cJSON *field = fields->child; field; field = field->next) {
		lxw_col_t col = column_of(book, kind, field->string);
		if (col && cJSON_IsString(field))
			put_cell(book, kind, col, field->valuestring);
		else if (col && cJSON_IsNumber(field))
			(void)worksheet_write_number(kind->sheet, kind->row, col, field->valuedouble, NULL);
	}
	kind->row++;
	cJSON_Delete(json);
	return HYDRO_OK;
}

static int put_slot(void *arg, const struct hd_slot *slot, struct hydro_error *err)
{
	struct book *book = arg;
	struct hd_buf payload = {0};
	char adapter[64];
	int rc = hd_ledger_payload(book->ledger, slot->work, slot->due_ms, &payload, adapter, err);
	if (rc == HYDRO_E_NOTFOUND)
		rc = HYDRO_OK; /* nothing was frozen for it */
	else if (rc == HYDRO_OK && ++book->rows > ROWS_MAX)
		rc = hd_error_set(err, HYDRO_E_LIMIT, "more than %u rows: ask for one client or work", ROWS_MAX);
	else if (rc == HYDRO_OK)
		rc = put_payload(book, hd_buf_text(&payload), err);
	hd_buf_done(&payload);
	return rc;
}

static bool by_sheet(const struct book *book, const char *standard)
{
	for (uint32_t i = 0; hd_adapters_at(book->adapters, i); i++) {
		const hydro_filing_standard *row = hd_adapter_standard(hd_adapters_at(book->adapters, i), standard);
		if (row)
			return row->flags & HYDRO_STANDARD_BY_SHEET;
	}
	return false;
}

static int put_works(struct book *book, bool all, struct hydro_error *err)
{
	const uint32_t filed = 1u << HD_SLOT_FILED | 1u << HD_SLOT_FILED_NO_RECEIPT | 1u << HD_SLOT_FILED_DIFFERS | 1u << HD_SLOT_BY_HAND | 1u << HD_SLOT_MISSING;
	const uint32_t every = (1u << HD_SLOT_STATE_COUNT) - 1;
	for (uint32_t i = 0; i < book->works.count; i++) {
		book->work = &book->works.rows[i];
		if (!by_sheet(book, book->work->standard))
			continue;
		struct hd_slot_filter filter = {.work = book->work->work, .states = all ? every : every & ~filed, .from_ms = book->works.from_ms, .to_ms = book->works.to_ms};
		int rc = hd_ledger_slots(book->ledger, &filter, put_slot, book, err);
		if (rc != HYDRO_OK)
			return rc;
	}
	return book->rows ? HYDRO_OK : hd_error_set(err, HYDRO_E_NOTFOUND, "no slot of a work that may be filed by sheet passes");
}

static int read_back(int fd, struct hd_buf *ret, struct hydro_error *err)
{
	char piece[65536];
	ssize_t n;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "reading the spreadsheet");
	while ((n = read(fd, piece, sizeof piece)) > 0)
		hd_buf_add(ret, piece, (size_t)n);
	return n < 0 ? hd_error_errno(err, HYDRO_E_IO, errno, "reading the spreadsheet") : ret->failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory") : HYDRO_OK;
}

/* The library writes a file alone: one in memory, without name. */
static int write_book(struct book *book, bool all, struct hd_buf *ret, struct hydro_error *err)
{
	char path[64];
	HD_CLEANUP(hd_cleanup_fd) int fd = memfd_create("sheet", MFD_CLOEXEC);
	if (fd < 0)
		return hd_error_errno(err, HYDRO_E_NOMEM, errno, "memory for a spreadsheet");
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	book->workbook = workbook_new(path);
	if (!book->workbook)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a spreadsheet");
	book->head = workbook_add_format(book->workbook);
	book->whole = workbook_add_format(book->workbook);
	book->decimals = workbook_add_format(book->workbook);
	format_set_bold(book->head);
	format_set_num_format(book->whole, "0");
	format_set_num_format(book->decimals, "0.00");
	int rc = put_works(book, all, err);
	lxw_error status = workbook_close(book->workbook);
	if (rc == HYDRO_OK && status != LXW_NO_ERROR)
		rc = hd_error_set(err, HYDRO_E_FATAL, "the spreadsheet could not be made: %s", lxw_strerror(status));
	return rc == HYDRO_OK ? read_back(fd, ret, err) : rc;
}

int hd_sheet(struct hd_ledger *ledger, const struct hd_adapters *adapters, const struct hd_report_query *query, bool all, struct hd_buf *ret,
	     struct hydro_error *err)
{
	struct book *book = calloc(1, sizeof *book);
	struct hd_work_filter filter = {.mode = -1, .held = -1, .centre = HD_LEDGER_ALL, .client = query->client};
	struct hd_compliance_query ask = {.by = HD_COMPLIANCE_BY_WORK, .works = &filter, .code = query->code, .from_ms = query->from_ms, .to_ms = query->to_ms,
					  .now_ms = query->now_ms};
	if (!book)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a spreadsheet");
	book->ledger = ledger;
	book->adapters = adapters;
	int rc = hd_compliance_take(ledger, adapters, &ask, &book->works, err);
	if (rc == HYDRO_OK)
		rc = write_book(book, all, ret, err);
	hd_compliance_done(&book->works);
	free(book);
	return rc;
}
