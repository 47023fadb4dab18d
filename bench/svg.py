"""What the programs that draw results as SVG share: colours, text and lines, and reading one file and writing the other.
"""

import json
from xml.sax.saxutils import escape

INK, FAINT, GRID = "#222222", "#666666", "#e4e4e4"


def text(x, y, content, size=12, anchor="start", colour=INK, weight="normal", extra=""):
    """`extra` is further attributes, each with a space before it."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}" '
        f'font-weight="{weight}"{extra}>{escape(content)}</text>'
    )


def line(x1, y1, x2, y2, colour, extra=""):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{extra}/>'


def convert(parser, draw):
    """Adds RESULT.json and --out to the arguments, and writes what `draw` makes of the result and of these."""
    parser.add_argument("result", metavar="RESULT.json")
    parser.add_argument("--out", metavar="FILE.svg", help="default: next to the JSON file")
    arguments = parser.parse_args()
    with open(arguments.result, encoding="utf-8") as file:
        drawing = draw(json.load(file), arguments)
    with open(arguments.out or arguments.result.rsplit(".", 1)[0] + ".svg", "w", encoding="utf-8") as file:
        file.write(drawing)
