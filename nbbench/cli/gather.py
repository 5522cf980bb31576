"""``nbbench gather``: the saved reports of many people as one."""

from __future__ import annotations

from pathlib import Path

from ..arguments.flags import FlagParser
from ..errors import ArgumentError
from ..report.atomic_write import check_apart, check_writable
from ..report.gather import gather_files
from ..report.overwriting import check_over_gathered, check_over_page, check_over_tables
from ..report.report import FRAMES

_ABOUT = """\
Make one report of many saved ones, each with its environment, and show it.

    nbbench gather reports --save all.nbbench.json --html table.html

A damaged file is named in a warning, and files of a folder that are no reports are passed over.
Exit code 0: what could be read was gathered; 2: bad usage, or there is no report."""


def command(argv: list[str]) -> int:
    """Gather, write what is asked for, and print."""
    parser = FlagParser("nbbench gather", _ABOUT)
    parser.add_argument(
        "paths", nargs="*", metavar="DIR|FILE", help="files that --save wrote, or folders of them"
    )
    parser.add_argument("--save", metavar="FILE", help="write the whole report here, as JSON")
    parser.add_argument("--html", metavar="FILE", help="write a page here, for sharing")
    parser.add_argument("--title", metavar="TEXT", help="the page's title")
    parser.add_argument("--csv", metavar="FOLDER", help="write the tables here, as CSV")
    parser.add_argument("--markdown", action="store_true", default=None, help="print Markdown")
    if {"-h", "--help"} & set(argv):
        parser.print_help()
        return 0
    values = parser.read(argv)
    paths = values.get("paths", [])
    if not paths:
        raise ArgumentError(
            "nbbench gather takes folders, or files that --save wrote; none is given"
        )
    if "title" in values and "html" not in values:
        raise ArgumentError("--title is that of the page; give --html FILE, too")
    outputs = [(f"--{name}", values[name]) for name in ("save", "html") if name in values]
    folder = values.get("csv")
    tables = [] if folder is None else [str(Path(folder, f"{name}.csv")) for name in FRAMES]
    check_apart([*outputs, *(("--csv", file) for file in tables)])
    for _, file in outputs:
        check_writable(file, folder=False)
    if "save" in values:
        check_over_gathered("--save", values["save"])
    if "html" in values:
        check_over_page("--html", values["html"])
    if folder is not None:
        check_writable(folder, folder=True)
        check_over_tables("--csv", folder)
    report = gather_files(paths, [file for _, file in outputs])
    if "save" in values:
        report.save(values["save"])
    if "html" in values:
        report.to_html(values["html"], values.get("title", "Benchmark"))
    if folder is not None:
        report.to_csv(folder)
    print(report.to_markdown() if values.get("markdown") else repr(report))
    return 0
