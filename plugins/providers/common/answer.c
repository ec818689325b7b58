/* SPDX-License-Identifier: MIT */
#include "answer.h"

uint32_t answer_limit(const hydro_poll *poll, uint32_t page_limit)
{
	return poll->limit && (page_limit == 0 || poll->limit < page_limit) ? poll->limit : page_limit;
}

static int32_t outcome(struct answer *a, uint32_t status)
{
	a->ret->status = status;
	a->ret->continuation_len = 0;
	return HYDRO_OK;
}

int32_t answer_failed(struct answer *a, int32_t code, const char *fmt, ...)
{
	if (a->err) {
		va_list ap;
		va_start(ap, fmt);
		a->err->code = code;
		(void)vsnprintf(a->err->text, sizeof a->err->text, fmt, ap);
		va_end(ap);
	}
	return outcome(a, HYDRO_PART_FAILED);
}

static int32_t answer_refused(struct answer *a, uint32_t status)
{
	if ((a->rules & ANSWER_LOGIN) && (status == 401 || (a->rules & ANSWER_FORBIDDEN_IS_LOGIN))) {
		(void)hydro_fail(a->err, HYDRO_E_UNAUTHORIZED, "HTTP %u: token refused", (unsigned)status);
		return outcome(a, HYDRO_PART_UNAUTHORIZED);
	}
	if (a->rules & ANSWER_LOGIN)
		return answer_failed(a, HYDRO_E_DENIED, "HTTP %u: the account may not read this device", (unsigned)status);
	return answer_failed(a, HYDRO_E_DENIED, "HTTP %u: device token refused", (unsigned)status);
}

/* Statuses other than 200…299 that end here. */
static int32_t answer_status(struct answer *a, uint32_t status)
{
	if (status == 401 || status == 403)
		return answer_refused(a, status);
	if (status == 404) {
		if (a->rules & ANSWER_404_IS_NO_DATA)
			return outcome(a, HYDRO_PART_NO_DATA);
		return answer_failed(a, HYDRO_E_NOTFOUND, "HTTP 404: the service knows no such device or variable");
	}
	if (status == 304 && (a->rules & ANSWER_304_IS_NO_DATA))
		return outcome(a, HYDRO_PART_NO_DATA);
	if (status == 429)
		return answer_failed(a, HYDRO_E_AGAIN, "HTTP 429: too many requests");
	if (status == 408)
		return answer_failed(a, HYDRO_E_TIMEOUT, "HTTP 408: the service timed out");
	if (status >= 500)
		return answer_failed(a, HYDRO_E_IO, "HTTP %u: the service failed", (unsigned)status);
	if (status >= 400)
		return answer_failed(a, HYDRO_E_PROTOCOL, "HTTP %u: the service refused the request", (unsigned)status);
	return answer_failed(a, HYDRO_E_PROTOCOL, "HTTP %u: not an answer (redirects are not followed)", (unsigned)status);
}

/* One reading of the text. False if it is wrong, with the outcome's error written. */
static bool read_text(struct answer *a, answer_walk walk, void *ctx, struct rows *rows)
{
	struct json j;
	json_begin(&j, a->response->body, (size_t)a->response->body_len);
	if (walk(ctx, &j, rows) && !rows->form && json_end(&j))
		return true;
	if (rows->form && !j.error)
		(void)answer_failed(a, rows->code ? rows->code : HYDRO_E_PROTOCOL, "%s", rows->form);
	else
		(void)answer_failed(a, HYDRO_E_PARSE, "the answer is not JSON: %s at byte %zu of %zu", j.error ? j.error : "wrong text",
				    json_offset(&j), (size_t)a->response->body_len);
	return false;
}

/* Hands over what was read; an answer longer than the batch is read a second time for it. */
static bool emit_rows(struct answer *a, answer_walk walk, void *ctx, struct rows *rows)
{
	if (rows->count > rows->pending) {
		rows->emit = a->emit;
		rows->pending = 0;
		rows->count = rows->bad = 0;
		if (!read_text(a, walk, ctx, rows))
			return false;
	}
	rows->emit = a->emit;
	rows_flush(rows);
	if (rows->emitted != HYDRO_OK)
		(void)answer_failed(a, rows->emitted, "the host did not take the values");
	return rows->emitted == HYDRO_OK;
}

static void log_left_out(const struct answer *a, const struct rows *rows)
{
	char text[256];
	(void)snprintf(text, sizeof text, "%s: %llu of %llu values left out; the first: %s", a->provider, (unsigned long long)rows->bad,
		       (unsigned long long)(rows->bad + rows->count), rows->why);
	if (a->host && a->host->log)
		a->host->log(a->host->ctx, HYDRO_LOG_WARN, text);
}

/* The outcome of a page that was well, with what is to be asked for next. */
static int32_t finish(struct answer *a, const struct pages *next, uint64_t count)
{
	if (!next)
		return outcome(a, count ? HYDRO_PART_DATA : HYDRO_PART_NO_DATA);
	(void)outcome(a, HYDRO_PART_MORE);
	memcpy(a->ret->continuation, next, sizeof *next);
	a->ret->continuation_len = sizeof *next;
	return HYDRO_OK;
}

static int32_t read_rows(struct answer *a, answer_walk walk, void *ctx, struct rows *rows, const struct pages *pages)
{
	struct pages next = {0};
	if (!read_text(a, walk, ctx, rows))
		return HYDRO_OK;
	if (rows->count == 0 && rows->bad > 0)
		return answer_failed(a, HYDRO_E_PROTOCOL, "no value of %llu is usable; the first: %s", (unsigned long long)rows->bad, rows->why);
	int paging = pages ? pages_next(pages, &rows->seen, &next) : PAGES_DONE;
	if (paging == PAGES_STUCK)
		return answer_failed(a, HYDRO_E_PROTOCOL, "no progress: a full page without a row of the window that was asked for");
	if (!emit_rows(a, walk, ctx, rows))
		return HYDRO_OK;
	if (rows->bad > 0)
		log_left_out(a, rows);
	return finish(a, paging == PAGES_MORE ? &next : NULL, rows->count);
}

int32_t provider_answer_parse(struct answer *a, answer_walk walk, void *ctx)
{
	struct pages pages;
	struct rows rows;
	uint32_t status = a->response->status;
	bool paged = a->poll->mode == HYDRO_POLL_HISTORY && a->limit > 0;
	if (paged && pages_load(a->poll, a->direction, &pages, a->err) != HYDRO_OK)
		return outcome(a, HYDRO_PART_FAILED);
	if (status < 200 || status > 299)
		return answer_status(a, status);
	/* The batch is left as it is: only what `pending` counts is read. */
	memset((char *)&rows, 0, offsetof(struct rows, batch));
	memset((char *)&rows + offsetof(struct rows, pending), 0, sizeof rows - offsetof(struct rows, pending));
	rows.pages = paged ? &pages : NULL;
	rows.limit = a->limit;
	if (status == 204) {
		struct pages next; /* nothing here, but the window may have a rest */
		return finish(a, paged && pages_next(&pages, &rows.seen, &next) == PAGES_MORE ? &next : NULL, 0);
	}
	return read_rows(a, walk, ctx, &rows, paged ? &pages : NULL);
}
