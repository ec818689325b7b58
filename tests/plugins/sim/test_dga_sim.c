/* SPDX-License-Identifier: MIT */
/* The built adapter and a later version of it against the simulated DGA: over real HTTP, with its faults. */
#include "sim_process.h"

#include "check.h"

#include <hydro/testkit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DUE INT64_C(1767290400000) /* 14:00 by the DGA's clock */
#define HOUR INT64_C(3600000)

struct world {
	struct sim_process sim;
	hydro_testkit *kit;
	struct hydro_error err;
	hydro_filing_payload payload;
	hydro_filing_send send;
};

static void open_plugin(struct world *w, const char *file)
{
	char options[128];
	(void)snprintf(options, sizeof options, "{\"base_url\":\"http://127.0.0.1:%u/dga/api/v1/mediciones/\"}", w->sim.port);
	cr_assert_eq(hydro_testkit_open_file(file, &w->kit, &w->err), HYDRO_OK, "%s", w->err.text);
	cr_assert_eq(hydro_testkit_create(w->kit, options, &w->err), HYDRO_OK, "%s", w->err.text);
}

static void world_init(struct world *w)
{
	char *argv[] = {(char[]){SIM_FILE}, (char[]){"--points"}, (char[]){"4"}, (char[]){"--port"}, (char[]){"0"}, NULL};
	*w = (struct world){.err = {.struct_size = sizeof w->err}};
	cr_assert_eq(sim_process_start(&w->sim, argv), 0);
	open_plugin(w, HD_BINARY_DIR "/plugins/dga.so");
}

static void world_done(struct world *w)
{
	hydro_testkit_close(&w->kit);
	sim_process_stop(&w->sim);
}

static void control(struct world *w, const char *path, const char *body)
{
	struct sim_reply reply = {0};
	cr_assert_eq(sim_process_control(&w->sim, path, body, &reply), 0);
	cr_assert(reply.status >= 200 && reply.status < 300, "%u %s", reply.status, reply.body);
	free(reply.body);
}

static void prepare(struct world *w, const char *kind, double flow, int64_t due_ms)
{
	hydro_filing_slot slot = {.struct_size = sizeof slot, .fields = 7, .code = "OB-0101-7", .kind = kind, .standard = "mayor", .due_ms = due_ms, .measured_ms = due_ms, .values = {flow, 1234500, 3}};
	w->payload = (hydro_filing_payload){.struct_size = sizeof w->payload};
	cr_assert_eq(hydro_testkit_sink(w->kit)->filing_prepare(hydro_testkit_instance(w->kit), &slot, &w->payload, &w->err), HYDRO_OK, "%s", w->err.text);
	w->send = (hydro_filing_send){.struct_size = sizeof w->send, .payload_len = w->payload.len, .code = slot.code, .kind = kind, .payload = w->payload.text,
				      .centre = "76086428-5", .informant = "12531909-2", .secret = "una \"clave\" \\ ñ", .now_ms = due_ms + 300000};
}

static hydro_filing_answer post(struct world *w)
{
	const hydro_http_request *request = NULL;
	struct sim_reply reply = {0};
	hydro_filing_answer answer;
	cr_assert_eq(hydro_testkit_filing_request(w->kit, &w->send, 0, &request, &w->err), HYDRO_OK, "%s", w->err.text);
	cr_assert_eq(sim_process_send(request, &reply), 0);
	cr_assert_eq(hydro_testkit_filing_parse(w->kit, &w->send, reply.status, NULL, reply.body, reply.len, &answer, &w->err), HYDRO_OK, "%s", w->err.text);
	free(reply.body);
	return answer;
}

static hydro_filing_check get(struct world *w, const char *receipt)
{
	const hydro_http_request *request = NULL;
	struct sim_reply reply = {0};
	hydro_filing_check check;
	hydro_filing_send send = w->send;
	send.secret = NULL;
	send.receipt = receipt;
	cr_assert_eq(hydro_testkit_filing_request(w->kit, &send, 1, &request, &w->err), HYDRO_OK, "%s", w->err.text);
	cr_assert_eq(sim_process_send(request, &reply), 0);
	cr_assert_eq(hydro_testkit_filing_check_parse(w->kit, &send, reply.status, NULL, reply.body, reply.len, &check, &w->err), HYDRO_OK, "%s", w->err.text);
	free(reply.body);
	return check;
}

Test(dga_sim, each_kind_is_filed_and_found_again)
{
	static const char *const kinds[] = {"subterranea", "flujometro", "canal"};
	static const double flows[] = {25.7, 0, 999.99, 1e6, 0.005, 110};
	struct world w;
	world_init(&w);
	for (size_t k = 0; k < 3; k++)
		for (size_t f = 0; f < sizeof flows / sizeof flows[0]; f++) {
			prepare(&w, kinds[k], flows[f], DUE + (int64_t)(k * 10 + f) * HOUR);
			hydro_filing_answer answer = post(&w);
			cr_assert_eq(answer.outcome, HYDRO_FILING_FILED, "%s", answer.text);
			hydro_filing_check check = get(&w, answer.receipt);
			cr_assert_eq(check.outcome, HYDRO_CHECK_SAME, "%s", check.text);
			/* The same bytes again: the answer of the first. */
			hydro_filing_answer again = post(&w);
			cr_assert_eq(again.outcome, HYDRO_FILING_DUPLICATE);
			cr_assert_str_eq(again.receipt, answer.receipt);
		}
	world_done(&w);
}

Test(dga_sim, what_another_system_filed_is_seen_to_differ)
{
	struct world w;
	world_init(&w);
	prepare(&w, "subterranea", 25.7, DUE);
	control(&w, "/faults", "{\"kind\":\"dga_duplicate\",\"count\":1}");
	hydro_filing_answer answer = post(&w);
	cr_assert_eq(answer.outcome, HYDRO_FILING_DUPLICATE);
	hydro_filing_check check = get(&w, answer.receipt);
	cr_assert_eq(check.outcome, HYDRO_CHECK_DIFFERS);
	cr_assert_str_eq(check.text, "caudal 25.70 -> 1.11");
	prepare(&w, "subterranea", 25.7, DUE + HOUR);
	control(&w, "/faults", "{\"kind\":\"dga_duplicate\",\"count\":1,\"value\":1}");
	answer = post(&w);
	cr_assert_eq(answer.outcome, HYDRO_FILING_DUPLICATE);
	cr_assert_eq(get(&w, answer.receipt).outcome, HYDRO_CHECK_SAME);
	world_done(&w);
}

Test(dga_sim, each_fault_comes_to_its_outcome)
{
	static const struct {
		const char *fault;
		uint32_t outcome;
	} faults[] = {
		{"{\"kind\":\"dga_no_receipt\",\"count\":1}", HYDRO_FILING_NO_RECEIPT},
		{"{\"kind\":\"dga_not_informant\",\"count\":1}", HYDRO_FILING_HELD},
		{"{\"kind\":\"dga_message\",\"count\":1}", HYDRO_FILING_REFUSED},
		{"{\"kind\":\"dga_other_status\",\"count\":1}", HYDRO_FILING_REFUSED},
		{"{\"kind\":\"http_5xx\",\"provider\":\"dga\",\"count\":1}", HYDRO_FILING_REFUSED},
		{"{\"kind\":\"not_json\",\"provider\":\"dga\",\"count\":1}", HYDRO_FILING_REFUSED},
		{"{\"kind\":\"rate_limit\",\"provider\":\"dga\",\"count\":1}", HYDRO_FILING_REFUSED},
		{"{\"kind\":\"dga_block\",\"count\":1}", HYDRO_FILING_BLOCKED},
	};
	struct world w;
	world_init(&w);
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		prepare(&w, "subterranea", 25.7, DUE + (int64_t)i * HOUR);
		control(&w, "/faults", faults[i].fault);
		hydro_filing_answer answer = post(&w);
		cr_assert_eq(answer.outcome, faults[i].outcome, "%s: %u %s", faults[i].fault, answer.outcome, answer.text);
		cr_assert_str_eq(answer.receipt, "");
	}
	control(&w, "/faults", "{\"kind\":\"dga_not_stored\",\"count\":1}");
	prepare(&w, "subterranea", 25.7, DUE + 100 * HOUR);
	hydro_filing_answer answer = post(&w);
	cr_assert_eq(answer.outcome, HYDRO_FILING_FILED);
	cr_assert_eq(get(&w, answer.receipt).outcome, HYDRO_CHECK_ABSENT);
	control(&w, "/faults", "{\"kind\":\"dga_block\",\"count\":1}");
	cr_assert_eq(get(&w, answer.receipt).outcome, HYDRO_CHECK_BLOCKED);
	control(&w, "/faults", "{\"kind\":\"http_5xx\",\"provider\":\"dga\",\"count\":1}");
	cr_assert_eq(get(&w, answer.receipt).outcome, HYDRO_CHECK_UNCLEAR);
	world_done(&w);
}

Test(dga_sim, a_later_manual_finds_what_the_earlier_one_filed)
{
	struct world w;
	world_init(&w);
	prepare(&w, "subterranea", 25.7, DUE);
	hydro_filing_answer answer = post(&w);
	cr_assert_eq(answer.outcome, HYDRO_FILING_FILED);
	hydro_testkit_close(&w.kit);
	open_plugin(&w, HD_BINARY_DIR "/fixtures/dga_next.so");
	prepare(&w, "subterranea", 25.7, DUE);
	cr_assert_not_null(strstr(w.payload.text, "\"nivelFreatico\":\"3.00\""));
	cr_assert_eq(get(&w, answer.receipt).outcome, HYDRO_CHECK_SAME);
	hydro_filing_answer again = post(&w);
	cr_assert_eq(again.outcome, HYDRO_FILING_DUPLICATE);
	cr_assert_str_eq(again.receipt, answer.receipt);
	prepare(&w, "subterranea", 25.7, DUE + HOUR);
	cr_assert_eq(post(&w).outcome, HYDRO_FILING_FILED);
	world_done(&w);
}
