/* SPDX-License-Identifier: MIT */
/* One request: a pooled easy handle, set once and reused with the next URL, headers and body. */
#include "base/clock.h"
#include "net/net_impl.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define FAILURE_TEXT(NAME, text) text,
static const char *const failure_texts[HD_NET_FAILURE_COUNT] = {HD_NET_FAILURES(FAILURE_TEXT)};
#undef FAILURE_TEXT

const char *hd_net_failure_text(uint32_t failure)
{
	return failure < HD_NET_FAILURE_COUNT ? failure_texts[failure] : failure_texts[HD_NET_OTHER];
}

/* ---- checks ---- */

static bool has_control(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

static bool is_token(const char *name)
{
	if (!*name)
		return false;
	for (; *name; name++)
		if ((unsigned char)*name <= 0x20 || (unsigned char)*name >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", *name))
			return false;
	return true;
}

int net_request_check(const struct hd_net_request *r, struct hydro_error *err)
{
	if (r->method != HYDRO_HTTP_GET && r->method != HYDRO_HTTP_POST && r->method != HYDRO_HTTP_PUT)
		return hd_error_set(err, HYDRO_E_INVALID, "request with unknown method %u", r->method);
	if (!r->url || (strncmp(r->url, "http://", 7) != 0 && strncmp(r->url, "https://", 8) != 0))
		return hd_error_set(err, HYDRO_E_INVALID, "request URL does not begin with http:// or https://");
	if (strlen(r->url) > HD_NET_URL_BYTES_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "request URL longer than %u bytes", HD_NET_URL_BYTES_MAX);
	if (has_control(r->url) || strchr(r->url, ' '))
		return hd_error_set(err, HYDRO_E_INVALID, "request URL with a blank or a control character");
	if (r->header_count > HD_NET_HEADERS_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "request with more than %u headers", HD_NET_HEADERS_MAX);
	for (uint32_t i = 0; i < r->header_count; i++) {
		const hydro_http_header *h = net_header_at(r, i);
		if (!h->name || !h->value || !is_token(h->name) || has_control(h->value))
			return hd_error_set(err, HYDRO_E_INVALID, "request header %u is not valid", i);
	}
	return HYDRO_OK;
}

/* ---- the pool ---- */

static size_t take_body(char *data, size_t size, size_t count, void *arg)
{
	struct net_transfer *t = arg;
	size_t len = size * count;
	if (len > t->body_max || t->body.len > t->body_max - len) {
		t->too_large = true;
		return 0;
	}
	return hd_buf_add(&t->body, data, len) ? len : 0;
}

static int before_write(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	struct net_transfer *t = arg;
	(void)remote_ip, (void)local_ip, (void)remote_port, (void)local_port;
	t->refused = t->before_write && !t->before_write(t->arg);
	return t->refused ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

static struct net_transfer *transfer_new(struct hd_net *net)
{
	struct net_transfer *t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	CURL *easy = t->easy = curl_easy_init();
	if (!easy) {
		free(t);
		return NULL;
	}
	curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->detail);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_write);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, t);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, net->proxy);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, net->user_agent);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)net->config.connect_timeout_ms);
	if (net->ca_file)
		curl_easy_setopt(easy, CURLOPT_CAINFO, net->ca_file);
	return t;
}

static void headers_free(struct net_transfer *t)
{
	if (t->headers)
		sodium_memzero(t->headers, t->headers_bytes);
	free(HD_STEAL(t->headers));
}

static void transfer_free(struct net_transfer *t)
{
	curl_easy_cleanup(t->easy);
	headers_free(t);
	hd_buf_done(&t->body);
	free(t);
}

/* Leaves nothing of the last request behind that could be a secret or point into freed memory. */
static void transfer_release(struct hd_net *net, struct net_transfer *t)
{
	curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, NULL);
	headers_free(t);
	if (t->with_body) {
		curl_easy_setopt(t->easy, CURLOPT_COPYPOSTFIELDS, NULL);
		curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, NULL);
		curl_easy_setopt(t->easy, CURLOPT_HTTPGET, 1L);
		t->with_body = false;
	}
	if (t->body.cap > NET_KEPT_BUFFER_BYTES)
		hd_buf_done(&t->body);
	hd_buf_clear(&t->body);
	t->next = net->idle;
	net->idle = t;
}

void net_transfers_free(struct hd_net *net)
{
	while (net->idle) {
		struct net_transfer *next = net->idle->next;
		transfer_free(net->idle);
		net->idle = next;
	}
}

static void live_remove(struct hd_net *net, struct net_transfer *t)
{
	if (t->prev)
		t->prev->next = t->next;
	else
		net->live = t->next;
	if (t->next)
		t->next->prev = t->prev;
	net->live_count--;
}

/* ---- start ---- */

static size_t header_bytes(const char *name, const char *value)
{
	return sizeof(struct curl_slist) + strlen(name) + strlen(value) + 3;
}

/* The texts follow the list in its block. */
static char *header_put(struct curl_slist *node, char *text, const char *name, const char *value)
{
	node->data = text;
	text = stpcpy(text, name);
	/* "Name;" is libcurl's way to send a header without a value; "Name:" leaves out one of its own. */
	text = value ? stpcpy(text, *value ? ": " : ";") : stpcpy(text, ":");
	return stpcpy(text, value ? value : "") + 1;
}

static bool headers_set(struct net_transfer *t, const struct hd_net_request *r)
{
	/* No waiting for 100 Continue: a second for nothing with servers that do not know it. */
	bool expect = r->method != HYDRO_HTTP_GET;
	uint32_t count = r->header_count + expect;
	size_t size = expect ? header_bytes("Expect", "") : 0;
	for (uint32_t i = 0; i < r->header_count; i++)
		size += header_bytes(net_header_at(r, i)->name, net_header_at(r, i)->value);
	if (count == 0)
		return true;
	t->headers_bytes = size;
	struct curl_slist *nodes = t->headers = malloc(size);
	if (!nodes)
		return false;
	char *text = (char *)(nodes + count);
	for (uint32_t i = 0; i < r->header_count; i++)
		text = header_put(&nodes[i], text, net_header_at(r, i)->name, net_header_at(r, i)->value);
	if (expect)
		(void)header_put(&nodes[r->header_count], text, "Expect", NULL);
	for (uint32_t i = 0; i < count; i++)
		nodes[i].next = i + 1 < count ? &nodes[i + 1] : NULL;
	return curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, nodes) == CURLE_OK;
}

static bool request_set(struct hd_net *net, struct net_transfer *t, const struct hd_net_request *r)
{
	CURL *easy = t->easy;
	bool fine = curl_easy_setopt(easy, CURLOPT_URL, r->url) == CURLE_OK && headers_set(t, r);
	if (r->method != HYDRO_HTTP_GET) {
		t->with_body = true;
		fine = fine && curl_easy_setopt(easy, CURLOPT_POST, 1L) == CURLE_OK &&
		       curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len) == CURLE_OK &&
		       curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, r->body ? r->body : "") == CURLE_OK;
		if (r->method == HYDRO_HTTP_PUT)
			fine = fine && curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "PUT") == CURLE_OK;
	}
	uint32_t timeout_ms = r->timeout_ms ? r->timeout_ms : net->config.timeout_ms;
	long fresh = r->flags & HD_NET_FRESH ? 1L : 0L;
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, fresh);
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, fresh);
	return fine;
}

int net_transfer_start(struct hd_net *net, const struct hd_net_request *r, hd_net_done_fn done, void *arg, struct hydro_error *err)
{
	struct net_transfer *t = net->idle;
	if (t)
		net->idle = t->next;
	else
		t = transfer_new(net);
	if (!t)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a request");
	t->body.secret = true; /* it may bring a token */
	t->body_max = r->body_max_bytes ? r->body_max_bytes : net->config.body_max_bytes;
	t->too_large = false;
	t->detail[0] = '\0';
	t->done = done;
	t->arg = arg;
	t->owner = r->owner;
	t->before_write = r->before_write;
	t->refused = false;
	if (!request_set(net, t, r) || curl_multi_add_handle(net->multi, t->easy) != CURLM_OK) {
		transfer_release(net, t);
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a request");
	}
	t->prev = NULL;
	t->next = net->live;
	if (net->live)
		net->live->prev = t;
	net->live = t;
	net->live_count++;
	return HYDRO_OK;
}

/* ---- end ---- */

static uint32_t failure_of(CURLcode code, const struct net_transfer *t)
{
	if (t->refused)
		return HD_NET_CANCELLED;
	switch (code) {
	case CURLE_OK:
		return HD_NET_NONE;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return HD_NET_DNS;
	case CURLE_COULDNT_CONNECT:
		return HD_NET_CONNECT;
	case CURLE_OPERATION_TIMEDOUT:
		return HD_NET_TIMEOUT;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return HD_NET_TLS;
	case CURLE_WRITE_ERROR:
		return t->too_large ? HD_NET_TOO_LARGE : HD_NET_OTHER;
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_PARTIAL_FILE:
		return HD_NET_CUT;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_BAD_CONTENT_ENCODING:
		return HD_NET_PROTOCOL;
	case CURLE_URL_MALFORMAT:
		return HD_NET_INVALID;
	default:
		return HD_NET_OTHER;
	}
}

static void transfer_end(struct hd_net *net, struct net_transfer *t, uint32_t failure)
{
	long status = 0, request_bytes = 0;
	curl_off_t retry_after_s = 0;
	char *content_type = NULL;
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
	curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
	curl_easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &content_type);
	if (failure == HD_NET_NONE && status <= 0)
		failure = HD_NET_PROTOCOL;
	struct hd_net_result result = {
		.status = failure == HD_NET_NONE ? (uint32_t)status : 0,
		.failure = failure,
		.sent = request_bytes > 0 && !t->refused,
		.body = &t->body,
		.content_type = content_type ? content_type : "",
		.retry_after_ms = retry_after_s > 0 ? (int64_t)retry_after_s * HD_MS_PER_S : -1,
		.received_ns = hd_clock_real_ns(),
		.detail = t->detail[0] ? t->detail : hd_net_failure_text(failure),
	};
	live_remove(net, t);
	curl_multi_remove_handle(net->multi, t->easy);
	t->done(t->arg, &result);
	transfer_release(net, t);
}

void net_transfer_cancel(struct hd_net *net, struct net_transfer *t)
{
	transfer_end(net, t, HD_NET_CANCELLED);
}

void net_transfers_reap(struct hd_net *net)
{
	int left;
	for (CURLMsg *message; (message = curl_multi_info_read(net->multi, &left));) {
		if (message->msg != CURLMSG_DONE)
			continue;
		struct net_transfer *t = NULL;
		CURLcode code = message->data.result;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)(void *)&t);
		transfer_end(net, t, failure_of(code, t));
	}
}
