/* SPDX-License-Identifier: MIT */
#include "ctl.h"

#include <curl/curl.h>
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

static void print_problem(const char *method, const char *path, long status, const cJSON *answer)
{
	const char *title = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "title"));
	const char *detail = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "detail"));
	(void)fprintf(stderr, "hydroctl: %s %s: %ld %s%s%s\n", method, path, status, title ? title : "", detail ? ": " : "", detail ? detail : "");
	const cJSON *row;
	cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(answer, "errors")) {
		char *text = cJSON_IsString(row) ? NULL : cJSON_PrintUnformatted(row);
		(void)fprintf(stderr, "  %s\n", text ? text : row->valuestring);
		free(text);
	}
	if (status == 401)
		(void)fprintf(stderr, "  give an API key by --key, --key-file, HYDRO_API_KEY or HYDRO_API_KEY_FILE\n");
}

int ctl_request(struct ctl *ctl, const char *method, const char *path, const char *content_type, const char *body, size_t body_len, cJSON **ret)
{
	struct hd_buf url = {0}, answer = {0};
	hd_buf_printf(&url, "%s%s", ctl->url, path);
	CURL *curl = curl_easy_init();
	struct curl_slist *headers = headers_of(ctl, content_type, NULL);
	(void)curl_easy_setopt(curl, CURLOPT_URL, hd_buf_text(&url));
	(void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	(void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, TIMEOUT_S);
	(void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	if (body) {
		(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
		(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body_len);
	}
	CURLcode code = curl_easy_perform(curl);
	long status = 0;
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	cJSON *json = answer.len ? cJSON_ParseWithLength(answer.data, answer.len) : NULL;
	int result = CTL_EXIT_OK;
	if (code != CURLE_OK) {
		(void)fprintf(stderr, "hydroctl: no answer from %s: %s\n", ctl->url, curl_easy_strerror(code));
		result = CTL_EXIT_FAILED;
	} else if (status >= 400) {
		print_problem(method, path, status, json);
		result = CTL_EXIT_FAILED;
	}
	if (result == CTL_EXIT_OK && ret)
		*ret = json;
	else
		cJSON_Delete(json);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	hd_buf_done(&url);
	hd_buf_done(&answer);
	return result;
}

int ctl_get(struct ctl *ctl, const char *path, cJSON **ret)
{
	return ctl_request(ctl, "GET", path, NULL, NULL, 0, ret);
}

struct stream {
	struct hd_buf line;
	bool (*take)(void *arg, const char *text);
	void *arg;
};

static size_t take_lines(char *data, size_t size, size_t count, void *arg)
{
	struct stream *stream = arg;
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
	struct stream stream = {.take = line, .arg = arg};
	struct hd_buf url = {0};
	hd_buf_printf(&url, "%s%s", ctl->url, path);
	CURL *curl = curl_easy_init();
	struct curl_slist *headers = headers_of(ctl, NULL, "text/event-stream");
	(void)curl_easy_setopt(curl, CURLOPT_URL, hd_buf_text(&url));
	(void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_lines);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &stream);
	(void)curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	CURLcode code = curl_easy_perform(curl);
	if (code != CURLE_OK && code != CURLE_WRITE_ERROR)
		(void)fprintf(stderr, "hydroctl: %s: %s\n", path, curl_easy_strerror(code));
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	hd_buf_done(&url);
	hd_buf_done(&stream.line);
	return code == CURLE_OK || code == CURLE_WRITE_ERROR ? CTL_EXIT_OK : CTL_EXIT_FAILED;
}
