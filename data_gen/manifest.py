"""manifest.jsonl, what a data set consists of: a header, one line a shard, one a small file, and the sum of it all.

Every line carries the SHA-256 sum of itself, so that damage to one leaves the others of use; the last line sums all
bytes before it. While a data set is unfinished, the lines of its shards are the files of `manifest.d`. Nothing here
depends on the time, the order or the number of processes.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

FORMAT, VERSION = "lagrangian-ml dataset", 1
NAME, PENDING = "manifest.jsonl", "manifest.d"
Entry = dict[str, Any]


def canonical(value: Any) -> str:
    """The one spelling of a value in JSON: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """The SHA-256 sum of a value in its canonical spelling."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def describe(content: bytes) -> Entry:
    """What the manifest says of a file with this content."""
    return {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}


def to_line(entry: Entry) -> str:
    """An entry as a line, with the sum of itself."""
    return canonical(entry | {"sum": digest(entry)}) + "\n"


def from_line(text: str) -> Entry | None:
    """The entry of a line, or None if it is not, byte for byte, what `to_line` wrote."""
    try:
        entry = json.loads(text)
        if not isinstance(entry, dict) or "sum" not in entry:
            return None
        entry.pop("sum")
        return entry if text == to_line(entry) else None
    except (ValueError, RecursionError):
        return None


def write(
    directory: Path,
    header: Entry,
    shards: Iterable[Entry],
    files: Mapping[str, Entry],
    temporary: Path | None = None,
) -> None:
    """Write manifest.jsonl, under a temporary name first; with it a data set is complete."""
    lines = [header, *sorted(shards, key=lambda entry: entry["shard"])]
    lines += [{"files": {name: files[name]}} for name in sorted(files)]
    text = "".join(map(to_line, lines))
    total = canonical({"sha256": hashlib.sha256(text.encode()).hexdigest()}) + "\n"
    write_atomically(directory / NAME, (text + total).encode(), temporary)


def read(directory: Path) -> tuple[list[Entry], bool]:
    """The entries of manifest.jsonl that are sound, and whether all of it is; ([], False) where there is none."""
    try:
        return parse((directory / NAME).read_bytes())
    except FileNotFoundError:
        return [], False


def parse(content: bytes) -> tuple[list[Entry], bool]:
    """The same of the content of a manifest."""
    lines = content.decode(errors="replace").splitlines(keepends=True)
    if not lines:
        return [], False
    entries = [entry for line in lines[:-1] if (entry := from_line(line)) is not None]
    before = "".join(lines[:-1]).encode()
    total = canonical({"sha256": hashlib.sha256(before).hexdigest()}) + "\n"
    return entries, "".join(lines).encode() == content and len(entries) == len(lines) - 1 > 0 and lines[-1] == total


def write_pending(directory: Path, entry: Entry, temporary: Path) -> None:
    """Say that a shard is finished; its files are on the disk before."""
    write_atomically(_pending(directory, entry["shard"]), to_line(entry).encode(), temporary)


def read_pending(directory: Path, shard: int) -> Entry | None:
    """The entry of a finished shard of an unfinished data set; None if it is not there, or damaged."""
    try:
        return from_line(_pending(directory, shard).read_text(encoding="utf-8"))
    except (FileNotFoundError, UnicodeDecodeError):
        return None


def write_atomically(path: Path, content: bytes, temporary: Path | None = None) -> None:
    """Either the old or the new content is there, whatever happens in between, and it is on the disk after."""
    temporary = temporary or path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Names in a folder are on the disk after."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def file_matches(path: Path, entry: Entry) -> str | None:
    """What is wrong with a file: "is missing", "has changed", …; None if it is as the manifest says."""
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size != entry["size"]:
                return "has another size"
            return None if hashlib.file_digest(file, "sha256").hexdigest() == entry["sha256"] else "has changed"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _pending(directory, shard):
    return directory / PENDING / f"{shard:06d}.json"
