/* SPDX-License-Identifier: MIT */
/* A document as a PDF on A4, by libharu with the fonts that every reader has (WinAnsi: all of Spanish). */
#include "filing/doc.h"

#include <hpdf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_W 595.0f
#define PAGE_H 842.0f
#define MARGIN 42.0f
#define WIDTH (PAGE_W - 2 * MARGIN)
#define BOTTOM 52.0f
#define CELL_BYTES 256u

struct color {
	float r, g, b;
};
static const struct color ink = {.106f, .153f, .2f}, soft = {.357f, .42f, .478f}, line = {.867f, .894f, .918f}, accent = {.102f, .4f, .702f},
			  tones[] = {{.106f, .153f, .2f}, {.122f, .478f, .271f}, {.761f, .478f, .071f}, {.706f, .145f, .145f}},
			  parts[HD_DOC_BAR_PARTS] = {{.122f, .478f, .271f}, {.761f, .478f, .071f}, {.706f, .145f, .145f}, {.604f, .663f, .714f}};

struct pdf {
	HPDF_Doc doc;
	HPDF_Page page;
	HPDF_Font plain, bold, oblique, mono;
	float y; /* of what was written last, from below */
	uint32_t pages;
	HPDF_STATUS failed;
	char title[200];
	struct hd_doc_column columns[HD_DOC_COLUMNS_MAX];
	uint32_t column_count;
	float x[HD_DOC_COLUMNS_MAX + 1];
	bool in_table;
};

static void on_error(HPDF_STATUS code, HPDF_STATUS detail, void *arg)
{
	struct pdf *pdf = arg;
	(void)detail;
	pdf->failed = code;
}

/* UTF-8 as WinAnsi; what it has not becomes '?'. */
static void to_winansi(const char *text, char *ret, size_t size)
{
	size_t n = 0;
	for (const unsigned char *p = (const unsigned char *)text; *p && n + 1 < size;) {
		if (*p < 0x80) {
			ret[n++] = (char)*p++;
		} else if ((*p == 0xc2 || *p == 0xc3) && (p[1] & 0xc0) == 0x80) {
			ret[n++] = (char)((*p & 3) << 6 | (p[1] & 0x3f));
			p += 2;
		} else if (p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0x93 || p[2] == 0x94 || p[2] == 0xa6)) {
			ret[n++] = p[2] == 0xa6 ? (char)0x85 : p[2] == 0x93 ? (char)0x96 : (char)0x97;
			p += 3;
		} else {
			ret[n++] = '?';
			for (p++; (*p & 0xc0) == 0x80; p++)
				;
		}
	}
	ret[n] = '\0';
}

static void fill(struct pdf *pdf, struct color c)
{
	(void)HPDF_Page_SetRGBFill(pdf->page, c.r, c.g, c.b);
}

static float width_of(struct pdf *pdf, HPDF_Font font, float size, const char *winansi)
{
	(void)HPDF_Page_SetFontAndSize(pdf->page, font, size);
	return HPDF_Page_TextWidth(pdf->page, winansi);
}

static void put_raw(struct pdf *pdf, float x, float y, const char *winansi)
{
	(void)HPDF_Page_BeginText(pdf->page);
	(void)HPDF_Page_TextOut(pdf->page, x, y, winansi);
	(void)HPDF_Page_EndText(pdf->page);
}

/* One line of text; what is wider than `room` (0: any) ends in an ellipsis. right: x is its end. */
static float put(struct pdf *pdf, HPDF_Font font, float size, struct color color, float x, float y, float room, bool right, const char *text)
{
	char out[CELL_BYTES * 2];
	to_winansi(text, out, sizeof out);
	float width = width_of(pdf, font, size, out);
	for (size_t len = strlen(out); room > 0 && width > room && len > 1;) {
		out[--len] = '\0';
		out[len - 1] = (char)0x85;
		width = width_of(pdf, font, size, out);
	}
	fill(pdf, color);
	put_raw(pdf, right ? x - width : x, y, out);
	return width;
}

static void rule(struct pdf *pdf, float y, struct color c, float width)
{
	(void)HPDF_Page_SetRGBStroke(pdf->page, c.r, c.g, c.b);
	(void)HPDF_Page_SetLineWidth(pdf->page, width);
	(void)HPDF_Page_MoveTo(pdf->page, MARGIN, y);
	(void)HPDF_Page_LineTo(pdf->page, PAGE_W - MARGIN, y);
	(void)HPDF_Page_Stroke(pdf->page);
}

static void box(struct pdf *pdf, float x, float y, float w, float h, struct color c)
{
	fill(pdf, c);
	(void)HPDF_Page_Rectangle(pdf->page, x, y, w, h);
	(void)HPDF_Page_Fill(pdf->page);
}

static void new_page(struct pdf *pdf)
{
	char number[32];
	pdf->page = HPDF_AddPage(pdf->doc);
	(void)HPDF_Page_SetSize(pdf->page, HPDF_PAGE_SIZE_A4, HPDF_PAGE_PORTRAIT);
	pdf->pages++;
	(void)snprintf(number, sizeof number, "%u", pdf->pages);
	rule(pdf, BOTTOM - 12, line, .6f);
	put(pdf, pdf->plain, 7.5f, soft, MARGIN, BOTTOM - 23, WIDTH - 60, false, pdf->title);
	put(pdf, pdf->plain, 7.5f, soft, PAGE_W - MARGIN, BOTTOM - 23, 0, true, number);
	pdf->y = PAGE_H - MARGIN;
}

int hd_doc_pdf_new(const char *es, const char *en, const char *subtitle, void **ret, struct hydro_error *err)
{
	struct pdf *pdf = calloc(1, sizeof *pdf);
	if (!pdf)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a report");
	pdf->doc = HPDF_New(on_error, pdf);
	if (!pdf->doc) {
		free(pdf);
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a PDF");
	}
	(void)HPDF_SetCompressionMode(pdf->doc, HPDF_COMP_ALL);
	pdf->plain = HPDF_GetFont(pdf->doc, "Helvetica", "WinAnsiEncoding");
	pdf->bold = HPDF_GetFont(pdf->doc, "Helvetica-Bold", "WinAnsiEncoding");
	pdf->oblique = HPDF_GetFont(pdf->doc, "Helvetica-Oblique", "WinAnsiEncoding");
	pdf->mono = HPDF_GetFont(pdf->doc, "Courier", "WinAnsiEncoding");
	(void)snprintf(pdf->title, sizeof pdf->title, "%s – %s", es, subtitle);
	new_page(pdf);
	pdf->y -= 16;
	float w = put(pdf, pdf->bold, 17, ink, MARGIN, pdf->y, WIDTH, false, es);
	if (w < WIDTH - 80)
		put(pdf, pdf->plain, 9, soft, MARGIN + w + 8, pdf->y, WIDTH - w - 8, false, en);
	pdf->y -= 15;
	put(pdf, pdf->plain, 9.5f, soft, MARGIN, pdf->y, WIDTH, false, subtitle);
	pdf->y -= 8;
	rule(pdf, pdf->y, accent, 2);
	pdf->y -= 6;
	*ret = pdf;
	return HYDRO_OK;
}

static void need(struct pdf *pdf, float height)
{
	if (pdf->y - height < BOTTOM)
		new_page(pdf);
}

static void section(void *self, const char *es, const char *en, bool folded)
{
	struct pdf *pdf = self;
	(void)folded;
	need(pdf, 70);
	pdf->y -= 22;
	float w = put(pdf, pdf->bold, 11.5f, ink, MARGIN, pdf->y, WIDTH, false, es);
	if (en && w < WIDTH - 60)
		put(pdf, pdf->plain, 8.5f, soft, MARGIN + w + 6, pdf->y, WIDTH - w - 6, false, en);
	pdf->y -= 6;
}

/* Words in lines as wide as the page. */
static void paragraph(struct pdf *pdf, HPDF_Font font, float size, struct color color, const char *text)
{
	char out[2048], row[512] = "";
	size_t len = 0;
	to_winansi(text, out, sizeof out);
	for (char *save = NULL, *word = strtok_r(out, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		char tried[512];
		(void)snprintf(tried, sizeof tried, "%s%s%.200s", row, len ? " " : "", word);
		if (len && width_of(pdf, font, size, tried) > WIDTH) {
			need(pdf, size + 4);
			pdf->y -= size + 3;
			(void)width_of(pdf, font, size, row);
			fill(pdf, color);
			put_raw(pdf, MARGIN, pdf->y, row);
			(void)snprintf(tried, sizeof tried, "%.200s", word);
		}
		(void)snprintf(row, sizeof row, "%s", tried);
		len = strlen(row);
	}
	if (!len)
		return;
	need(pdf, size + 4);
	pdf->y -= size + 3;
	(void)width_of(pdf, font, size, row);
	fill(pdf, color);
	put_raw(pdf, MARGIN, pdf->y, row);
}

static void text(void *self, const char *es, const char *en)
{
	struct pdf *pdf = self;
	pdf->y -= 2;
	paragraph(pdf, pdf->plain, 9, ink, es);
	if (en && *en)
		paragraph(pdf, pdf->oblique, 8, soft, en);
}

static void tiles(void *self, const struct hd_doc_tile *list, uint32_t count)
{
	struct pdf *pdf = self;
	uint32_t in_row = HD_MIN(count, 4u);
	float gap = 8, w = (WIDTH - gap * (float)(in_row - 1)) / (float)in_row, h = 46;
	for (uint32_t i = 0; i < count; i++) {
		if (i % in_row == 0) {
			need(pdf, h + gap);
			pdf->y -= h + gap;
		}
		float x = MARGIN + (w + gap) * (float)(i % in_row);
		(void)HPDF_Page_SetRGBStroke(pdf->page, line.r, line.g, line.b);
		(void)HPDF_Page_SetLineWidth(pdf->page, .8f);
		(void)HPDF_Page_Rectangle(pdf->page, x, pdf->y, w, h);
		(void)HPDF_Page_Stroke(pdf->page);
		put(pdf, pdf->bold, 15, tones[list[i].tone], x + 8, pdf->y + 27, w - 16, false, list[i].value);
		put(pdf, pdf->plain, 8, ink, x + 8, pdf->y + 16, w - 16, false, list[i].es);
		put(pdf, pdf->plain, 6.8f, soft, x + 8, pdf->y + 7, w - 16, false, list[i].en);
	}
}

static void legend(struct pdf *pdf, const char *const names[2 * HD_DOC_BAR_PARTS])
{
	float x = MARGIN + 24;
	pdf->y -= 12;
	for (uint32_t k = 0; k < HD_DOC_BAR_PARTS; k++) {
		char both[120];
		if (!names[2 * k])
			continue;
		box(pdf, x, pdf->y, 6, 6, parts[k]);
		(void)snprintf(both, sizeof both, "%s / %s", names[2 * k], names[2 * k + 1]);
		x += 10 + put(pdf, pdf->plain, 7.5f, soft, x + 10, pdf->y, 0, false, both) + 14;
	}
}

static void bars(void *self, const struct hd_doc_bar *list, uint32_t count, const char *const names[2 * HD_DOC_BAR_PARTS])
{
	struct pdf *pdf = self;
	float most = 0, left = MARGIN + 24, high = 84, step = (WIDTH - 24) / (float)count;
	char number[32];
	for (uint32_t i = 0; i < count; i++) {
		float sum = 0;
		for (uint32_t k = 0; k < HD_DOC_BAR_PARTS; k++)
			sum += (float)list[i].parts[k];
		most = HD_MAX(most, sum);
	}
	need(pdf, high + 40);
	pdf->y -= high + 8;
	(void)snprintf(number, sizeof number, "%.0f", (double)most);
	put(pdf, pdf->plain, 7, soft, left - 4, pdf->y + high - 5, 0, true, number);
	put(pdf, pdf->plain, 7, soft, left - 4, pdf->y, 0, true, "0");
	rule(pdf, pdf->y, line, .6f);
	for (uint32_t i = 0; i < count; i++) {
		float y = pdf->y, x = left + step * (float)i;
		for (uint32_t k = 0; k < HD_DOC_BAR_PARTS; k++) {
			float h = most > 0 ? high * (float)list[i].parts[k] / most : 0;
			if (h > 0)
				box(pdf, x + step * .12f, y, step * .76f, h, parts[k]);
			y += h;
		}
		char label[16];
		(void)snprintf(label, sizeof label, "%s", list[i].label);
		float w = width_of(pdf, pdf->plain, 6.5f, label);
		put(pdf, pdf->plain, 6.5f, soft, x + (step - w) / 2, pdf->y - 9, 0, false, label);
	}
	pdf->y -= 12;
	legend(pdf, names);
}

static void table_head(struct pdf *pdf)
{
	need(pdf, 50);
	pdf->y -= 24;
	for (uint32_t i = 0; i < pdf->column_count; i++) {
		float x = pdf->columns[i].right ? pdf->x[i + 1] - 3 : pdf->x[i] + 2, room = pdf->x[i + 1] - pdf->x[i] - 4;
		put(pdf, pdf->bold, 7.5f, ink, x, pdf->y + 9, room, pdf->columns[i].right, pdf->columns[i].es);
		if (pdf->columns[i].en)
			put(pdf, pdf->plain, 6.3f, soft, x, pdf->y + 1.5f, room, pdf->columns[i].right, pdf->columns[i].en);
	}
	pdf->y -= 3;
	rule(pdf, pdf->y, soft, .7f);
}

static void table(void *self, const struct hd_doc_column *columns, uint32_t count)
{
	struct pdf *pdf = self;
	double sum = 0;
	for (uint32_t i = 0; i < count; i++)
		sum += columns[i].width;
	pdf->column_count = count;
	pdf->x[0] = MARGIN;
	for (uint32_t i = 0; i < count; i++) {
		pdf->columns[i] = columns[i];
		pdf->x[i + 1] = pdf->x[i] + (float)(columns[i].width / sum) * WIDTH;
	}
	table_head(pdf);
	pdf->in_table = true;
}

static void row(void *self, const char *const *cells, uint32_t tone)
{
	struct pdf *pdf = self;
	if (pdf->y - 12.5f < BOTTOM) {
		new_page(pdf);
		table_head(pdf);
	}
	pdf->y -= 12.5f;
	if (tone != HD_TONE_PLAIN)
		box(pdf, MARGIN - 3, pdf->y, 2, 11.5f, tones[tone]);
	for (uint32_t i = 0; i < pdf->column_count; i++)
		put(pdf, pdf->plain, 7.6f, ink, pdf->columns[i].right ? pdf->x[i + 1] - 3 : pdf->x[i] + 2, pdf->y + 3.5f, pdf->x[i + 1] - pdf->x[i] - 4,
		    pdf->columns[i].right, cells[i]);
	rule(pdf, pdf->y, line, .4f);
}

static void table_end(void *self)
{
	struct pdf *pdf = self;
	pdf->in_table = false;
	pdf->y -= 4;
}

static int finish(void *self, struct hd_buf *ret, struct hydro_error *err)
{
	struct pdf *pdf = self;
	HPDF_BYTE piece[16384];
	if (pdf->failed == HPDF_OK)
		(void)HPDF_SaveToStream(pdf->doc);
	if (pdf->failed != HPDF_OK)
		return hd_error_set(err, HYDRO_E_FATAL, "the PDF could not be made: libharu says 0x%04lx", (unsigned long)pdf->failed);
	(void)HPDF_ResetStream(pdf->doc);
	for (;;) {
		HPDF_UINT32 size = sizeof piece;
		HPDF_STATUS status = HPDF_ReadFromStream(pdf->doc, piece, &size);
		if (size == 0)
			break;
		hd_buf_add(ret, piece, size);
		if (status != HPDF_OK)
			break;
	}
	return ret->failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for the report") : HYDRO_OK;
}

static void pdf_free(void *self)
{
	struct pdf *pdf = self;
	HPDF_Free(pdf->doc);
	free(pdf);
}

const struct hd_doc_ops hd_doc_pdf = {section, text, tiles, bars, table, row, table_end, finish, pdf_free};
