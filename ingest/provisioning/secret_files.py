"""Files that hold one secret each: made once, never overwritten, whole or not there at all."""

import os
import secrets
import stat
from pathlib import Path

#: 256 random bits.
_SECRET_BYTES = 32
PRIVATE_MODE = 0o600


def new_secret() -> str:
    """Draw a password or token: letters, digits, `-` and `_`."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def create(path: Path, text: str, *, mode: int = PRIVATE_MODE) -> bool:
    """Write a file that is not there yet; False = it is there, and stays as it is.

    Raises:
        OSError: when it cannot be written.
    """
    draft = _write_draft(path, text, mode)
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def replace(path: Path, text: str, *, mode: int = PRIVATE_MODE) -> None:
    """Write a file anew, so that it is the old or the new one at any time, for the same readers.

    Raises:
        OSError: when it cannot be written; the old one stays.
    """
    draft = _write_draft(path, text, PRIVATE_MODE if path.exists() else mode)
    if path.exists():
        before = path.stat()
        os.chown(draft, before.st_uid, before.st_gid)
        draft.chmod(stat.S_IMODE(before.st_mode))
    draft.replace(path)


def share(path: Path, group: int) -> None:
    """Let a group read a file and reach it in its folder, whose other files stay as they are.

    Raises:
        OSError: when the group cannot be given.
    """
    for one, mode in ((path.parent, 0o710), (path, 0o640)):
        os.chown(one, -1, group)
        one.chmod(mode)


def _write_draft(path: Path, text: str, mode: int) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fchmod(fd, mode)
        os.fsync(fd)
    return draft
