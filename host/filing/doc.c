/* SPDX-License-Identifier: MIT */
#include "filing/doc.h"

#include <stdlib.h>

struct hd_doc {
	const struct hd_doc_ops *ops;
	void *self;
};

int hd_doc_new(uint32_t format, const char *es, const char *en, const char *subtitle, struct hd_doc **ret, struct hydro_error *err)
{
	struct hd_doc *doc = calloc(1, sizeof *doc);
	if (!doc)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a report");
	doc->ops = format == HD_DOC_PDF ? &hd_doc_pdf : &hd_doc_html;
	int rc = format == HD_DOC_PDF ? hd_doc_pdf_new(es, en, subtitle, &doc->self, err) : hd_doc_html_new(es, en, subtitle, &doc->self, err);
	if (rc == HYDRO_OK)
		*ret = doc;
	else
		free(doc);
	return rc;
}

void hd_doc_free(struct hd_doc **doc)
{
	if (!*doc)
		return;
	(*doc)->ops->free((*doc)->self);
	free(*doc);
	*doc = NULL;
}

void hd_doc_section(struct hd_doc *doc, const char *es, const char *en, bool folded)
{
	doc->ops->section(doc->self, es, en, folded);
}

void hd_doc_text(struct hd_doc *doc, const char *es, const char *en)
{
	doc->ops->text(doc->self, es, en);
}

void hd_doc_tiles(struct hd_doc *doc, const struct hd_doc_tile *tiles, uint32_t count)
{
	doc->ops->tiles(doc->self, tiles, count);
}

void hd_doc_bars(struct hd_doc *doc, const struct hd_doc_bar *bars, uint32_t count, const char *const names[2 * HD_DOC_BAR_PARTS])
{
	if (count)
		doc->ops->bars(doc->self, bars, count, names);
}

void hd_doc_table(struct hd_doc *doc, const struct hd_doc_column *columns, uint32_t count)
{
	HD_ASSERT(count > 0 && count <= HD_DOC_COLUMNS_MAX);
	doc->ops->table(doc->self, columns, count);
}

void hd_doc_row(struct hd_doc *doc, const char *const *cells, uint32_t tone)
{
	doc->ops->row(doc->self, cells, tone);
}

void hd_doc_table_end(struct hd_doc *doc)
{
	doc->ops->table_end(doc->self);
}

int hd_doc_finish(struct hd_doc *doc, struct hd_buf *ret, struct hydro_error *err)
{
	return doc->ops->finish(doc->self, ret, err);
}
