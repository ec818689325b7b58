/* SPDX-License-Identifier: MIT */
#include "fetch.h"

#include "check.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static size_t take(char *data, size_t size, size_t count, void *arg)
{
	return hd_buf_add(arg, data, size * count) ? size * count : 0;
}

struct fetch fetch(uint16_t port, const char *method, const char *target, const char *headers, const char *body)
{
	struct fetch answer = {0};
	char url[8192];
	struct curl_slist *list = curl_slist_append(NULL, "Expect:");
	(void)snprintf(url, sizeof url, "http://127.0.0.1:%u%s", port, target);
	for (const char *at = headers; at && *at;) {
		char line[4096];
		size_t len = strcspn(at, "\n");
		(void)snprintf(line, sizeof line, "%.*s", (int)len, at);
		list = curl_slist_append(list, line);
		at += len + (at[len] == '\n');
	}
	CURL *curl = curl_easy_init();
	(void)curl_easy_setopt(curl, CURLOPT_URL, url);
	(void)curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
	(void)curl_easy_setopt(curl, CURLOPT_EXPECT_100_TIMEOUT_MS, 30000L); /* a large body waits for the server's word, however busy the machine */
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer.body);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, &answer.headers);
	if (strcmp(method, "HEAD") == 0)
		(void)curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	if (body) {
		(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
		(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
		if (!headers || !strstr(headers, "Content-Type"))
			list = curl_slist_append(list, "Content-Type: application/json");
	}
	(void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
	if (curl_easy_perform(curl) == CURLE_OK)
		(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
	curl_slist_free_all(list);
	curl_easy_cleanup(curl);
	(void)hd_buf_text(&answer.body);
	return answer;
}

const char *fetch_header(struct fetch *answer, const char *name)
{
	static _Thread_local char value[1024];
	value[0] = '\0';
	for (const char *at = hd_buf_text(&answer->headers); *at;) {
		size_t len = strcspn(at, "\r\n"), name_len = strlen(name);
		if (len > name_len + 1 && strncasecmp(at, name, name_len) == 0 && at[name_len] == ':')
			(void)snprintf(value, sizeof value, "%.*s", (int)(len - name_len - 2), at + name_len + 2);
		at += len;
		at += strspn(at, "\r\n");
	}
	return value;
}

void fetch_done(struct fetch *answer)
{
	hd_buf_done(&answer->body);
	hd_buf_done(&answer->headers);
}

int fetch_raw(uint16_t port, const char *bytes, size_t len)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval timeout = {.tv_sec = 10};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 || send(fd, bytes, len, MSG_NOSIGNAL) != (ssize_t)len) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

bool fetch_until(int fd, const char *text, struct hd_buf *ret)
{
	char block[4096];
	errno = 0;
	while (!strstr(hd_buf_text(ret), text)) {
		ssize_t n = recv(fd, block, sizeof block, 0);
		if (n <= 0)
			return false;
		hd_buf_add(ret, block, (size_t)n);
	}
	return true;
}
