"""Output that jobs print: what a hostile one says, a run that has printed it, and its log read page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.daemon import log_files

if TYPE_CHECKING:
    from pathlib import Path

    from console.protocol import LogLine, MetricSummary, RunDetail
    from tests.support import Home

HOSTILE = (
    b"before\n"
    b"\x1b]52;c;ZXZpbA==\x07clip\n"
    b"\x1b]0;owned\x07title\n"
    b"\x1b]0;owned\x1b\\title\n"
    b"\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\\n"
    b"\x1b[2J\x1b[H\x1b[10;10Hmoved\x1b[A\x1b[?1049h\n"
    b"\x1b[31mred\x1b[0m\n"
    b"\x1bPq#0\x1b\\sixel \x1b_apc\x1b\\ \x1b^pm\x1b\\ \x1bX sos\x1b\\\n"
    b"\x1b]52;c;never-ended\n"
    b"\x1b[\n"
    b"\x1b\n"
    b"\xc2\x9b2J\xc2\x9d0;c1\xc2\x9c\n"
    b"\x9b31mraw c1\n"
    b"bidi \xe2\x80\xaelld\xe2\x80\xac \xe2\x81\xa6x\xe2\x81\xa9 \xe2\x80\x8f\n"
    b"zero\xe2\x80\x8bwidth \xef\xbb\xbfbom\n"
    b"bell\x07 back\x08\x08 form\x0c vert\x0b nul\x00 del\x7f so\x0e si\x0f\n"
    b"[/foo] [CLS] [@click=app.quit]\n"
    b"10%\r50%\r100%\n"
    b"\xff\xfe\x80 broken\n"
    b"after\n"
)


def printed(house: Home, content: bytes, path: Path) -> str:
    """The id of an ended run that printed this."""
    source = path / "content"
    source.write_bytes(content)
    run_id = house.submit("cat", str(source))
    assert house.wait_ended(run_id).row.state == "finished"
    return run_id


def forward(path: str, max_bytes: int) -> list[LogLine]:
    found: list[LogLine] = []
    position = 0
    while True:
        page = log_files.read_page(path, start=position, before=None, max_bytes=max_bytes, ended=True)
        assert page.start_bytes == position
        found += page.lines
        if page.end_bytes >= page.size_bytes:
            return found
        assert page.end_bytes > position
        position = page.end_bytes


def summary(detail: RunDetail, key: str) -> MetricSummary:
    return next(metric for metric in detail.metrics if metric.key == key)
