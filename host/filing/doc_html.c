/* SPDX-License-Identifier: MIT */
/* A document as one HTML page that needs nothing from elsewhere. */
#include "filing/doc.h"

#include <stdlib.h>

struct page {
	struct hd_buf body;
	struct hd_doc_column columns[HD_DOC_COLUMNS_MAX];
	uint32_t column_count;
	bool in_fold, in_card;
};

static const char head[] =
	"<!doctype html>\n<html lang=\"es\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<style>\n"
	":root{--page:#f5f7f9;--card:#fff;--ink:#1b2733;--soft:#5b6b7a;--line:#dde4ea;--good:#1f7a45;--warn:#c27a12;--bad:#b42525;--plain:#9aa9b6;--accent:#1a66b3}\n"
	"*{box-sizing:border-box}body{font:14px/1.45 system-ui,\"DejaVu Sans\",sans-serif;color:var(--ink);background:var(--page);max-width:68rem;margin:0 auto;padding:1.2rem}\n"
	"header{border-bottom:3px solid var(--accent);padding-bottom:.7rem;margin-bottom:1rem}h1{font-size:1.5rem;margin:0}h2,summary{font-size:1.08rem;font-weight:600;margin:0 0 .6rem}\n"
	".soft{color:var(--soft);font-weight:400}.en{color:var(--soft);font-size:.86em;font-weight:400}.card{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.9rem 1rem;margin-top:1rem}\n"
	".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(13rem,1fr));gap:.8rem;margin-top:1rem}.tiles .card{margin:0}.tiles b{display:block;font-size:1.5rem;font-variant-numeric:tabular-nums}\n"
	".good b,.good{color:var(--good)}.warn b{color:var(--warn)}.bad b{color:var(--bad)}.tiles .card span{color:var(--soft)}.tiles .card .en{display:block}\n"
	"table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.28rem .5rem;border-bottom:1px solid var(--line);vertical-align:top}th{font-size:.84rem;color:var(--soft);font-weight:600;vertical-align:bottom}\n"
	"th .en{display:block}.num{text-align:right;font-variant-numeric:tabular-nums}tr.warn td:first-child{border-left:3px solid var(--warn)}tr.bad td:first-child{border-left:3px solid var(--bad)}tr.good td:first-child{border-left:3px solid var(--good)}\n"
	"svg{display:block;width:100%;height:auto}svg text{font-size:9px;fill:var(--soft)}.legend span{margin-right:1rem;white-space:nowrap}.legend i{display:inline-block;width:.8em;height:.8em;border-radius:.15em;margin-right:.35em}\n"
	"details>summary{cursor:pointer;margin:0}details[open]>summary{margin-bottom:.6rem}footer{margin-top:1.2rem;color:var(--soft);font-size:.85em}\n"
	"@media print{body{background:#fff;padding:0;max-width:none}.card{break-inside:avoid-page}}\n</style>\n<title>";

static const char *const colors[HD_DOC_BAR_PARTS] = {"var(--good)", "var(--warn)", "var(--bad)", "var(--plain)"};
static const char *const tones[] = {"", "good", "warn", "bad"};

void hd_html_add(struct hd_buf *ret, const char *text)
{
	for (const char *p = text; *p; p++) {
		switch (*p) {
		case '&': hd_buf_add_text(ret, "&amp;"); break;
		case '<': hd_buf_add_text(ret, "&lt;"); break;
		case '>': hd_buf_add_text(ret, "&gt;"); break;
		case '"': hd_buf_add_text(ret, "&quot;"); break;
		default: hd_buf_add_char(ret, *p);
		}
	}
}

static void add_both(struct hd_buf *ret, const char *es, const char *en)
{
	hd_html_add(ret, es);
	if (!en || !*en)
		return;
	hd_buf_add_text(ret, " <span class=\"en\" lang=\"en\">");
	hd_html_add(ret, en);
	hd_buf_add_text(ret, "</span>");
}

int hd_doc_html_new(const char *es, const char *en, const char *subtitle, void **ret, struct hydro_error *err)
{
	struct page *page = calloc(1, sizeof *page);
	if (!page)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a report");
	hd_buf_add_text(&page->body, head);
	hd_html_add(&page->body, es);
	hd_buf_add_text(&page->body, "</title></head><body>\n<header><h1>");
	add_both(&page->body, es, en);
	hd_buf_add_text(&page->body, "</h1><div class=\"soft\">");
	hd_html_add(&page->body, subtitle);
	hd_buf_add_text(&page->body, "</div></header>\n");
	*ret = page;
	return HYDRO_OK;
}

static void end_section(struct page *page)
{
	if (page->in_fold)
		hd_buf_add_text(&page->body, "</details>");
	if (page->in_card)
		hd_buf_add_text(&page->body, "</section>\n");
	page->in_fold = page->in_card = false;
}

static void section(void *self, const char *es, const char *en, bool folded)
{
	struct page *page = self;
	end_section(page);
	hd_buf_add_text(&page->body, folded ? "<section class=\"card\"><details><summary>" : "<section class=\"card\"><h2>");
	add_both(&page->body, es, en);
	hd_buf_add_text(&page->body, folded ? "</summary>" : "</h2>");
	page->in_card = true;
	page->in_fold = folded;
}

static void text(void *self, const char *es, const char *en)
{
	struct page *page = self;
	hd_buf_add_text(&page->body, "<p>");
	add_both(&page->body, es, en);
	hd_buf_add_text(&page->body, "</p>\n");
}

static void tiles(void *self, const struct hd_doc_tile *list, uint32_t count)
{
	struct page *page = self;
	end_section(page);
	hd_buf_add_text(&page->body, "<div class=\"tiles\">");
	for (uint32_t i = 0; i < count; i++) {
		hd_buf_printf(&page->body, "<div class=\"card %s\"><b>", tones[list[i].tone]);
		hd_html_add(&page->body, list[i].value);
		hd_buf_add_text(&page->body, "</b><span>");
		add_both(&page->body, list[i].es, list[i].en);
		hd_buf_add_text(&page->body, "</span></div>");
	}
	hd_buf_add_text(&page->body, "</div>\n");
}

static void bars(void *self, const struct hd_doc_bar *list, uint32_t count, const char *const names[2 * HD_DOC_BAR_PARTS])
{
	struct page *page = self;
	double most = 0, step = 940.0 / count;
	for (uint32_t i = 0; i < count; i++) {
		double sum = 0;
		for (uint32_t k = 0; k < HD_DOC_BAR_PARTS; k++)
			sum += list[i].parts[k];
		most = HD_MAX(most, sum);
	}
	hd_buf_printf(&page->body, "<svg viewBox=\"0 0 1000 170\" role=\"img\"><line x1=\"50\" x2=\"990\" y1=\"145\" y2=\"145\" stroke=\"var(--line)\"/>"
				   "<text x=\"44\" y=\"22\" text-anchor=\"end\">%.0f</text><text x=\"44\" y=\"148\" text-anchor=\"end\">0</text>",
		      most);
	for (uint32_t i = 0; i < count; i++) {
		double y = 145, x = 50 + step * i;
		for (uint32_t k = 0; k < HD_DOC_BAR_PARTS; k++) {
			double h = most > 0 ? 127 * list[i].parts[k] / most : 0;
			y -= h;
			if (h > 0)
				hd_buf_printf(&page->body, "<rect x=\"%.1f\" y=\"%.2f\" width=\"%.1f\" height=\"%.2f\" fill=\"%s\"/>", x + step * .12, y, step * .76, h,
					      colors[k]);
		}
		hd_buf_printf(&page->body, "<text x=\"%.1f\" y=\"160\" text-anchor=\"middle\">%s</text>", x + step / 2, list[i].label);
	}
	hd_buf_add_text(&page->body, "</svg><div class=\"legend\">");
	for (uint32_t k = 0; k < HD_DOC_BAR_PARTS; k++) {
		if (!names[2 * k])
			continue;
		hd_buf_printf(&page->body, "<span><i style=\"background:%s\"></i>", colors[k]);
		add_both(&page->body, names[2 * k], names[2 * k + 1]);
		hd_buf_add_text(&page->body, "</span>");
	}
	hd_buf_add_text(&page->body, "</div>\n");
}

static void table(void *self, const struct hd_doc_column *columns, uint32_t count)
{
	struct page *page = self;
	page->column_count = count;
	hd_buf_add_text(&page->body, "<div style=\"overflow-x:auto\"><table><thead><tr>");
	for (uint32_t i = 0; i < count; i++) {
		page->columns[i] = columns[i];
		hd_buf_add_text(&page->body, columns[i].right ? "<th class=\"num\">" : "<th>");
		add_both(&page->body, columns[i].es, columns[i].en);
		hd_buf_add_text(&page->body, "</th>");
	}
	hd_buf_add_text(&page->body, "</tr></thead><tbody>\n");
}

static void row(void *self, const char *const *cells, uint32_t tone)
{
	struct page *page = self;
	hd_buf_printf(&page->body, "<tr class=\"%s\">", tones[tone]);
	for (uint32_t i = 0; i < page->column_count; i++) {
		hd_buf_add_text(&page->body, page->columns[i].right ? "<td class=\"num\">" : "<td>");
		hd_html_add(&page->body, cells[i]);
		hd_buf_add_text(&page->body, "</td>");
	}
	hd_buf_add_text(&page->body, "</tr>\n");
}

static void table_end(void *self)
{
	struct page *page = self;
	hd_buf_add_text(&page->body, "</tbody></table></div>\n");
}

static int finish(void *self, struct hd_buf *ret, struct hydro_error *err)
{
	struct page *page = self;
	end_section(page);
	hd_buf_add_text(&page->body, "<footer>hydrod</footer></body></html>\n");
	hd_buf_add(ret, page->body.data, page->body.len);
	return page->body.failed || ret->failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for the report") : HYDRO_OK;
}

static void page_free(void *self)
{
	struct page *page = self;
	hd_buf_done(&page->body);
	free(page);
}

const struct hd_doc_ops hd_doc_html = {section, text, tiles, bars, table, row, table_end, finish, page_free};
