/* SPDX-License-Identifier: MIT */
/* Shapes of JSON bodies as tables: they check what comes in, and are printed into the OpenAPI document. */
#ifndef HD_API_SCHEMA_H
#define HD_API_SCHEMA_H

#include "http/http.h"

#include <cjson/cJSON.h>

#define HD_FIELD_IS_TEXT 0u
#define HD_FIELD_IS_INTEGER 1u
#define HD_FIELD_IS_NUMBER 2u
#define HD_FIELD_IS_BOOL 3u
#define HD_FIELD_IS_TIME 4u
#define HD_FIELD_IS_UUID 5u
#define HD_FIELD_IS_OBJECT 6u
#define HD_FIELD_IS_ARRAY 7u /* of the schema `of`, or of anything */
#define HD_FIELD_IS_ANY 8u

#define HD_FIELD_REQUIRED 1u
#define HD_FIELD_NULLABLE 2u
#define HD_FIELD_READ_ONLY 4u /* in answers; ignored when it comes in */

struct hd_schema_field {
	const char *name;
	uint32_t type, flags;
	double min, max; /* numbers, and length of texts; max <= min: no bound */
	const char *of;  /* ARRAY, OBJECT: name of a schema; TEXT: "a|b|c" it is one of; NULL: anything */
	const char *doc;
};

struct hd_schema {
	const char *name;
	const char *doc;
	const struct hd_schema_field *fields;
	uint32_t count;
};

/* All schemas, for the document. */
extern const struct hd_schema *const hd_schemas[];
extern const size_t hd_schemas_count;
extern const struct hd_schema hd_schema_point, hd_schema_point_config, hd_schema_account, hd_schema_api_key, hd_schema_readings, hd_schema_reading,
	hd_schema_pipeline_source, hd_schema_pipeline_eval, hd_schema_reprocess;

/*
 * Parses a JSON object (UTF-8, nothing behind it) and checks it against the schema; each misfit is added to the response's
 * problems. `partial`: REQUIRED fields may be absent. *ret is to be freed by cJSON_Delete. HYDRO_E_PARSE, HYDRO_E_INVALID.
 */
int hd_body_parse(const struct hd_http_request *req, const struct hd_schema *schema, bool partial, struct hd_http_response *resp, cJSON **ret,
		  struct hydro_error *err);
/* Text of a member, NULL if absent or null. */
const char *hd_body_text(const cJSON *object, const char *name);
void hd_cleanup_json(cJSON **json);
/* The schemas as members of an object, comma-separated. */
void hd_schemas_print(struct hd_buf *ret);

#endif
