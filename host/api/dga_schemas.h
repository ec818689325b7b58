/* SPDX-License-Identifier: MIT */
/* Inside of the api folder: the schemas of /api/v1/dga, for the list of all. */
#ifndef HD_API_DGA_SCHEMAS_H
#define HD_API_DGA_SCHEMAS_H

#include "api/schema.h"

/* X(variable) */
#define HD_DGA_SCHEMAS(X) \
	X(hd_schema_dga_work) X(hd_schema_dga_works) X(hd_schema_dga_centre) X(hd_schema_dga_centres) X(hd_schema_dga_forecast) X(hd_schema_dga_informant) \
	X(hd_schema_dga_informants) X(hd_schema_dga_certificate) X(hd_schema_dga_certificates) X(hd_schema_dga_reason) X(hd_schema_dga_switch) \
	X(hd_schema_dga_switch_state) X(hd_schema_dga_by_hand) X(hd_schema_dga_slot) X(hd_schema_dga_slots) X(hd_schema_dga_slot_full) X(hd_schema_dga_audit) \
	X(hd_schema_dga_verdict) X(hd_schema_dga_proof) X(hd_schema_dga_status) X(hd_schema_dga_days) X(hd_schema_dga_compliance) X(hd_schema_dga_alarms) \
	X(hd_schema_dga_failures) X(hd_schema_dga_cutover) X(hd_schema_dga_comparison) X(hd_schema_dga_queued) X(hd_schema_dga_import)

#define HD_DGA_SCHEMA_EXTERN(variable) extern const struct hd_schema variable;
HD_DGA_SCHEMAS(HD_DGA_SCHEMA_EXTERN)
#undef HD_DGA_SCHEMA_EXTERN

#endif
