"""Every write and every read below a root: no link is followed, and only plain files are opened.

A run folder may come from a stranger. Its root may be a link, for that is its owner's choice; below it
a link would have us write, read or delete elsewhere, and a pipe or a device would never end.
Folders are walked by descriptors, so that nothing can be put in their place meanwhile.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import MACHINE, RunError

TEMPORARY = ".part~"
MAX_BYTES = 1 << 31  # of a file of ours: the largest holds all latents of a long template
_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_PLAIN = os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe without a writer does not keep us


def not_plain(path: Path, what: str = "a link") -> RunError:
    """What is said of something that is no plain file or folder below a root."""
    return RunError(
        f"{path} is {what}; only plain files and folders are taken there. Remove it, or choose "
        "another folder"
    )


@contextmanager
def mendable(path: Path, done: str = "written") -> Iterator[None]:
    """Where ``path`` cannot be ``done``: a RunError if the user can mend it, else an OSError of its name."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.errno in MACHINE:
            error.filename = str(path)
            raise
        raise RunError(
            f"{path} cannot be {done}: {error.strerror}. Choose another folder"
        ) from None


def check_plain(root: Path) -> None:
    """Nothing, if there are but plain files and folders below ``root``.

    What another run deletes meanwhile is none of them.

    Raises:
        RunError: names the first that is none.
        OSError: ``root`` is not there, or a folder cannot be read.
    """
    waiting = _folders_in(root)
    while waiting:
        with suppress(FileNotFoundError):
            waiting += _folders_in(waiting.pop())


def _folders_in(folder: Path) -> list[Path]:
    """The folders in one, where all that is in it is plain."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                found.append(Path(entry.path))
            elif entry.is_symlink():
                raise not_plain(Path(entry.path))
            elif not entry.is_file(follow_symlinks=False):
                raise not_plain(Path(entry.path), "a pipe or a device")
    return found


def check_writable(folder: Path) -> None:
    """Nothing, if files can be put into ``folder``, or it can be made. Leaves nothing behind.

    Raises:
        RunError: it, or what it would be made in, is a file or cannot be written.
    """
    with mendable(folder):
        whole = folder.absolute()
        there = next(place for place in (whole, *whole.parents) if place.exists())
        probe = there / f"probe.{os.getpid()}{TEMPORARY}"
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        probe.unlink()


@contextmanager
def parent(path: Path, root: Path | None = None, *, make: bool = False) -> Iterator[int]:
    """A descriptor of the folder that ``path`` lies in, reached from ``root`` without a link.

    Args:
        path: below ``root``.
        root: which may be a link itself; None is the folder that ``path`` lies in.
        make: makes the folders that are not there.

    Raises:
        RunError: there is a link on the way, or ``path`` is one.
    """
    root = path.parent if root is None else root
    inner = path.relative_to(root).parts
    if ".." in inner:
        raise not_plain(path, f"outside of {root}")
    if make:
        root.mkdir(parents=True, exist_ok=True)
    here = os.open(root, _FOLDER)
    try:
        for part in inner[:-1]:
            _refuse_link(path, part, here)
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=here)
            below = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = below
        _refuse_link(path, path.name, here)
        yield here
    finally:
        os.close(here)


def _refuse_link(path: Path, part: str, here: int) -> None:
    with suppress(FileNotFoundError):
        if stat.S_ISLNK(os.stat(part, dir_fd=here, follow_symlinks=False).st_mode):
            raise not_plain(path)


def _opened(path: Path, root: Path | None, flags: int) -> int:
    """A descriptor of the plain file ``path``."""
    writes = bool(flags & os.O_RDWR)
    with parent(path, root, make=writes) as here:
        found = os.open(path.name, flags | _PLAIN, 0o666, dir_fd=here)
    status = os.fstat(found)
    try:
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(status.st_mode):
            raise not_plain(path, "a pipe or a device")
        if writes and status.st_nlink > 1:
            raise not_plain(path, "a file that has another name elsewhere (a hard link)")
    except BaseException:
        os.close(found)
        raise
    return found


def read(path: Path, root: Path | None = None, *, most: int = MAX_BYTES) -> bytes:
    """What the plain file ``path`` holds.

    Args:
        path: below ``root``.
        root: see `parent`.
        most: bytes that are read.

    Raises:
        RunError: it is a link, a pipe or a device, or larger.
        OSError: it cannot be read.
    """
    with open(_opened(path, root, os.O_RDONLY), "rb") as file:
        if os.fstat(file.fileno()).st_size > most:
            raise RunError(f"{path} is larger than {most:,} bytes; it is no file of ours")
        return file.read()


def write_whole(path: Path, content: bytes, root: Path | None = None) -> None:
    """Puts ``content`` at ``path`` whole or not at all, and lasting: beside, fsync, rename.

    Two processes may write the same file; the later one stays.

    Raises:
        RunError: it cannot be written for a reason that the user can mend, or through a link.
    """
    beside = f"{path.name}.{os.getpid()}{TEMPORARY}"
    with mendable(path), parent(path, root, make=True) as here:
        with suppress(FileNotFoundError):
            os.unlink(beside, dir_fd=here)  # what a killed process of this number left
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            with open(os.open(beside, flags, 0o666, dir_fd=here), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path.name, src_dir_fd=here, dst_dir_fd=here)
        except BaseException:
            with suppress(OSError):
                os.unlink(beside, dir_fd=here)
            raise
        os.fsync(here)


def append_line(path: Path, line: str, root: Path | None = None) -> None:
    """Adds one line to a log; a line that a crash cut short is closed first.

    Raises:
        RunError: as ``write_whole``.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
    with mendable(path), open(_opened(path, root, flags), "ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(line.encode() + b"\n")


def lock_file(path: Path, root: Path) -> int:
    """A descriptor of the empty file ``path``, made if it is not there; to be locked, then closed."""
    return _opened(path, root, os.O_RDWR | os.O_CREAT)


def move(path: Path, to: Path, root: Path) -> None:
    """One rename below ``root``; the folder of ``to`` is made."""
    with mendable(to), parent(path, root) as here, parent(to, root, make=True) as there:
        os.replace(path.name, to.name, src_dir_fd=here, dst_dir_fd=there)


def remove(path: Path, root: Path) -> None:
    """Deletes a file or a whole folder, if it is there."""
    with mendable(path, "deleted"), suppress(FileNotFoundError), parent(path, root) as here:
        try:
            os.unlink(path.name, dir_fd=here)
        except (IsADirectoryError, PermissionError):  # of a folder, on Linux and on macOS
            shutil.rmtree(path.name, dir_fd=here)
