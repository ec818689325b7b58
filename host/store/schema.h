/* SPDX-License-Identifier: MIT */
/* Numbered migrations of a database; its user_version says how far it is. */
#ifndef HD_STORE_SCHEMA_H
#define HD_STORE_SCHEMA_H

#include "store/db.h"

struct hd_migration {
	const char *sql; /* may hold several statements; never changed once published */
	const char *what;
};

/* Those of business.db, in order: entry i leads from version i to i + 1. */
extern const struct hd_migration hd_schema_business[];
extern const size_t hd_schema_business_count;

/*
 * Brings the database to `count`. A database that has something in it is copied beside itself first
 * ("<path>.v<version>.bak", synced); each step is one transaction. HYDRO_E_CONFIG for a newer database: nothing is touched.
 * [control]
 */
int hd_schema_migrate(struct hd_db *db, const char *path, const struct hd_migration *migrations, size_t count, struct hydro_error *err);

#endif
