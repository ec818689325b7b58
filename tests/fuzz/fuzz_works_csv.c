/* SPDX-License-Identifier: MIT */
/* Works from CSV: columns, and lines as documents whose members fit their fields. */
#include "filing/works_import.h"
#include "store/csv.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void note(void *arg, const char *field, const char *why)
{
	HD_ASSERT(hd_work_field_find(field) && why[0]);
	++*(uint32_t *)arg;
}

static void check(const cJSON *document)
{
	char why[200];
	for (const cJSON *item = document->child; item; item = item->next) {
		const struct hd_work_field *field = hd_work_field_find(item->string);
		HD_ASSERT(field && !hd_work_field_misfit(field, item, why));
	}
	char *text = cJSON_PrintUnformatted(document);
	cJSON *again = text ? cJSON_Parse(text) : NULL;
	HD_ASSERT(cJSON_IsObject(again));
	cJSON_Delete(again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct hd_works_columns columns;
	struct hd_csv csv;
	struct hydro_error err = {.struct_size = sizeof err};
	bool end = false, has_columns = false;
	uint32_t problems = 0;
	hd_csv_init(&csv, (const char *)data, size);
	while (csv.at < csv.end) {
		int rc = hd_csv_next(&csv, &end, &err);
		if (end)
			break;
		if (rc != HYDRO_OK)
			continue;
		if (!has_columns) {
			has_columns = hd_works_columns_take(&csv, &columns, &err) == HYDRO_OK;
			if (!has_columns)
				break;
			continue;
		}
		cJSON *document = hd_works_line(&columns, &csv, -14400, note, &problems);
		HD_ASSERT(document);
		check(document);
		cJSON_Delete(document);
	}
	hd_csv_done(&csv);
	return 0;
}
