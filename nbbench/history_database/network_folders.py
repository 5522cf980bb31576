"""Whether a file lies in a folder that several machines have, as the system's mounts tell."""

from __future__ import annotations

import os
import re
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")
"""What is mounted where, on Linux."""

_SHARED = re.compile(
    r"9p|afs|beegfs|ceph|cifs|coda|davfs|fuse$|fuse\.|gfs2|glusterfs|gpfs|lustre|ncpfs|nfs|ocfs2"
    r"|orangefs|panfs|prl_fs|pvfs2|smb|vboxsf|virtiofs|vmhgfs|wekafs"
)
"""How begin the types of what may have several machines behind it: what a program serves, too."""

_ESCAPED = re.compile(r"\\([0-7]{3})")


def is_shared(file: Path) -> bool:
    """Whether other machines may have the same file; False where that is not known."""
    path, longest, kind = Path(os.path.realpath(file)), 0, ""
    try:
        lines = MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return False
    for line in lines:
        _, point, its, *_ = [*line.split(" "), "", "", ""]
        folder = Path(_ESCAPED.sub(lambda found: chr(int(found[1], 8)), point))
        depth = len(folder.parts)
        if path.is_relative_to(folder) and depth >= longest:  # the last one hides those before
            longest, kind = depth, its
    return _SHARED.match(kind) is not None
