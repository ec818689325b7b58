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
	int last_x = 0, last_y = 0;
	for (size_t i = 0; i < count; i++) {
		int x = (int)((times_ms[i] - start) / span * (columns * 2 - 1));
		int y = (int)((high - values[i]) / range * (ROWS * 4 - 1));
		int steps = i ? HD_MAX(abs(x - last_x), abs(y - last_y)) : 0;
		for (int s = 0; s < steps; s++)
			set_dot(cells, columns, last_x + (x - last_x) * s / steps, last_y + (y - last_y) * s / steps);
		set_dot(cells, columns, x, y);
		last_x = x;
		last_y = y;
	}
	(void)printf("%s%s%s  (%zu measurements)\n", ctl->color ? "\033[1m" : "", title, ctl->color ? "\033[0m" : "", count);
	for (int r = 0; r < ROWS; r++) {
		if (r == 0 || r == ROWS - 1)
			(void)printf("%*.4g ┤", LABEL - 2, r == 0 ? high : low);
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
