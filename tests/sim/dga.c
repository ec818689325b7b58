/* SPDX-License-Identifier: MIT */
/* The regulator's service, as Manual Técnico 1/2025 §4 gives it and as it is seen to answer. */
#include "dga_form.h"
#include "faults.h"
#include "http.h"
#include "judge.h"

#include <stdio.h>
#include <string.h>

#define BASE "/api/v1/mediciones/"

static const char block_page[] = "<html><body><h1>403 Forbidden</h1><p>Request blocked. Reference 0.0</p></body></html>";

static const struct {
	const char *path, *message;
} forms[SIM_DGA_FORMS] = {
	{"subterraneas", "Medición subterránea ingresada correctamente"},
	{"superficiales/flujometro", "Medición superficial flujómetro ingresada correctamente"},
	{"superficiales", "Medición superficial ingresada correctamente"},
	[SIM_DGA_FORM_NEXT] = {"v2/subterraneas", "Medición ingresada"},
};

static void answer_message(struct sim_answer *a, unsigned status, const char *code, const char *message)
{
	a->status = status;
	(void)hd_buf_printf(&a->body, "{\"status\":\"%s\",\"message\":", code);
	(void)hd_buf_add_json(&a->body, message, strlen(message));
	(void)hd_buf_add_text(&a->body, ",\"data\":null}");
}

static void answer_filed(struct sim_answer *a, uint32_t kind, const char *receipt)
{
	a->status = 200;
	(void)hd_buf_printf(&a->body, "{\"status\":\"00\",\"message\":\"%s\",\"data\":", forms[kind].message);
	if (receipt)
		(void)hd_buf_printf(&a->body, "{\"numeroComprobante\":\"%s\"}}", receipt);
	else
		(void)hd_buf_add_text(&a->body, "{}}");
}

static void answer_duplicate(struct sim_answer *a, const char *receipt)
{
	char text[128];
	(void)snprintf(text, sizeof text, "Ya existe un registro en esa fecha, hora para la obra. Comprobante: %s", receipt);
	answer_message(a, 400, "01", text);
}

/* As if another centre had filed this hour before. */
static void file_for_another(struct sim_request *q, const struct sim_filing *filing, bool same)
{
	char receipt[SIM_RECEIPT_TEXT];
	struct sim_filing other = *filing;
	if (!same)
		(void)snprintf(other.flow, sizeof other.flow, "%s", strcmp(filing->flow, "1.11") == 0 ? "2.22" : "1.11");
	if (sim_ledger_file(q->sim->ledger, &other, q->now_ms, SIM_FILE_STORED | SIM_FILE_FOREIGN, receipt) == SIM_FILED)
		sim_judge_foreign(q->sim->judge);
}

/* false: the fault leaves the filing to be judged in the ordinary way. */
static bool post_fault(struct sim_request *q, struct sim_answer *a, const struct sim_filing *filing, const struct sim_fault *f)
{
	switch (f->kind) {
	case SIM_FAULT_DGA_NOT_INFORMANT:
		answer_message(a, 400, "02", "Usuario no es el informante registrado en la Obra");
		break;
	case SIM_FAULT_DGA_MESSAGE:
		answer_message(a, 400, "99", "Error interno al procesar la medición");
		break;
	case SIM_FAULT_DGA_OTHER_STATUS:
		answer_message(a, 200, "07", "Medición no ingresada");
		break;
	case SIM_FAULT_DGA_DUPLICATE:
		file_for_another(q, filing, f->has_value && f->value > 0);
		return false;
	default:
		return false;
	}
	sim_ledger_refuse(q->sim->ledger, filing, q->now_ms, sim_fault_infos[f->kind].name);
	return true;
}

/* Answers a filing that has arrived whole; `why` is what its form lacks, or NULL. */
static enum sim_ledger_outcome post(struct sim_request *q, struct sim_answer *a, const struct sim_filing *filing, const char *why)
{
	static const uint64_t some = SIM_FAULT_BIT(SIM_FAULT_DGA_ACCEPT_HANG) | SIM_FAULT_BIT(SIM_FAULT_DGA_ACCEPT_CUT) | SIM_FAULT_BIT(SIM_FAULT_DGA_NO_RECEIPT) |
	                             SIM_FAULT_BIT(SIM_FAULT_DGA_NOT_STORED) | SIM_FAULT_BIT(SIM_FAULT_DGA_DUPLICATE) |
	                             SIM_FAULT_BIT(SIM_FAULT_DGA_NOT_INFORMANT) | SIM_FAULT_BIT(SIM_FAULT_DGA_MESSAGE) | SIM_FAULT_BIT(SIM_FAULT_DGA_OTHER_STATUS);
	char receipt[SIM_RECEIPT_TEXT];
	if (why) {
		sim_ledger_refuse(q->sim->ledger, filing, q->now_ms, why);
		answer_message(a, 400, "03", why);
		return SIM_REFUSED;
	}
	const struct sim_fault *f = sim_faults_hit(q->sim->faults, SIM_DGA, SIM_NO_POINT, q->now_ms, some);
	if (f && post_fault(q, a, filing, f))
		return SIM_REFUSED;
	uint32_t fault = f ? f->kind : SIM_FAULT_KIND_COUNT;
	enum sim_ledger_outcome outcome = sim_ledger_file(q->sim->ledger, filing, q->now_ms, fault == SIM_FAULT_DGA_NOT_STORED ? 0 : SIM_FILE_STORED, receipt);
	switch (outcome) {
	case SIM_FILED:
		answer_filed(a, filing->kind, fault == SIM_FAULT_DGA_NO_RECEIPT ? NULL : receipt);
		break;
	case SIM_DUPLICATE:
		answer_duplicate(a, receipt);
		break;
	case SIM_NOT_INFORMANT:
		answer_message(a, 400, "02", "Usuario no es el informante registrado en la Obra");
		break;
	default:
		answer_message(a, 500, "99", "Error interno");
	}
	if (fault == SIM_FAULT_DGA_ACCEPT_HANG)
		a->fate = SIM_FATE_HANG;
	if (fault == SIM_FAULT_DGA_ACCEPT_CUT)
		a->fate = SIM_FATE_CUT;
	return outcome;
}

static void get(struct sim_request *q, struct sim_answer *a, uint32_t form)
{
	const char *work = sim_request_arg(q, "codigoObra"), *receipt = sim_request_arg(q, "numeroComprobante");
	struct sim_filing f;
	if (!work || !receipt) {
		answer_message(a, 400, "03", "codigoObra y numeroComprobante son obligatorios");
		return;
	}
	if (!sim_ledger_find(q->sim->ledger, work, receipt, &f) || f.kind != sim_dga_kind(form)) {
		answer_message(a, 404, "04", "No existe un registro para el comprobante");
		return;
	}
	a->status = 200;
	(void)hd_buf_add_text(&a->body, "{\"status\":\"00\",\"message\":\"Consulta realizada correctamente\",\"data\":");
	sim_dga_print(&f, form, &a->body);
	(void)hd_buf_add_char(&a->body, '}');
}

/* A request that fails before it is read has left no trace in the books; the judge has seen it. */
static bool spoiled(struct sim_request *q, struct sim_answer *a)
{
	if (sim_faults_hit(q->sim->faults, SIM_DGA, SIM_NO_POINT, q->now_ms, SIM_FAULT_BIT(SIM_FAULT_DGA_BLOCK))) {
		sim_answer_text(a, 403, block_page);
		a->type = "text/html";
		return true;
	}
	if (!sim_fault_answer(q, a, SIM_DGA, SIM_NO_POINT, "") && a->fate != SIM_FATE_CUT)
		return false;
	if (!a->status)
		sim_answer_text(a, 200, "{\"status\":");
	return true;
}

/* A POST that says so is another system's: filed, but not judged. */
static bool is_foreign(const struct sim_request *q)
{
	return sim_request_header(q, "X-Sim-Foreign") != NULL;
}

static void post_foreign(struct sim_request *q, struct sim_answer *a, const struct sim_filing *filing)
{
	char receipt[SIM_RECEIPT_TEXT];
	if (sim_ledger_file(q->sim->ledger, filing, q->now_ms, SIM_FILE_STORED | SIM_FILE_FOREIGN, receipt) != SIM_FILED) {
		answer_duplicate(a, receipt);
		return;
	}
	sim_judge_foreign(q->sim->judge);
	answer_filed(a, filing->kind, receipt);
}

static void handle_post(struct sim_request *q, struct sim_answer *a, uint32_t kind)
{
	struct sim_filing filing;
	char why[96];
	bool good = sim_dga_read(q, kind, &filing, why, sizeof why);
	if (good && is_foreign(q)) {
		post_foreign(q, a, &filing);
		return;
	}
	sim_judge_post(q->sim->judge, &filing, q->now_ms);
	enum sim_ledger_outcome outcome = spoiled(q, a) ? SIM_REFUSED : post(q, a, &filing, good ? NULL : why);
	bool accepted = outcome == SIM_FILED || outcome == SIM_DUPLICATE;
	sim_judge_outcome(q->sim->judge, &filing, outcome, accepted && a->fate == SIM_FATE_SEND, q->now_ms);
}

void sim_dga_handle(struct sim_request *q, struct sim_answer *a)
{
	if (strncmp(q->path, BASE, sizeof BASE - 1) != 0)
		return;
	const char *rest = q->path + sizeof BASE - 1;
	uint32_t form = 0;
	while (form < SIM_DGA_FORMS && strcmp(forms[form].path, rest) != 0)
		form++;
	if (form == SIM_DGA_FORMS)
		return;
	if (strcmp(q->method, "POST") == 0) {
		handle_post(q, a, form);
	} else if (strcmp(q->method, "GET") == 0) {
		const char *work = sim_request_arg(q, "codigoObra");
		sim_judge_get(q->sim->judge, work ? work : "", q->now_ms);
		if (!spoiled(q, a))
			get(q, a, form);
	} else {
		answer_message(a, 405, "03", "Método no permitido");
	}
}
