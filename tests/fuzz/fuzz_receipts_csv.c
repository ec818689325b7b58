/* SPDX-License-Identifier: MIT */
/* Another system's receipts from CSV: refused in words, or a code, a receipt and a time within bounds. */
#include "filing/cutover.h"
#include "store/csv.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hd_foreign_columns columns;
	struct hd_foreign_receipt row;
	struct hd_csv csv;
	struct hydro_error err = {.struct_size = sizeof err};
	bool end = false, has_columns = false;
	hd_csv_init(&csv, (const char *)data, size);
	while (csv.at < csv.end) {
		int rc = hd_csv_next(&csv, &end, &err);
		if (end)
			break;
		if (rc != HYDRO_OK)
			continue;
		if (!has_columns) {
			has_columns = hd_foreign_columns_take(&csv, &columns, &err) == HYDRO_OK;
			if (!has_columns)
				break;
			continue;
		}
		err.text[0] = '\0';
		if (hd_foreign_line(&columns, &csv, -14400, &row, &err) != HYDRO_OK)
			HD_ASSERT(err.text[0]);
		else
			HD_ASSERT(row.code[0] && strlen(row.code) <= HD_WORK_CODE_BYTES_MAX && row.receipt[0] && strlen(row.receipt) < HD_RECEIPT_BYTES);
	}
	hd_csv_done(&csv);
	return 0;
}
