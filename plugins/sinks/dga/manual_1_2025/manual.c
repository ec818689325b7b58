/* SPDX-License-Identifier: MIT */
/*
 * Manual Técnico 1/2025 (Res. DGA exenta 2.170 of 25-06-2025, Diario Oficial 44.190 of 04-07-2025). Since 31-07-2025 no older format is
 * taken. Frequencies and lags are not in it: Res. DGA 1.238 of 2019 (groundwater) and DS 53 of 2020 (surface), from secondary sources.
 */
#include "dga.h"

#define MS_PER_MINUTE INT64_C(60000)
#define MS_PER_DAY INT64_C(86400000)

#define FLOW {.name = "caudal", .form = DGA_FORM_NUMBER, .source = HYDRO_FIELD_FLOW, .decimals = 2}
#define TOTAL {.name = "totalizador", .form = DGA_FORM_NUMBER, .source = HYDRO_FIELD_TOTAL, .chars_max = 15, .unsigned_only = true}
#define DATE {.name = "fechaMedicion", .form = DGA_FORM_DATE}
#define HOUR {.name = "horaMedicion", .form = DGA_FORM_HOUR}

#define FIELD_BIT(FIELD) (1u << HYDRO_FIELD_##FIELD)

static const hydro_filing_standard standards[] = {
	{.name = "mayor", .every = HYDRO_EVERY_HOUR, .lag_ms = 7 * MS_PER_DAY, .doc = "Caudales Mayores: each hour, within 7 days"},
	{.name = "medio", .every = HYDRO_EVERY_DAY, .flags = HYDRO_STANDARD_BY_SHEET, .lag_ms = 15 * MS_PER_DAY, .doc = "Caudales Medios: each day, within 15 days"},
	{.name = "menor", .every = HYDRO_EVERY_MONTH, .flags = HYDRO_STANDARD_BY_SHEET, .lag_months = 1, .doc = "Caudales Menores: each month, within a month"},
	{.name = "muy_pequeno", .every = HYDRO_EVERY_HALF_YEAR, .flags = HYDRO_STANDARD_BY_SHEET, .lag_months = 1, .empty_fields = FIELD_BIT(LEVEL),
	 .doc = "Caudales Muy Pequeños: 1 January and 1 July, within a month; the level may be empty"},
};

static const hydro_filing_kind kinds[] = {
	{.name = "subterranea", .fields = FIELD_BIT(FLOW) | FIELD_BIT(TOTAL) | FIELD_BIT(LEVEL), .level_metric = "water_table", .level_unit = "m",
	 .doc = "Groundwater: flow, total, depth of the water table"},
	{.name = "flujometro", .fields = FIELD_BIT(FLOW) | FIELD_BIT(TOTAL), .level_metric = "", .level_unit = "", .doc = "Surface water by a flow meter: flow, total"},
	{.name = "canal", .fields = FIELD_BIT(FLOW) | FIELD_BIT(LEVEL), .level_metric = "stage", .level_unit = "cm", .doc = "Surface water in an open channel: flow, stage"},
};

static const struct dga_kind wires[] = {
	{.path = "subterraneas", .object = "medicionSubterranea", .empty_option = DGA_MINE_WATER,
	 .fields = {FLOW, DATE, HOUR, {.name = "nivelFreaticoDelPozo", .form = DGA_FORM_NUMBER, .source = HYDRO_FIELD_LEVEL, .decimals = 2}, TOTAL}},
	{.path = "superficiales/flujometro", .object = "medicionSuperficialFlujometro", .empty_option = -1, .fields = {FLOW, DATE, HOUR, TOTAL}},
	{.path = "superficiales", .object = "medicionSuperficial", .empty_option = DGA_AUTOMATIC_GATES,
	 .fields = {{.name = "alturaLimnimetrica", .form = DGA_FORM_NUMBER, .source = HYDRO_FIELD_LEVEL}, FLOW, DATE, HOUR}},
};

const struct dga_manual dga_manual = {
	.info = {
		.struct_size = sizeof(hydro_filing_info),
		.utc_offset_s = -4 * 3600,
		.family = "dga",
		.valid_from = "2025-07-31",
		.deadline_ms = 60 * MS_PER_MINUTE,
		.spacing_ms = 5 * MS_PER_MINUTE,
		.standards = standards,
		.kinds = kinds,
		.standard_count = sizeof standards / sizeof standards[0],
		.standard_stride = sizeof standards[0],
		.kind_count = sizeof kinds / sizeof kinds[0],
		.kind_stride = sizeof kinds[0],
		.authority = "DGA",
		.failures_note = "Manual Técnico 1/2025, §6.3: lo no transmitido dentro del desfase máximo es una falla de transmisión, que el usuario de aguas debe informar a la DGA.",
		.failures_note_en = "What is not sent within the longest lag is a failure of transmission, which the user of the water must report to the DGA (§6.3).",
	},
	.kinds = wires,
};
