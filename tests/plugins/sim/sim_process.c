/* SPDX-License-Identifier: MIT */
#include "sim_process.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child: dies with the test, also where an assertion has ended that. */
_Noreturn static void become_sim(int out, char *const argv[])
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)dup2(out, STDOUT_FILENO);
	(void)close(out);
	(void)execv(argv[0], argv);
	_exit(127);
}

int sim_process_start(struct sim_process *sim, char *const argv[])
{
	int ends[2];
	char line[128];
	*sim = (struct sim_process){.pid = -1};
	if (pipe2(ends, O_CLOEXEC) != 0)
		return -1;
	sim->pid = fork();
	if (sim->pid == 0)
		become_sim(ends[1], argv);
	(void)close(ends[1]);
	FILE *out = fdopen(ends[0], "r");
	while (out && sim->port == 0 && fgets(line, sizeof line, out))
		(void)sscanf(line, "hydro-sim ready port=%u", &sim->port);
	if (out)
		(void)fclose(out);
	if (sim->pid > 0 && sim->port > 0)
		return 0;
	sim_process_stop(sim);
	return -1;
}

void sim_process_stop(struct sim_process *sim)
{
	if (sim->pid <= 0)
		return;
	(void)kill(sim->pid, SIGTERM);
	(void)waitpid(sim->pid, NULL, 0);
	sim->pid = -1;
}

static size_t take(char *bytes, size_t size, size_t count, void *ctx)
{
	struct sim_reply *reply = ctx;
	size_t n = size * count;
	char *body = realloc(reply->body, reply->len + n + 1);
	if (!body)
		return 0;
	memcpy(body + reply->len, bytes, n);
	reply->body = body;
	reply->len += n;
	body[reply->len] = 0;
	return n;
}

static const hydro_http_header *header_at(const hydro_http_request *request, uint32_t i)
{
	return (const hydro_http_header *)(const void *)((const char *)request->headers + (size_t)i * request->header_stride);
}

int sim_process_send(const hydro_http_request *request, struct sim_reply *ret)
{
	struct curl_slist *headers = NULL;
	struct sim_reply reply = {.body = calloc(1, 1)};
	CURL *curl = curl_easy_init();
	long status = 0;
	for (uint32_t i = 0; i < request->header_count; i++) {
		char line[HYDRO_TOKEN_BYTES + 64];
		(void)snprintf(line, sizeof line, "%s: %s", header_at(request, i)->name, header_at(request, i)->value);
		headers = curl_slist_append(headers, line);
	}
	curl_easy_setopt(curl, CURLOPT_URL, request->url);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &reply);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
	if (request->method == HYDRO_HTTP_POST) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)request->body_len);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body ? request->body : "");
	}
	CURLcode rc = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	reply.status = (unsigned)status;
	*ret = reply;
	return rc == CURLE_OK ? 0 : -1;
}

int sim_process_control(const struct sim_process *sim, const char *path, const char *body, struct sim_reply *ret)
{
	char url[512];
	(void)snprintf(url, sizeof url, "http://127.0.0.1:%u/sim%s", sim->port, path);
	hydro_http_request request = {.method = body ? HYDRO_HTTP_POST : HYDRO_HTTP_GET, .url = url, .body = body, .body_len = body ? strlen(body) : 0};
	return sim_process_send(&request, ret);
}
