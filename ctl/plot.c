/* SPDX-License-Identifier: MIT */
/* Values over time in the terminal, in braille dots of two by four a character. */
#include "ctl.h"

#include "base/timefmt.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 12
#define LABEL 12
#define COLUMNS_MAX 200

static const uint8_t dots[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};

static void print_braille(uint8_t bits)
{
	const char text[4] = {(char)0xe2, (char)(0xa0 | bits >> 6), (char)(0x80 | (bits & 0x3f)), 0};
	(void)fputs(bits ? text : " ", stdout);
}

static void set_dot(uint8_t (*cells)[COLUMNS_MAX], int columns, int x, int y)
{
	if (x >= 0 && x < columns * 2 && y >= 0 && y < ROWS * 4)
		cells[y / 4][x / 2] |= dots[y % 4][x % 2];
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Measurements further apart than this are not joined by a line: five usual steps. */
static double gap_of(const double *times_ms, size_t count)
{
	double *steps = calloc(count, sizeof *steps), gap = INFINITY;
	for (size_t i = 1; steps && i < count; i++)
		steps[i - 1] = times_ms[i] - times_ms[i - 1];
	if (steps && count > 1) {
		qsort(steps, count - 1, sizeof *steps, by_size);
		gap = 5 * fmax(steps[(count - 1) / 2], 1);
	}
	free(steps);
	return gap;
}

/* With as many decimals as tell the rows apart. */
static void print_label(double value, double range)
{
	char text[32];
	int decimals = (int)ceil(-log10(range / ROWS));
	(void)snprintf(text, sizeof text, "%.*f", HD_MIN(HD_MAX(decimals, 0), 6), value);
	if (strlen(text) > LABEL - 2)
		(void)snprintf(text, sizeof text, "%.4g", value);
	(void)printf("%*s ┤", LABEL - 2, text);
}

void ctl_plot(const struct ctl *ctl, const char *title, const double *times_ms, const double *values, size_t count)
{
	uint8_t cells[ROWS][COLUMNS_MAX] = {{0}};
	int columns = HD_MIN(HD_MAX(ctl->width - LABEL - 2, 20), COLUMNS_MAX);
	if (count == 0) {
		(void)printf("%s: nothing in this time\n", title);
		return;
	}
	double low = values[0], high = values[0];
	for (size_t i = 0; i < count; i++) {
		low = fmin(low, values[i]);
		high = fmax(high, values[i]);
	}
	double start = times_ms[0], span = fmax(times_ms[count - 1] - start, 1), range = high > low ? high - low : 1;
	double gap = gap_of(times_ms, count);
	int last_x = 0, last_y = 0;
	for (size_t i = 0; i < count; i++) {
		int x = (int)((times_ms[i] - start) / span * (columns * 2 - 1));
		int y = (int)((high - values[i]) / range * (ROWS * 4 - 1));
		int steps = i && times_ms[i] - times_ms[i - 1] <= gap ? HD_MAX(abs(x - last_x), abs(y - last_y)) : 0;
		for (int s = 0; s < steps; s++)
			set_dot(cells, columns, last_x + (x - last_x) * s / steps, last_y + (y - last_y) * s / steps);
		set_dot(cells, columns, x, y);
		last_x = x;
		last_y = y;
	}
	(void)printf("%s%s%s  (%zu measurements)\n", ctl->color ? "\033[1m" : "", title, ctl->color ? "\033[0m" : "", count);
	for (int r = 0; r < ROWS; r++) {
		if (r == 0 || r == ROWS - 1)
			print_label(r == 0 ? high : low, range);
		else
			(void)printf("%*s │", LABEL - 2, "");
		for (int c = 0; c < columns; c++)
			print_braille(cells[r][c]);
		(void)putchar('\n');
	}
	char from[HD_TIME_TEXT], to[HD_TIME_TEXT];
	hd_time_format((int64_t)start, from);
	hd_time_format((int64_t)(start + span), to);
	(void)printf("%*s%s%*s\n", LABEL, "", from, HD_MAX(columns - (int)strlen(from), 1), to);
}
