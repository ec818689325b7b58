/* SPDX-License-Identifier: MIT */
/* What the descriptor says of this version; the rest of it is in manual.c. */
#ifndef DGA_MANUAL_H
#define DGA_MANUAL_H

#define DGA_MANUAL_PLUGIN "dga"
#define DGA_MANUAL_VERSION "0.1.0"
#define DGA_MANUAL_SUMMARY "DGA (Chile), Manual Técnico 1/2025: online filing of extractions and its check by receipt"
#define DGA_MANUAL_BASE_URL "https://apimee.mop.gob.cl/api/v1/mediciones/"

#endif
