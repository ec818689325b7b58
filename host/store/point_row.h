/* SPDX-License-Identifier: MIT */
/* Inside of the store folder: how a point's row is read. */
#ifndef HD_STORE_POINT_ROW_H
#define HD_STORE_POINT_ROW_H

#include "store/points.h"

#define HD_STORE_POINT_COLUMNS \
	"p.number, p.uuid, p.version, p.bits, p.account, p.period_s, p.join_ms, p.start_ms, p.created_ms, p.updated_ms, p.name, p.provider," \
	" p.pipeline, p.zone, p.options, p.sealed, p.params, a.uuid"
#define HD_STORE_POINT_FROM " FROM points p LEFT JOIN accounts a ON a.id = p.account "
#define HD_STORE_POINT_SEALED 15 /* column */

/* From a row of HD_STORE_POINT_COLUMNS; texts are borrowed until the next step; `options` is NULL. */
void hd_store_point_read(sqlite3_stmt *stmt, struct hd_store_point *ret);

#endif
