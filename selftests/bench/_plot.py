# SPDX-License-Identifier: GPL-2.0-only
"""Small plots as SVG: both axes logarithmic, lines with points, light and dark by the reader's wish."""
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 76, 24, 54, 52
COLORS = ("a", "b", "c")
STYLE = """
  text { font: 13px sans-serif; fill: #222 }
  .title { font-size: 15px; font-weight: bold }
  .small { font-size: 12px; fill: #555 }
  .back { fill: #fff }
  .grid { stroke: #ddd }
  .axis { stroke: #888 }
  .limit { stroke: #888; stroke-dasharray: 4 4 }
  .line { fill: none; stroke-width: 2 }
  .a { stroke: #1f6fb4; fill: #1f6fb4 } .b { stroke: #b4581f; fill: #b4581f } .c { stroke: #3a7d44; fill: #3a7d44 }
  @media (prefers-color-scheme: dark) {
    text { fill: #ddd } .small { fill: #aaa } .back { fill: #1b1d20 } .grid { stroke: #3a3d42 } .axis, .limit { stroke: #888 }
    .a { stroke: #6cb2f0; fill: #6cb2f0 } .b { stroke: #f0a06c; fill: #f0a06c } .c { stroke: #7fca8b; fill: #7fca8b }
  }
"""


def short(v):
    """1000000 as 1 M, 0.001 as it is."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if v >= size:
            return f"{v / size:g} {unit}"
    return f"{v:g}"


class Axis:
    """Values of one axis to places from start to end."""

    def __init__(self, values, start, end, pad):
        self.low = math.floor(math.log10(min(values)) - pad + 1e-9) if pad else math.log10(min(values))
        self.high = math.ceil(math.log10(max(values)) + pad - 1e-9) if pad else math.log10(max(values))
        if self.high - self.low < 1e-9:
            self.high += 1
        self.start, self.end = start, end

    def at(self, v):
        return self.start + (math.log10(v) - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self):
        return [10 ** e for e in range(math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9) + 1)]


def plot(path, title, x_name, y_name, series, limit=None):
    """series: {name: [(x, y), ...]}, at most three. limit: (name, y), a line of its own."""
    points = [p for line in series.values() for p in line]
    x = Axis([p[0] for p in points], LEFT, WIDTH - RIGHT, 0)
    y = Axis([p[1] for p in points] + ([limit[1]] if limit else []), HEIGHT - BOTTOM, TOP, 0.05)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">',
           "<!-- SPDX-License-Identifier: GPL-2.0-only -->",
           f"<title>{escape(title)}</title><style>{STYLE}</style>", f'<rect class="back" width="{WIDTH}" height="{HEIGHT}"/>',
           f'<text class="title" x="{LEFT}" y="20">{escape(title)}</text>',
           f'<text class="small" x="{LEFT}" y="{TOP - 8}">{escape(y_name)}</text>',
           f'<text class="small" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x_name)}</text>']
    for v in y.ticks():
        out.append(f'<path class="grid" d="M{LEFT} {y.at(v):.1f}H{WIDTH - RIGHT}"/>')
        out.append(f'<text class="small" x="{LEFT - 8}" y="{y.at(v) + 4:.1f}" text-anchor="end">{short(v)}</text>')
    for v in x.ticks():
        out.append(f'<path class="grid" d="M{x.at(v):.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
        out.append(f'<text class="small" x="{x.at(v):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{short(v)}</text>')
    out.append(f'<path class="axis" fill="none" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>')
    if limit:
        out.append(f'<path class="limit" d="M{LEFT} {y.at(limit[1]):.1f}H{WIDTH - RIGHT}"/>')
        out.append(f'<text class="small" x="{WIDTH - RIGHT}" y="{y.at(limit[1]) - 5:.1f}" text-anchor="end">{escape(limit[0])}</text>')
    for i, (name, line) in enumerate(series.items()):
        color, at = COLORS[i], [(x.at(a), y.at(b)) for a, b in line]
        out.append(f'<path class="line {color}" style="fill:none" d="M' + "L".join(f"{a:.1f} {b:.1f}" for a, b in at) + '"/>')
        out += [f'<circle class="{color}" cx="{a:.1f}" cy="{b:.1f}" r="3.5"/>' for a, b in at]
        key = WIDTH - RIGHT - 150 * (len(series) - i) + 20
        out.append(f'<circle class="{color}" cx="{key}" cy="{TOP - 12}" r="4"/><text class="small" x="{key + 9}" y="{TOP - 8}">{escape(name)}</text>')
    out.append("</svg>")
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(out) + "\n")
