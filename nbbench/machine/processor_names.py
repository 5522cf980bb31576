"""A processor's name, from what Linux says of it in ``/proc/cpuinfo``."""

from __future__ import annotations

import re

_NAME = re.compile(r"^(?:model name|Model|cpu model)\s*:\s*(.+)$", re.MULTILINE)

_MAKER_AND_PART = re.compile(
    r"^CPU implementer\s*:\s*(0x[0-9a-f]+)$.*?^CPU part\s*:\s*(0x[0-9a-f]+)$",
    re.MULTILINE | re.DOTALL | re.IGNORECASE,
)

_MAKERS = {
    0x41: "ARM", 0x42: "Broadcom", 0x43: "Cavium", 0x46: "Fujitsu", 0x48: "HiSilicon",
    0x4E: "NVIDIA", 0x51: "Qualcomm", 0x61: "Apple", 0x70: "Phytium", 0xC0: "Ampere",
}  # fmt: skip

_PARTS = {
    (0x41, 0xD03): "Cortex-A53", (0x41, 0xD05): "Cortex-A55", (0x41, 0xD07): "Cortex-A57",
    (0x41, 0xD08): "Cortex-A72", (0x41, 0xD09): "Cortex-A73", (0x41, 0xD0A): "Cortex-A75",
    (0x41, 0xD0B): "Cortex-A76", (0x41, 0xD0D): "Cortex-A77", (0x41, 0xD41): "Cortex-A78",
    (0x41, 0xD42): "Cortex-A78AE", (0x41, 0xD44): "Cortex-X1", (0x41, 0xD0C): "Neoverse-N1",
    (0x41, 0xD40): "Neoverse-V1", (0x41, 0xD49): "Neoverse-N2", (0x41, 0xD4F): "Neoverse-V2",
    (0x41, 0xD84): "Neoverse-V3", (0x41, 0xD8E): "Neoverse-N3", (0x42, 0x516): "ThunderX2",
    (0x43, 0x0AF): "ThunderX2", (0x46, 0x001): "A64FX", (0x48, 0xD01): "Kunpeng 920",
    (0x4E, 0x004): "Carmel", (0x61, 0x022): "M1 (Icestorm)", (0x61, 0x023): "M1 (Firestorm)",
    (0x61, 0x032): "M2 (Blizzard)", (0x61, 0x033): "M2 (Avalanche)", (0xC0, 0xAC3): "AmpereOne",
    (0xC0, 0xAC4): "AmpereOne A",
}  # fmt: skip


def processor_in(cpuinfo: str) -> str | None:
    """The processor's name; of ARM's, which Linux gives by numbers alone, its cores' names."""
    found = _NAME.search(cpuinfo)
    if found:
        return found[1].strip()
    numbers = [(int(maker, 16), int(part, 16)) for maker, part in _MAKER_AND_PART.findall(cpuinfo)]
    return ", ".join(dict.fromkeys(_arm_name(*each) for each in numbers)) or None


def _arm_name(maker: int, part: int) -> str:
    """The name of a core, or the numbers that stand for it."""
    name = _MAKERS.get(maker, f"ARM implementer {maker:#04x}")
    return f"{name} {_PARTS.get((maker, part), f'part {part:#05x}')}"
