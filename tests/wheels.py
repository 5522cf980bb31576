"""Small packages for the tests that install some."""

from __future__ import annotations

import os
import zipfile


def write_wheel(folder, name, version, source, requires=(), mib=0):
    """A wheel whose one module is ``source``, with as much ballast as is asked for; its path."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{name}-{version}"
    file = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr(f"{name}.py", source)
        if mib:
            wheel.writestr(f"{name}_ballast.bin", os.urandom(mib << 20))
        needs = "".join(f"Requires-Dist: {need}\n" for need in requires)
        wheel.writestr(
            f"{stem}.dist-info/METADATA",
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        )
        wheel.writestr(
            f"{stem}.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(f"{stem}.dist-info/RECORD", "")
    return file
