/* SPDX-License-Identifier: MIT */
/*
 * A report as a document: said once, written as a self-contained HTML page or as a PDF. Titles and columns are bilingual,
 * Spanish first. A document belongs to one thread.
 */
#ifndef HD_FILING_DOC_H
#define HD_FILING_DOC_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>

#define HD_DOC_HTML 0u
#define HD_DOC_PDF 1u

#define HD_TONE_PLAIN 0u
#define HD_TONE_GOOD 1u
#define HD_TONE_WARN 2u
#define HD_TONE_BAD 3u

#define HD_DOC_COLUMNS_MAX 16u
#define HD_DOC_BAR_PARTS 4u

struct hd_doc;

struct hd_doc_tile {
	const char *value, *es, *en;
	uint32_t tone;
};
struct hd_doc_column {
	const char *es, *en;
	double width; /* share of the table's width */
	bool right;
};
/* One bar of a chart: parts stand on one another, in the order good, warn, bad, plain. */
struct hd_doc_bar {
	char label[16];
	double parts[HD_DOC_BAR_PARTS];
};

/* `subtitle` stands under the title. HYDRO_E_NOMEM. [any] */
int hd_doc_new(uint32_t format, const char *es, const char *en, const char *subtitle, struct hd_doc **ret, struct hydro_error *err);
void hd_doc_free(struct hd_doc **doc);
/* A heading; folded: in HTML what follows up to the next heading opens on a click. */
void hd_doc_section(struct hd_doc *doc, const char *es, const char *en, bool folded);
void hd_doc_text(struct hd_doc *doc, const char *es, const char *en);
void hd_doc_tiles(struct hd_doc *doc, const struct hd_doc_tile *tiles, uint32_t count);
/* `names`: what the parts are, Spanish and English in turn; NULL = the part is not used. */
void hd_doc_bars(struct hd_doc *doc, const struct hd_doc_bar *bars, uint32_t count, const char *const names[2 * HD_DOC_BAR_PARTS]);
void hd_doc_table(struct hd_doc *doc, const struct hd_doc_column *columns, uint32_t count);
void hd_doc_row(struct hd_doc *doc, const char *const *cells, uint32_t tone); /* as many as columns */
void hd_doc_table_end(struct hd_doc *doc);
/* The whole document is added to ret; the document holds no more. HYDRO_E_NOMEM, HYDRO_E_FATAL (the PDF library's word). */
int hd_doc_finish(struct hd_doc *doc, struct hd_buf *ret, struct hydro_error *err);

/* ---- inside: one table of functions for each format ------------------------------------------------------------------------ */

struct hd_doc_ops {
	void (*section)(void *self, const char *es, const char *en, bool folded);
	void (*text)(void *self, const char *es, const char *en);
	void (*tiles)(void *self, const struct hd_doc_tile *tiles, uint32_t count);
	void (*bars)(void *self, const struct hd_doc_bar *bars, uint32_t count, const char *const names[2 * HD_DOC_BAR_PARTS]);
	void (*table)(void *self, const struct hd_doc_column *columns, uint32_t count);
	void (*row)(void *self, const char *const *cells, uint32_t tone);
	void (*table_end)(void *self);
	int (*finish)(void *self, struct hd_buf *ret, struct hydro_error *err);
	void (*free)(void *self);
};
int hd_doc_html_new(const char *es, const char *en, const char *subtitle, void **ret, struct hydro_error *err);
int hd_doc_pdf_new(const char *es, const char *en, const char *subtitle, void **ret, struct hydro_error *err);
extern const struct hd_doc_ops hd_doc_html, hd_doc_pdf;
/* Text as HTML. */
void hd_html_add(struct hd_buf *ret, const char *text);

#endif
