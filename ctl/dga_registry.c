/* SPDX-License-Identifier: MIT */
/* Filing with the DGA: works, control centres, informants, certificates. */
#include "ctl.h"

#include <stdio.h>
#include <string.h>

#define DGA "/api/v1/dga/"

/* ---- works ----------------------------------------------------------------------------------------------------------------- */

int ctl_dga_works_list(struct ctl *ctl)
{
	static const char *const columns[] = {"code=code", "name=name", "client=client", "kind=kind", "standard=standard", "mode=mode", "starts=starts", "held=held_why"};
	struct hd_buf path = {0};
	cJSON *answer = NULL;
	const char *limit = ctl_option(ctl, "--limit");
	hd_buf_add_text(&path, DGA "works/");
	ctl_query(&path, "code", ctl_option(ctl, "--code"));
	ctl_query(&path, "client", ctl_option(ctl, "--client"));
	ctl_query(&path, "standard", ctl_option(ctl, "--standard"));
	ctl_query(&path, "region", ctl_option(ctl, "--region"));
	ctl_query(&path, "mode", ctl_option(ctl, "--mode"));
	ctl_query(&path, "held", ctl_flag(ctl, "--held") ? "true" : NULL);
	ctl_query(&path, "limit", limit ? limit : "50");
	int code = ctl_no_more(ctl) ? ctl_get(ctl, hd_buf_text(&path), &answer) : CTL_EXIT_USAGE;
	if (code == CTL_EXIT_OK && ctl->json) {
		ctl_print_json(answer);
	} else if (code == CTL_EXIT_OK) {
		ctl_table(ctl, ctl_items(answer), columns, HD_ARRAY_LEN(columns));
		(void)printf("%d of %.0f\n", cJSON_GetArraySize(ctl_items(answer)), ctl_value(answer, "total"));
	}
	cJSON_Delete(answer);
	hd_buf_done(&path);
	return code;
}

static int work_call(struct ctl *ctl, const char *method, const char *work, const struct hd_buf *body)
{
	struct hd_buf path = {0};
	hd_buf_add_text(&path, DGA "works/");
	ctl_escape(&path, work);
	int code = strcmp(method, "DELETE") == 0 ? ctl_request(ctl, method, hd_buf_text(&path), NULL, NULL, 0, NULL)
						 : ctl_show(ctl, method, hd_buf_text(&path), body ? "application/json" : NULL, body);
	hd_buf_done(&path);
	return code;
}

int ctl_dga_works_show(struct ctl *ctl)
{
	const char *work = ctl_positional(ctl);
	if (!work)
		return ctl_usage("which work? Give its code");
	return ctl_no_more(ctl) ? work_call(ctl, "GET", work, NULL) : CTL_EXIT_USAGE;
}

int ctl_dga_works_delete(struct ctl *ctl)
{
	const char *work = ctl_positional(ctl);
	if (!work)
		return ctl_usage("which work? Give its code");
	return ctl_no_more(ctl) ? work_call(ctl, "DELETE", work, NULL) : CTL_EXIT_USAGE;
}

int ctl_dga_works_create(struct ctl *ctl)
{
	return ctl_send_file(ctl, DGA "works/");
}

int ctl_dga_works_set(struct ctl *ctl)
{
	const char *work = ctl_positional(ctl);
	struct hd_buf body = {0};
	int code = work && ctl_assigned(ctl, &body) ? work_call(ctl, "PATCH", work, &body) : ctl_usage("dga works set WORK KEY=VALUE…");
	hd_buf_done(&body);
	return code;
}

int ctl_dga_works_import(struct ctl *ctl)
{
	return ctl_import(ctl, ctl_flag(ctl, "--dry") ? DGA "works/import?dry=true" : DGA "works/import");
}

/* ---- centres ---------------------------------------------------------------------------------------------------------------- */

int ctl_dga_centres_list(struct ctl *ctl)
{
	static const char *const columns[] = {"name=name", "RUT=identifier", "registration=registration", "registered=registered_at", "calls/s=calls_per_s", "state=state",
					      "why=state_why", "id=id"};
	return ctl_list(ctl, DGA "centres/", columns, HD_ARRAY_LEN(columns));
}

int ctl_dga_centres_create(struct ctl *ctl)
{
	return ctl_send_file(ctl, DGA "centres/");
}

/* "centres/ID" and what follows, of the centre that is the next argument. */
static int centre_path(struct ctl *ctl, const char *what, struct hd_buf *ret)
{
	const char *centre = ctl_positional(ctl);
	if (!centre)
		return ctl_usage("which control centre? Give its id, name or RUT");
	hd_buf_add_text(ret, DGA "centres/");
	int code = ctl_dga_id(ctl, "centres", centre, ret);
	hd_buf_add_text(ret, what);
	return code;
}

int ctl_dga_centres_set(struct ctl *ctl)
{
	struct hd_buf path = {0}, body = {0};
	bool force = ctl_flag(ctl, "--force");
	int code = centre_path(ctl, "", &path);
	ctl_query(&path, "force", force ? "true" : NULL);
	if (code == CTL_EXIT_OK)
		code = ctl_assigned(ctl, &body) ? ctl_show(ctl, "PATCH", hd_buf_text(&path), "application/json", &body) : ctl_usage("dga centres set CENTRE KEY=VALUE…");
	hd_buf_done(&path);
	hd_buf_done(&body);
	return code;
}

static int centre_act(struct ctl *ctl, const char *what)
{
	struct hd_buf path = {0}, body = {0};
	int code = ctl_dga_reason(ctl, &body) ? centre_path(ctl, what, &path) : CTL_EXIT_USAGE;
	if (code == CTL_EXIT_OK)
		code = ctl_no_more(ctl) ? ctl_show(ctl, "POST", hd_buf_text(&path), "application/json", &body) : CTL_EXIT_USAGE;
	hd_buf_done(&path);
	hd_buf_done(&body);
	return code;
}

int ctl_dga_centres_resume(struct ctl *ctl)
{
	return centre_act(ctl, "/resume");
}

int ctl_dga_centres_stop(struct ctl *ctl)
{
	return centre_act(ctl, "/stop");
}

int ctl_dga_centres_forecast(struct ctl *ctl)
{
	struct hd_buf path = {0};
	int code = centre_path(ctl, "/forecast", &path);
	if (code == CTL_EXIT_OK)
		code = ctl_no_more(ctl) ? ctl_show(ctl, "GET", hd_buf_text(&path), NULL, NULL) : CTL_EXIT_USAGE;
	hd_buf_done(&path);
	return code;
}

/* ---- informants --------------------------------------------------------------------------------------------------------------- */

int ctl_dga_informants_list(struct ctl *ctl)
{
	static const char *const columns[] = {"name=name", "RUT=identifier", "password=has_password", "id=id"};
	return ctl_list(ctl, DGA "informants/", columns, HD_ARRAY_LEN(columns));
}

int ctl_dga_informants_create(struct ctl *ctl)
{
	return ctl_send_file(ctl, DGA "informants/");
}

/* From a file, never from the command line, where everybody sees it. */
int ctl_dga_informants_password(struct ctl *ctl)
{
	const char *informant = ctl_positional(ctl), *file = ctl_positional(ctl);
	struct hd_buf path = {0}, password = {0}, body = {0};
	if (!informant || !file)
		return ctl_usage("dga informants password INFORMANT FILE (- is standard input)");
	hd_buf_add_text(&path, DGA "informants/");
	int code = ctl_no_more(ctl) ? ctl_dga_id(ctl, "informants", informant, &path) : CTL_EXIT_USAGE;
	if (code == CTL_EXIT_OK)
		code = ctl_read_file(file, &password) ? CTL_EXIT_OK : CTL_EXIT_FAILED;
	if (code == CTL_EXIT_OK) {
		hd_buf_add_text(&body, "{\"password\":");
		hd_buf_add_json(&body, hd_buf_text(&password), strcspn(hd_buf_text(&password), "\r\n"));
		hd_buf_add_char(&body, '}');
		code = ctl_show(ctl, "PATCH", hd_buf_text(&path), "application/json", &body);
	}
	hd_buf_done(&path);
	hd_buf_done(&password);
	hd_buf_done(&body);
	return code;
}

/* ---- certificates ---------------------------------------------------------------------------------------------------------------- */

int ctl_dga_certificates_list(struct ctl *ctl)
{
	static const char *const columns[] = {"name=name", "subject=subject", "ends=not_after", "days left=days_left", "state=state", "id=id"};
	return ctl_list(ctl, DGA "certificates/", columns, HD_ARRAY_LEN(columns));
}

int ctl_dga_certificates_add(struct ctl *ctl)
{
	const char *name = ctl_option(ctl, "--name"), *centre = ctl_option(ctl, "--centre"), *file = ctl_positional(ctl);
	struct hd_buf path = {0}, id = {0}, pem = {0};
	if (!file)
		return ctl_usage("which file? - is standard input");
	int code = !ctl_no_more(ctl) ? CTL_EXIT_USAGE : centre ? ctl_dga_id(ctl, "centres", centre, &id) : CTL_EXIT_OK;
	hd_buf_add_text(&path, DGA "certificates/");
	ctl_query(&path, "name", name ? name : strcmp(file, "-") != 0 ? file : NULL);
	ctl_query(&path, "centre", centre ? hd_buf_text(&id) : NULL);
	if (code == CTL_EXIT_OK)
		code = ctl_read_file(file, &pem) ? ctl_show(ctl, "POST", hd_buf_text(&path), "application/x-pem-file", &pem) : CTL_EXIT_FAILED;
	hd_buf_done(&path);
	hd_buf_done(&id);
	hd_buf_done(&pem);
	return code;
}

int ctl_dga_certificates_remove(struct ctl *ctl)
{
	const char *id = ctl_positional(ctl);
	struct hd_buf path = {0};
	if (!id)
		return ctl_usage("which certificate? Give its id");
	hd_buf_add_text(&path, DGA "certificates/");
	ctl_escape(&path, id);
	int code = ctl_no_more(ctl) ? ctl_request(ctl, "DELETE", hd_buf_text(&path), NULL, NULL, 0, NULL) : CTL_EXIT_USAGE;
	hd_buf_done(&path);
	return code;
}
