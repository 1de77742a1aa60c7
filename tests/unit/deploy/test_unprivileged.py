"""As root, PostgreSQL runs as nobody, who may still enter the folders of root, and nothing else of root's."""

import os
import pwd
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local import unprivileged

# the bits of: pass folders, set the group, set the user, set the rules of capabilities
NEEDED = 1 << 1 | 1 << 6 | 1 << 7 | 1 << 8
STATUS = Path("/proc/self/status")

ASK = """
import os, sys
file = sys.argv[1]
effective = [line for line in open("/proc/self/status") if line.startswith("CapEff")][0].split()[1]
print(os.getuid(), os.access(file, os.X_OK), open(file).read(), int(effective, 16))
"""


def capabilities() -> int:
    """What this process may, as bits; 0 where there is no such thing."""
    found = re.search(r"CapEff:\t(\w+)", STATUS.read_text()) if STATUS.exists() else None
    return int(found[1], 16) if found else 0


@pytest.mark.skipif(os.geteuid() != 0 or capabilities() & NEEDED != NEEDED, reason="needs the rights of root")
def test_nobody_enters_a_private_folder_and_has_no_other_right(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    file = tmp_path / "program"
    file.write_text("content")
    file.chmod(0o700)
    done = subprocess.run(
        [sys.executable, "-I", "-S", unprivileged.__file__, sys.executable, "-I", "-S", "-c", ASK, str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.split() == [str(pwd.getpwnam("nobody").pw_uid), "True", "content", str(1 << 1)]
