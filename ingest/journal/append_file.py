"""A file that only grows, and whose every byte below `size_bytes` is on the disk.

Invariants:
- `append` returns after fsync; when it fails, the file ends where it ended before.
- A file that somebody has deleted or cut is given up with `FileNotFoundError`: take it anew. Written on, it
  would begin with zeros.
- After a failed fsync the kernel may call pages clean that never reached the disk, so the file is opened anew
  and its end cut again before the next append.
"""

import errno
import logging
import os
from contextlib import suppress
from pathlib import Path

_LOGGER = logging.getLogger(__name__)
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
_MODE = 0o640


class AppendFile:
    """Appends to one file; not for use by two threads at once."""

    def __init__(self, path: Path, *, size_bytes: int) -> None:
        """Take a file whose first `size_bytes` are good; what follows is cut off at the first append."""
        self.path = path
        self.size_bytes = size_bytes
        self._maybe_fd: int | None = None

    def append(self, data: bytes) -> int:
        """Write the bytes and return their offset.

        Raises:
            OSError: when the disk refuses; nothing of the bytes stays. `FileNotFoundError` when the file was
                deleted or cut meanwhile: take it anew.
        """
        offset = self.size_bytes
        fd = self._open() if self._maybe_fd is None else self._maybe_fd
        try:
            _write_all(fd, data, offset)
            os.fdatasync(fd)
            _check_is_named(fd)
        except OSError:
            self._roll_back(fd)
            raise
        self.size_bytes = offset + len(data)
        return offset

    def _open(self) -> int:
        is_new = not self.path.exists()
        if is_new:
            make_folder(self.path.parent)
        fd = os.open(self.path, _FLAGS, _MODE)
        try:
            _check_is_whole(fd, self.size_bytes)
            os.ftruncate(fd, self.size_bytes)
            if is_new:
                sync_folder(self.path.parent)
        except OSError:
            os.close(fd)
            raise
        self._maybe_fd = fd
        return fd

    def _roll_back(self, fd: int) -> None:
        self._maybe_fd = None
        with suppress(OSError):  # the next append cuts again, and raises if it cannot
            os.ftruncate(fd, self.size_bytes)
        with suppress(OSError):
            os.close(fd)

    def close(self) -> None:
        """Close the file; the next append opens it again."""
        if self._maybe_fd is not None:
            os.close(self._maybe_fd)
            self._maybe_fd = None


def _write_all(fd: int, data: bytes, offset: int) -> None:
    """Write on where a short write (a disk that is nearly full) stopped."""
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def _check_is_named(fd: int) -> None:
    """Refuse to write to a file that somebody has deleted: its bytes would be gone with us."""
    if os.fstat(fd).st_nlink == 0:
        raise FileNotFoundError(errno.ENOENT, "the file was deleted")


def _check_is_whole(fd: int, size_bytes: int) -> None:
    if os.fstat(fd).st_size < size_bytes:
        raise FileNotFoundError(errno.ENOENT, "the file was deleted or cut")


def delete_expired(path: Path) -> bool:
    """Delete a file that is older than is kept; false, with a log line, when it cannot be deleted."""
    try:
        path.unlink()
    except OSError as error:
        _LOGGER.warning("%s: older than is kept, but it cannot be deleted: %s", path, error.strerror)
        return False
    _LOGGER.info("%s: older than is kept, deleted", path)
    return True


def make_folder(folder: Path) -> None:
    """Create a folder and what is missing above it, so that it is there after a power cut, too.

    Raises:
        OSError: when it cannot be created.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
