"""Write docs/arguments.md from the schema: ``python docs/make_arguments.py``."""

from pathlib import Path

from nbbench.arguments.flags import reference

HEAD = """# Arguments

The same names everywhere: in `nbbench.run(…)`, as assignments in a `%%tfbench` cell, and as flags
of `%tfbench` and `nbbench run`. Where a list is taken, one value will do, and a
second name is its singular. This page is made from the schema by `python docs/make_arguments.py`.

"""

Path(__file__).with_name("arguments.md").write_text(HEAD + reference(), encoding="utf-8")
