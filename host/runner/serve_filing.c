/* SPDX-License-Identifier: MIT */
/* Calls of a sink that files. */
#include "serve_filing.h"

#include "hostside/filing_info.h"

#include <string.h>

static void call_info(const hydro_sink_ops *ops, void *instance, struct hd_buf *out, struct hydro_error *err)
{
	struct hd_filing_info about = {0};
	int rc = hd_filing_info_read(ops->filing_info(instance), &about, err);
	hd_wire_error(out, rc, err);
	if (rc == HYDRO_OK)
		hd_wire_filing_info(out, &about);
	hd_filing_info_done(&about);
}

static void call_slot(const hydro_sink_ops *ops, void *instance, uint32_t type, struct hd_wire_reader *in, struct hd_buf *out, struct hydro_error *err)
{
	hydro_filing_slot slot;
	hydro_filing_payload payload = {.struct_size = sizeof payload};
	hd_wire_get_filing_slot(in, &slot);
	int32_t rc = in->bad ? HYDRO_E_PROTOCOL : HYDRO_OK;
	if (rc == HYDRO_OK && type == HD_WIRE_FILING_WORK)
		rc = ops->filing_check_work(instance, &slot, err);
	if (rc == HYDRO_OK && type == HD_WIRE_FILING_PREPARE)
		rc = ops->filing_prepare(instance, &slot, &payload, err);
	hd_wire_error(out, rc, err);
	if (rc != HYDRO_OK)
		return;
	if (type == HD_WIRE_FILING_NEEDED)
		hd_wire_u32(out, ops->filing_needed(instance, &slot));
	if (type == HD_WIRE_FILING_PREPARE)
		hd_wire_filing_payload(out, &payload);
}

static void call_request(const hydro_sink_ops *ops, void *instance, uint32_t type, struct hd_wire_reader *in, hydro_scratch *scratch, struct hd_buf *out,
			 struct hydro_error *err)
{
	hydro_filing_send send;
	hydro_http_request request = {.struct_size = sizeof request, .method = HYDRO_HTTP_GET, .header_stride = sizeof(hydro_http_header)};
	hd_wire_get_filing_send(in, &send);
	int32_t rc = in->bad				   ? HYDRO_E_PROTOCOL
		   : type == HD_WIRE_FILING_REQUEST ? ops->filing_request(instance, &send, scratch, &request, err)
						    : ops->filing_check_request(instance, &send, scratch, &request, err);
	if (rc == HYDRO_OK && request.headers && request.header_count > 256)
		rc = hd_error_set(err, HYDRO_E_LIMIT, "more than 256 headers");
	hd_wire_error(out, rc, err);
	if (rc == HYDRO_OK)
		hd_wire_request(out, &request);
}

static void call_parse(const hydro_sink_ops *ops, void *instance, uint32_t type, struct hd_wire_reader *in, struct hd_buf *out, struct hydro_error *err)
{
	hydro_filing_send send;
	hydro_http_response response;
	hydro_filing_answer answer = {.struct_size = sizeof answer};
	hydro_filing_check check = {.struct_size = sizeof check};
	hd_wire_get_filing_send(in, &send);
	hd_wire_get_response(in, &response);
	int32_t rc = in->bad				 ? HYDRO_E_PROTOCOL
		   : type == HD_WIRE_FILING_PARSE ? ops->filing_parse(instance, &send, &response, &answer, err)
						  : ops->filing_check_parse(instance, &send, &response, &check, err);
	hd_wire_error(out, rc, err);
	if (rc != HYDRO_OK)
		return;
	if (type == HD_WIRE_FILING_PARSE)
		hd_wire_filing_answer(out, &answer);
	else
		hd_wire_filing_check(out, &check);
}

static bool has(const hydro_sink_ops *ops, uint32_t type)
{
	if (type == HD_WIRE_FILING_CHECK_REQUEST || type == HD_WIRE_FILING_CHECK_PARSE)
		return ops->filing_check_request != NULL;
	return type != HD_WIRE_FILING_NEEDED || ops->filing_needed;
}

void hd_serve_filing(const hydro_sink_ops *ops, void *instance, uint32_t type, struct hd_wire_reader *in, hydro_scratch *scratch, struct hd_buf *out)
{
	struct hydro_error err = {.struct_size = sizeof err};
	const char *text;
	if (!instance || !has(ops, type)) {
		hd_wire_error(out, HYDRO_E_PROTOCOL, &err);
		return;
	}
	switch (type) {
	case HD_WIRE_FILING_INFO:
		call_info(ops, instance, out, &err);
		break;
	case HD_WIRE_FILING_IDENTIFIER:
		text = hd_wire_get_text(in);
		hd_wire_error(out, text ? ops->filing_check_identifier(instance, text, &err) : HYDRO_E_PROTOCOL, &err);
		break;
	case HD_WIRE_FILING_REQUEST:
	case HD_WIRE_FILING_CHECK_REQUEST:
		call_request(ops, instance, type, in, scratch, out, &err);
		break;
	case HD_WIRE_FILING_PARSE:
	case HD_WIRE_FILING_CHECK_PARSE:
		call_parse(ops, instance, type, in, out, &err);
		break;
	default:
		call_slot(ops, instance, type, in, out, &err);
	}
}
