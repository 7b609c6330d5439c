# SPDX-License-Identifier: MPL-2.0
"""Bars, ranges and curves as SVG, as plain as the benchmarks' results need them."""
import html
import math

LEFT, RIGHT, HEIGHT = 60, 20, 200
INK, GRID = "#555555", "#dddddd"


def nice_ceiling(value):
    """The least of 1, 2, 5, 10, 20… that is not below it."""
    if value <= 0:
        return 1
    power = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


class Picture:
    def __init__(self, width, height):
        self.width = width
        self.parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
                      f'width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
                      f'<rect width="{width}" height="{height}" fill="white"/>']

    def text(self):
        return "\n".join([*self.parts, "</svg>"]) + "\n"

    def write(self, x, y, text, anchor="start", size=12):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
                          f'fill="{INK}">{html.escape(text)}</text>')

    def box(self, x, y, width, height, color):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
                          f'height="{max(height, 0.5):.1f}" fill="{color}"/>')

    def line(self, points, color, width=1):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" '
                          f'stroke-width="{width}"/>')

    def frame(self, title, top, series, ticks, scale):
        """Title, legend, and a grid with a line for each tick. `scale` gives its share of the
        height."""
        self.write(LEFT, top, title, size=14)
        x = LEFT
        for name, color in series:
            self.box(x, top + 10, 10, 10, color)
            self.write(x + 14, top + 19, name, size=11)
            x += 30 + 6.2 * len(name)
        for tick in ticks:
            y = top + 35 + HEIGHT * (1 - scale(tick))
            self.line([(LEFT, y), (self.width - RIGHT, y)], GRID)
            self.write(LEFT - 6, y + 4, f"{tick:,.10g}", "end", 11)
        return top + 35

    def slots(self, top, series, groups):
        """(x, width, group's index, series' index) of each bar; writes the groups' names."""
        room = (self.width - LEFT - RIGHT) / len(groups)
        width = room * 0.8 / len(series)
        for g, (name, _) in enumerate(groups):
            self.write(LEFT + room * (g + 0.5), top + HEIGHT + 18, name, "middle")
            for s in range(len(series)):
                yield LEFT + room * (g + 0.1) + width * s, width * 0.9, g, s

    def bars(self, title, top, series, groups):
        """series: (name, color); groups: (name, a value of each series)."""
        most = nice_ceiling(max(value for _, each in groups for value in each))
        top = self.frame(title, top, series, [most * n / 4 for n in range(5)],
                         lambda value: value / most)
        for x, width, g, s in self.slots(top, series, groups):
            height = HEIGHT * groups[g][1][s] / most
            self.box(x, top + HEIGHT - height, width, height, series[s][1])
            self.write(x + width / 2, top + HEIGHT - height - 3, f"{groups[g][1][s]:.0f}", "middle",
                       10)

    def ranges(self, title, top, series, groups):
        """Logarithmic. groups: (name, for each series: where the box begins, where it ends, and
        where the line above it ends)."""
        scale, ticks = logarithmic([value for _, each in groups for one in each for value in one])
        top = self.frame(title, top, series, ticks, scale)
        for x, width, g, s in self.slots(top, series, groups):
            low, high, end = (top + HEIGHT * (1 - scale(value)) for value in groups[g][1][s])
            self.box(x, high, width, low - high, series[s][1])
            self.line([(x + width / 2, high), (x + width / 2, end)], series[s][1], 2)
            self.write(x + width / 2, low + 11, f"{groups[g][1][s][0]:.0f}", "middle", 10)

    def curves(self, title, top, series, curves):
        """Both axes logarithmic. curves: for each series its points (x, y)."""
        scale, ticks = logarithmic([y for points in curves for _, y in points])
        across, marks = logarithmic([x for points in curves for x, _ in points])
        top = self.frame(title, top, series, ticks, scale)
        room = self.width - LEFT - RIGHT
        for mark in marks:
            self.write(LEFT + room * across(mark), top + HEIGHT + 18, f"{mark:,.10g}", "middle", 11)
        for (_, color), points in zip(series, curves):
            places = [(LEFT + room * across(x), top + HEIGHT * (1 - scale(y))) for x, y in points]
            self.line(places, color, 2)
            for x, y in places:
                self.box(x - 2.5, y - 2.5, 5, 5, color)


def logarithmic(values):
    """A function to the share of the axis, and the powers of ten on it."""
    positive = [value for value in values if value > 0] or [1]
    low = math.floor(math.log10(min(positive)))
    high = max(low + 1, math.ceil(math.log10(max(positive))))
    return (lambda value: (math.log10(max(value, 10 ** low)) - low) / (high - low),
            [10 ** n for n in range(low, high + 1)])
