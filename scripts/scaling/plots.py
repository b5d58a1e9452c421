"""Line plots as SVG, in the colours of Okabe and Ito, which those can tell apart, too, who see no red or no green."""
import html
import math

COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"]
WIDTH, HEIGHT = 520, 340
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 34, 46


def ticks(low, high):
    """About five round numbers."""
    step = 10 ** math.floor(math.log10((high - low) / 4 or 1))
    step = next(step * factor for factor in (1, 2, 2.5, 5, 10) if (high - low) / (step * factor) <= 6)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 10) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def text(x, y, words, anchor="middle", size=12, more=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" {more}>'
            f"{html.escape(words)}</text>")


def lines(title, x_name, y_name, series, ideal=None, places=None, ideal_name="ideal", joined=True):
    """A plot of lines, or points that are not joined, with their intervals.

    series: (name, [(x, y, low, high)]) each; ideal: points (x, y) of a dashed line; places: where x has a tick.
    """
    points = [point for _, points in series for point in points]
    if not points:
        return ""
    xs = sorted({point[0] for point in points} | {x for x, _ in ideal or []})
    ys = [value for point in points for value in point[1:]] + [y for _, y in ideal or []]
    left, right = xs[0], xs[-1] if xs[-1] > xs[0] else xs[0] + 1
    bottom, top = 0.0, max(ys) * 1.06 or 1.0

    def place(x, y):
        return (LEFT + (x - left) / (right - left) * (WIDTH - LEFT - RIGHT),
                HEIGHT - BOTTOM - (y - bottom) / (top - bottom) * (HEIGHT - TOP - BOTTOM))

    parts = [text(WIDTH / 2, 18, title, size=14, more='font-weight="bold"')]
    for value in ticks(bottom, top):
        _, y = place(left, value)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(text(LEFT - 6, y + 4, f"{value:g}", "end"))
    for value in places or xs:
        x, y = place(value, bottom)
        parts.append(f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{x:.1f}" y2="{y + 4:.1f}" stroke="#444"/>')
        parts.append(text(x, y + 17, f"{value:g}"))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x_name))
    parts.append(text(14, (TOP + HEIGHT - BOTTOM) / 2, y_name,
                      more=f'transform="rotate(-90 14 {(TOP + HEIGHT - BOTTOM) / 2:.1f})"'))
    if ideal:
        path = " ".join("{:.1f},{:.1f}".format(*place(*point)) for point in ideal)
        parts.append(f'<polyline points="{path}" fill="none" stroke="#888" stroke-dasharray="5 4"/>')
    names = [(name, COLOURS[number % len(COLOURS)]) for number, (name, _) in enumerate(series)]
    for number, ((_, colour), (_, values)) in enumerate(zip(names, series)):
        values = sorted(values)
        # Side by side where they would hide each other.
        aside = 4 * (number - (len(names) - 1) / 2)
        path = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y, _, _ in values)
        if joined:
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, y, low, high in values:
            (x1, y1), (_, y2), (_, middle) = place(x, low), place(x, high), place(x, y)
            at = x1 + aside
            parts.append(f'<line x1="{at:.1f}" y1="{y1:.1f}" x2="{at:.1f}" y2="{y2:.1f}" stroke="{colour}"/>')
            parts.append(f'<circle cx="{x1:.1f}" cy="{middle:.1f}" r="3.5" fill="{colour}"/>')
    names += [(ideal_name, "#888")] if ideal else []
    # Where the lines do not begin.
    is_high = any(y > (bottom + top) / 2 for x, y, *_ in points if x == left)
    first = HEIGHT - BOTTOM - 16 * len(names) if is_high else TOP + 12
    for number, (name, colour) in enumerate(names):
        y = first + 16 * number
        parts.append(f'<rect x="{LEFT + 8}" y="{y - 8}" width="10" height="10" fill="{colour}"/>')
        parts.append(text(LEFT + 24, y + 1, name, "start"))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
            f'font-family="sans-serif" role="img">' + "".join(parts) + "</svg>")
