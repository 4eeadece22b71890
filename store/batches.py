"""What one round reads of one run's journal: points on their way into the index, and how far they were read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from store import derive, journal
from store.points import FILE_SOURCE, LOG_SOURCE, Points
from store.readers.metric_columns import STEP_MAX, NotPlainError, read_columns
from store.readers.metric_lines import MetricLineError, parse_metric_line
from store.run_files import read_stretch

if TYPE_CHECKING:
    from collections.abc import Sequence

BATCH_BYTES: Final = 8 << 20
"""How much of one journal goes into one transaction."""
BATCH_POINTS: Final = 500_000
"""After how many points a batch ends, because a short record can stand for a long stretch of the metrics file."""
BLOCK_BYTES: Final = 256 << 10
"""About how much of a metrics file is decoded at once: what fits into the cache of a core. One line in it that is not
plain makes all of it slow."""


@dataclass(frozen=True, slots=True)
class JournalCursor:
    """How far one run is in the index."""

    offset_bytes: int = 0
    metrics_end_bytes: int = 0
    next_step: int = 0
    """The step of the next metrics line that names none."""
    skipped_lines: int = 0
    skipped_example: str = ""


@dataclass(slots=True)
class Batch:
    """What one round reads of one run."""

    run_id: str
    run_no: int
    cursor: JournalCursor
    points: Points = field(default_factory=Points)
    many_writers: bool = False
    """Several processes say the same things: of a step of a metric what arrives first counts, and nothing restarts."""
    voids_log: bool = False
    """Before these points come in, those that the index has from the log of the run go."""
    broken_off: bool = False
    """What follows needs a batch of its own."""

    @property
    def full(self) -> bool:
        """Whether there may be more to read at once."""
        return self.broken_off or self.points.count > BATCH_POINTS


def read_batch(
    run_id: str, run_no: int, run_dir: str, cursor: JournalCursor, generation: int, *, many_writers: bool = False
) -> Batch | None:
    """What the journal of a run has past its cursor; None for nothing.

    `generation` is that of the metrics file as it is now; records of earlier ones speak of bytes that are gone.
    """
    start = cursor.offset_bytes
    lines, end = journal.read_from(derive.derived_path(run_dir), start, BATCH_BYTES)
    if end == start:
        return None
    batch = Batch(run_id, run_no, cursor, many_writers=many_writers)
    offset = start
    for line in lines:
        record = derive.decode(line)
        if record is not None and record["kind"] == "log_restart":
            if batch.points.count:
                batch.broken_off = True
                break
            batch.voids_log = True
        offset += len(line) + 1
        if record is None:
            if line:
                batch.cursor = skipped(batch.cursor, "a damaged line in derived.jsonl")
        elif record["kind"] == "metrics":
            if record["end"] == 0:
                gone = skipped(
                    batch.cursor, "the metrics file was cut or replaced; what came before is kept while it can"
                )
                batch.cursor = replace(gone, metrics_end_bytes=0)
            elif record["generation"] == generation:
                read_metrics(batch, run_dir, record["end"], record["at_us"], record.get("attempt", 1))
            else:
                batch.cursor = replace(batch.cursor, metrics_end_bytes=record["end"])
        elif record["kind"] == "log" and "values" in record:
            values = {key: float(value) for key, value in record["values"].items()}
            batch.points.add(record["step"], record["at_us"], values, LOG_SOURCE, record.get("attempt", 1))
        if batch.full:
            break
    batch.cursor = replace(batch.cursor, offset_bytes=offset)
    return batch


def read_metrics(batch: Batch, run_dir: str, end: int, seen_at_us: int, attempt: int) -> None:
    """Parse the metrics file between the cursor and `end` into the batch."""
    cursor = batch.cursor
    start = cursor.metrics_end_bytes
    # One byte more, to see whether the stretch starts inside a line that was too long.
    before = min(start, 1)
    data, size, _ = read_stretch(derive.metrics_path(run_dir), start - before, end - start + before)
    if size < end:
        cursor = skipped(cursor, f"the metrics file was cut to {size} bytes after {end} had been seen")
    lines = data[before:].split(b"\n")
    if before == 1 and data[:1] not in (b"\n", b""):
        del lines[0]
    if lines and not lines[-1]:
        del lines[-1]
    batch.cursor = replace(cursor, metrics_end_bytes=end)
    if not lines:
        return
    plain = len(data) <= derive.METRIC_LINE_MAX_BYTES or max(map(len, lines)) <= derive.METRIC_LINE_MAX_BYTES
    block_lines = max(1, len(lines) * BLOCK_BYTES // len(data))
    for first in range(0, len(lines), block_lines):
        few = lines[first : first + block_lines]
        try:
            if not plain:
                raise NotPlainError("a line that is too long")
            block = read_columns(few, batch.cursor.next_step)
        except NotPlainError:
            read_one_by_one(batch, few, seen_at_us, attempt)
        else:
            batch.points.add_block(block, seen_at_us, attempt)
            batch.cursor = replace(batch.cursor, next_step=block.next_step)


def read_one_by_one(batch: Batch, lines: Sequence[bytes], seen_at_us: int, attempt: int) -> None:
    """Parse lines of a metrics file that may hold anything into the batch."""
    next_step, skipped_lines, example = batch.cursor.next_step, 0, ""
    for line in lines:
        if not line.strip():
            continue
        try:
            if len(line) > derive.METRIC_LINE_MAX_BYTES:
                raise MetricLineError(
                    f"a line of {len(line)} bytes or more; up to {derive.METRIC_LINE_MAX_BYTES} are read"
                )
            parsed = parse_metric_line(line)
        except MetricLineError as error:
            skipped_lines += 1
            example = example or str(error)
            continue
        step = next_step if parsed.step is None else parsed.step
        next_step = min(step + 1, STEP_MAX)
        if parsed.ignored:
            skipped_lines += 1
            example = example or f"no numbers: {', '.join(parsed.ignored[:3])}"[:200]
        at_us = seen_at_us if parsed.at_s is None else int(parsed.at_s * 1e6)
        batch.points.add(step, at_us, parsed.values, FILE_SOURCE, attempt)
    batch.cursor = replace(batch.cursor, next_step=next_step)
    if skipped_lines:
        batch.cursor = skipped(batch.cursor, example, skipped_lines)


def skipped(cursor: JournalCursor, why: str, count: int = 1) -> JournalCursor:
    """The cursor with more lines that could not be read, the first of them because of `why`."""
    return replace(
        cursor,
        skipped_lines=cursor.skipped_lines + count,
        skipped_example=cursor.skipped_example or why.replace("\n", " "),
    )
