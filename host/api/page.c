/* SPDX-License-Identifier: MIT */
/* The page at "/": page.html, bound into the program at build time. */
#include "api/internal.h"

__asm__(".section .rodata\n"
	".global hd_api_page_html\n"
	".global hd_api_page_html_end\n"
	"hd_api_page_html:\n"
	".incbin \"" HD_API_PAGE "\"\n"
	"hd_api_page_html_end:\n"
	".previous\n");
extern const char hd_api_page_html[], hd_api_page_html_end[];

HD_HANDLER(page)
{
	(void)arg, (void)req, (void)err;
	hd_buf_add(&resp->body, hd_api_page_html, (size_t)(hd_api_page_html_end - hd_api_page_html));
	return HYDRO_OK;
}
