/* SPDX-License-Identifier: MIT */
#include "ctl.h"

#include "base/uuid.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_S 120L

static size_t take(char *data, size_t size, size_t count, void *arg)
{
	return hd_buf_add(arg, data, size * count) ? size * count : 0;
}

void ctl_escape(struct hd_buf *ret, const char *text)
{
	for (const char *p = text; *p; p++) {
		unsigned char c = (unsigned char)*p;
		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("-_.~", c))
			hd_buf_add_char(ret, *p);
		else
			hd_buf_printf(ret, "%%%02X", c);
	}
}

static struct curl_slist *headers_of(const struct ctl *ctl, const char *content_type, const char *accept)
{
	struct curl_slist *list = NULL;
	char line[700];
	if (ctl->key) {
		(void)snprintf(line, sizeof line, "Authorization: Bearer %s", ctl->key);
		list = curl_slist_append(list, line);
	}
	if (content_type) {
		(void)snprintf(line, sizeof line, "Content-Type: %s", content_type);
		list = curl_slist_append(list, line);
	}
	if (accept) {
		(void)snprintf(line, sizeof line, "Accept: %s", accept);
		list = curl_slist_append(list, line);
	}
	return curl_slist_append(list, "Expect:");
}

void ctl_problem(const char *method, const char *path, long status, const cJSON *answer)
{
	const char *title = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "title"));
	const char *detail = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "detail"));
	(void)fprintf(stderr, "hydroctl: %s %s: %ld %s%s%s\n", method, path, status, title ? title : "", detail ? ": " : "", detail ? detail : "");
	const cJSON *row;
	cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(answer, "errors")) {
		const char *why = ctl_text(row, "detail"), *field = ctl_text(row, "field");
		char *text = cJSON_IsString(row) || *why ? NULL : cJSON_PrintUnformatted(row);
		(void)fprintf(stderr, "  %s%s%s\n", field, *field ? ": " : "", text ? text : *why ? why : row->valuestring);
		free(text);
	}
	if (status == 401)
		(void)fprintf(stderr, "  give an API key by --key, --key-file, HYDRO_API_KEY or HYDRO_API_KEY_FILE\n");
}

static CURL *prepare(struct ctl *ctl, const char *path, struct curl_slist *headers)
{
	struct hd_buf url = {0};
	hd_buf_printf(&url, "%s%s", ctl->url, path);
	CURL *curl = curl_easy_init();
	(void)curl_easy_setopt(curl, CURLOPT_URL, hd_buf_text(&url));
	(void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	(void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	hd_buf_done(&url);
	return curl;
}

int ctl_perform(struct ctl *ctl, const char *method, const char *path, const char *content_type, const char *body, size_t body_len, long *ret_status,
		struct hd_buf *ret)
{
	struct curl_slist *headers = headers_of(ctl, content_type, NULL);
	CURL *curl = prepare(ctl, path, headers);
	(void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, ret);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, TIMEOUT_S);
	if (body) {
		(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
		(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body_len);
	}
	CURLcode code = curl_easy_perform(curl);
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
	if (code != CURLE_OK)
		(void)fprintf(stderr, "hydroctl: no answer from %s: %s\n", ctl->url, curl_easy_strerror(code));
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	return code == CURLE_OK ? CTL_EXIT_OK : CTL_EXIT_FAILED;
}

int ctl_request(struct ctl *ctl, const char *method, const char *path, const char *content_type, const char *body, size_t body_len, cJSON **ret)
{
	struct hd_buf answer = {0};
	long status = 0;
	int code = ctl_perform(ctl, method, path, content_type, body, body_len, &status, &answer);
	cJSON *json = answer.len ? cJSON_ParseWithLength(answer.data, answer.len) : NULL;
	if (code == CTL_EXIT_OK && status >= 400) {
		ctl_problem(method, path, status, json);
		code = CTL_EXIT_FAILED;
	}
	if (code == CTL_EXIT_OK && ret)
		*ret = json;
	else
		cJSON_Delete(json);
	hd_buf_done(&answer);
	return code;
}

int ctl_get(struct ctl *ctl, const char *path, cJSON **ret)
{
	return ctl_request(ctl, "GET", path, NULL, NULL, 0, ret);
}

struct stream {
	CURL *curl;
	struct hd_buf line, problem;
	bool (*take)(void *arg, const char *text);
	void *arg;
};

static size_t take_lines(char *data, size_t size, size_t count, void *arg)
{
	struct stream *stream = arg;
	long status = 0;
	(void)curl_easy_getinfo(stream->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 400)
		return hd_buf_add(&stream->problem, data, size * count) ? size * count : 0;
	for (size_t i = 0; i < size * count; i++) {
		if (data[i] != '\n') {
			hd_buf_add_char(&stream->line, data[i]);
			continue;
		}
		if (!stream->take(stream->arg, hd_buf_text(&stream->line)))
			return 0;
		hd_buf_clear(&stream->line);
	}
	return size * count;
}

int ctl_stream(struct ctl *ctl, const char *path, bool (*line)(void *arg, const char *text), void *arg)
{
	struct curl_slist *headers = headers_of(ctl, NULL, "text/event-stream");
	struct stream stream = {.curl = prepare(ctl, path, headers), .take = line, .arg = arg};
	long status = 0;
	(void)curl_easy_setopt(stream.curl, CURLOPT_WRITEFUNCTION, take_lines);
	(void)curl_easy_setopt(stream.curl, CURLOPT_WRITEDATA, &stream);
	CURLcode code = curl_easy_perform(stream.curl);
	(void)curl_easy_getinfo(stream.curl, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 400) {
		cJSON *problem = cJSON_ParseWithLength(hd_buf_text(&stream.problem), stream.problem.len);
		ctl_problem("GET", path, status, problem);
		cJSON_Delete(problem);
	} else if (code != CURLE_WRITE_ERROR) {
		(void)fprintf(stderr, "hydroctl: %s\n", code == CURLE_OK ? "the daemon has ended the stream" : curl_easy_strerror(code));
	}
	curl_slist_free_all(headers);
	curl_easy_cleanup(stream.curl);
	hd_buf_done(&stream.line);
	hd_buf_done(&stream.problem);
	return code == CURLE_WRITE_ERROR ? CTL_EXIT_OK : CTL_EXIT_FAILED;
}

void ctl_query(struct hd_buf *path, const char *key, const char *value)
{
	if (!value)
		return;
	hd_buf_add_char(path, memchr(path->data, '?', path->len) ? '&' : '?');
	hd_buf_printf(path, "%s=", key);
	ctl_escape(path, value);
}

int ctl_point_id(struct ctl *ctl, const char *point, struct hd_buf *ret)
{
	struct hd_uuid id;
	if (hd_uuid_parse(point, &id)) {
		hd_buf_add_text(ret, point);
		return CTL_EXIT_OK;
	}
	struct hd_buf path = {0};
	cJSON *answer = NULL;
	hd_buf_add_text(&path, "/api/v1/points/?total=false&limit=1000");
	ctl_query(&path, "name", point);
	int code = ctl_get(ctl, hd_buf_text(&path), &answer);
	unsigned found = 0;
	const cJSON *row;
	cJSON_ArrayForEach(row, ctl_items(answer)) {
		if (strcmp(ctl_text(row, "name"), point) != 0)
			continue;
		if (found++ == 0)
			hd_buf_add_text(ret, ctl_text(row, "id"));
	}
	if (code == CTL_EXIT_OK && found != 1) {
		(void)fprintf(stderr, found ? "hydroctl: %u points are named \"%s\": give the id\n" : "hydroctl: %u points are named \"%s\"\n", found, point);
		code = CTL_EXIT_FAILED;
	}
	cJSON_Delete(answer);
	hd_buf_done(&path);
	return code;
}

bool ctl_read_file(const char *path, struct hd_buf *ret)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	if (!file) {
		(void)fprintf(stderr, "hydroctl: cannot open %s: %s\n", path, strerror(errno));
		return false;
	}
	char chunk[65536];
	for (size_t n; (n = fread(chunk, 1, sizeof chunk, file)) > 0;)
		hd_buf_add(ret, chunk, n);
	bool good = !ferror(file) && !ret->failed;
	if (!good)
		(void)fprintf(stderr, "hydroctl: cannot read %s\n", path);
	if (file != stdin)
		(void)fclose(file);
	return good;
}
