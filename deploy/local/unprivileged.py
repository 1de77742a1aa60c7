"""Run a program as the user `nobody`: PostgreSQL refuses to run as root. Only the standard library: run as a script.

The capability to pass folders stays (where the kernel grants it), because a clone in root's home or in a private
temporary folder could not be entered otherwise, and changing the modes of folders that are not ours is no option.
"""

import contextlib
import ctypes
import os
import pwd
import struct
import sys

_PR_SET_KEEPCAPS = 8
_PR_SET_SECUREBITS = 28
_SECBIT_NO_SETUID_FIXUP = 4
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), "the capability was refused")


def _keep_folder_access(libc: ctypes.CDLL) -> None:
    """Give the process, now `nobody`, the one capability again, and to what it executes."""
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    mask = 1 << _CAP_DAC_OVERRIDE
    data = struct.pack("6I", mask, mask, mask, 0, 0, 0)  # effective, permitted, inheritable; low and high words
    _check(libc.capset(header, data))
    _check(libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0))


def main(command: list[str]) -> None:
    """Become `nobody` and execute the command; does not return."""
    user = pwd.getpwnam("nobody")
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    if libc is not None:
        libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
        # without it access() answers as if the capability were not there, and programs ask it before they open
        libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    if libc is not None:
        # refused in narrow containers: then the program itself says which folder it cannot enter
        with contextlib.suppress(OSError):
            _keep_folder_access(libc)
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted # nosec B606


if __name__ == "__main__":
    main(sys.argv[1:])
