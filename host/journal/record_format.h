/* SPDX-License-Identifier: MIT */
/* What the two halves of the record codec share; for record_write.c and record_read.c only. */
#ifndef HD_JOURNAL_RECORD_FORMAT_H
#define HD_JOURNAL_RECORD_FORMAT_H

/* The head byte of a record says what follows. */
#define RECORD_REV 1u      /* varint rev */
#define RECORD_BITS 2u     /* varint bits */
#define RECORD_NOTE 4u     /* varint number of the note: qualities other than 1 and flags */
#define RECORD_SOURCE 8u   /* zigzag distance to the body's base source */
#define RECORD_SECONDS 16u /* the distance to the body's base time is in seconds, else in ms */
#define RECORD_LAYOUT 32u  /* varint number of the layout, else it is 0 */
#define RECORD_HEAD_MASK 63u

/* Low nibble of a value's control byte: 0 … 7 = bytes of the mantissa, then bits 4–6 = decimals, bit 7 = sign. */
#define VALUE_DOUBLE 8u /* 8 bytes follow */
#define VALUE_RAW 9u    /* equal to the raw value whose number is in the high nibble */
#define VALUE_RAW16 10u /* the same, from 16 on */
#define VALUE_DECIMALS_MAX 6u
#define VALUE_MANTISSA_BYTES_MAX 7u

/* The footer holds the position of each such record. */
#define RECORD_SKIP 32u

#endif
