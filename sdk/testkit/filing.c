/* SPDX-License-Identifier: MIT */
/* A sink that files, under test. */
#include "kit.h"

#include <stdlib.h>

static const hydro_sink_ops *filing_ops(hydro_testkit *kit, struct hydro_error *err)
{
	const hydro_sink_ops *ops = hydro_testkit_sink(kit);
	if (ops && kit->instance && ops->capabilities & HYDRO_SINK_FILING)
		return ops;
	(void)hd_error_set(err, HYDRO_E_CONFLICT, "no instance of a sink that files");
	return NULL;
}

int32_t hydro_testkit_work(hydro_testkit *kit, const char *work_json, const hydro_options **ret, struct hydro_error *err)
{
	struct hd_options *work = NULL;
	int rc = kit_options(kit, HYDRO_SCOPE_POINT, work_json, &work, err);
	if (rc != HYDRO_OK)
		return rc;
	hd_options_unref(&kit->work);
	kit->work = work;
	*ret = hd_options_abi(work);
	return HYDRO_OK;
}

struct filing_call {
	const hydro_filing_send *send;
	int32_t (*make)(void *instance, const hydro_filing_send *send, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err);
};

static int32_t call_filing(hydro_testkit *kit, const void *arg, hydro_scratch *scratch, struct hydro_error *err)
{
	const struct filing_call *call = arg;
	return call->make(kit->instance, call->send, scratch, &kit->request, err);
}

int32_t hydro_testkit_filing_request(hydro_testkit *kit, const hydro_filing_send *send, int32_t check, const hydro_http_request **ret, struct hydro_error *err)
{
	const hydro_sink_ops *ops = filing_ops(kit, err);
	if (!ops)
		return HYDRO_E_CONFLICT;
	struct filing_call call = {.send = send, .make = check ? ops->filing_check_request : ops->filing_request};
	if (!call.make)
		return hd_error_set(err, HYDRO_E_UNSUPPORTED, "plugin %s has no such function", kit->module.descriptor->plugin.name);
	int32_t rc = kit_request(kit, call_filing, &call, err);
	if (rc == HYDRO_OK)
		*ret = &kit->request;
	return rc;
}

/* The recorded answer in memory of exactly its length. NULL without memory, with err. */
static char *answer_copy(hydro_testkit *kit, uint32_t status, const char *content_type, const char *body, size_t len, hydro_http_response *ret, struct hydro_error *err)
{
	char *copy = kit_exact_copy(body, len);
	if (!copy) {
		(void)hd_error_set(err, HYDRO_E_NOMEM, "no memory for the body");
		return NULL;
	}
	*ret = kit_response(kit, status, copy, len);
	if (content_type)
		ret->content_type = content_type;
	return copy;
}

int32_t hydro_testkit_filing_parse(hydro_testkit *kit, const hydro_filing_send *send, uint32_t status, const char *content_type, const char *body,
				   size_t body_len, hydro_filing_answer *ret, struct hydro_error *err)
{
	const hydro_sink_ops *ops = filing_ops(kit, err);
	hydro_http_response response;
	char *copy = ops ? answer_copy(kit, status, content_type, body, body_len, &response, err) : NULL;
	if (!copy)
		return ops ? HYDRO_E_NOMEM : HYDRO_E_CONFLICT;
	*ret = (hydro_filing_answer){.struct_size = sizeof *ret};
	int32_t rc = ops->filing_parse(kit->instance, send, &response, ret, err);
	free(copy);
	return rc;
}

int32_t hydro_testkit_filing_check_parse(hydro_testkit *kit, const hydro_filing_send *send, uint32_t status, const char *content_type, const char *body,
					 size_t body_len, hydro_filing_check *ret, struct hydro_error *err)
{
	const hydro_sink_ops *ops = filing_ops(kit, err);
	if (!ops || !ops->filing_check_parse)
		return hd_error_set(err, HYDRO_E_UNSUPPORTED, "no instance of a sink that can be asked");
	hydro_http_response response;
	char *copy = answer_copy(kit, status, content_type, body, body_len, &response, err);
	if (!copy)
		return HYDRO_E_NOMEM;
	*ret = (hydro_filing_check){.struct_size = sizeof *ret};
	int32_t rc = ops->filing_check_parse(kit->instance, send, &response, ret, err);
	free(copy);
	return rc;
}
