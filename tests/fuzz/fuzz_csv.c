/* SPDX-License-Identifier: MIT */
/* CSV records, and the columns and JSON objects that an import makes of them. */
#include "store/columns.h"

#include <cjson/cJSON.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct hd_columns columns;
	struct hd_csv csv;
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_store_checks checks = {.arg = NULL};
	struct hd_buf json = {0};
	bool end = false, has_columns = false;
	hd_csv_init(&csv, (const char *)data, size);
	while (csv.at < csv.end) {
		const char *before = csv.at;
		int rc = hd_csv_next(&csv, &end, &err);
		HD_ASSERT(csv.at > before && csv.at <= csv.end);
		if (end)
			break;
		if (rc != HYDRO_OK)
			continue;
		if (!has_columns) {
			has_columns = hd_columns_take(&csv, size & 1, &columns, &err) == HYDRO_OK;
			if (!has_columns)
				break;
			continue;
		}
		hd_buf_clear(&json);
		if (hd_columns_object(&columns, &csv, HD_COLUMN_PARAM, "", 0, &checks, &json, &err) == HYDRO_OK) {
			cJSON *parsed = cJSON_Parse(hd_buf_text(&json));
			HD_ASSERT(cJSON_IsObject(parsed));
			cJSON_Delete(parsed);
		}
	}
	hd_csv_done(&csv);
	hd_buf_done(&json);
	return 0;
}
