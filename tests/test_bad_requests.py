"""Requests that cannot become a run: refused by name, and neither runs nor the daemon change."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from console.client import Client, DaemonRefused
from console.jobs import spec
from tests.support import PastRun, run_count, wait_until

if TYPE_CHECKING:
    from tests.support import Home


GOOD: dict[str, Any] = {
    "argv": ["true"],
    "working_dir": "/",
    "environment": {"PATH": "/usr/bin:/bin"},
    "umask": 18,
    "limits": {"RLIMIT_CORE": [0, -1]},
    "name": "",
    "project": "",
    "grace_s": 1.0,
    "actor": "tester",
}


BAD_FIELDS: list[tuple[str, Any]] = [
    ("argv", None),
    ("argv", []),
    ("argv", "true"),
    ("argv", [""]),
    ("argv", ["true", 3]),
    ("argv", ["true", None]),
    ("argv", ["true", "a\0b"]),
    ("argv", ["true", "\ud800"]),
    ("working_dir", None),
    ("working_dir", ""),
    ("working_dir", "relative"),
    ("working_dir", "/a\0b"),
    ("working_dir", "/\ud800"),
    ("working_dir", 7),
    ("environment", None),
    ("environment", []),
    ("environment", {"A": 1}),
    ("environment", {"A=B": "x"}),
    ("environment", {"": "x"}),
    ("environment", {"A": "x\0y"}),
    ("environment", {"A": "\ud800"}),
    ("environment", {"\udfff": "x"}),
    ("umask", "022"),
    ("umask", -1),
    ("umask", 0o1000),
    ("umask", 1.5),
    ("limits", []),
    ("limits", {"RLIMIT_CORE": 0}),
    ("limits", {"RLIMIT_CORE": [0]}),
    ("limits", {"RLIMIT_CORE": ["0", "0"]}),
    ("limits", {"RLIMIT_CORE": [2**70, 2**70]}),
    ("limits", {"getrusage": [1, 1]}),
    ("grace_s", "soon"),
    ("grace_s", -1),
    ("grace_s", 1e9),
    ("grace_s", None),
    ("name", 5),
    ("name", "\ud800"),
    ("project", ["x"]),
    ("project", "\ud800"),
]


@pytest.mark.parametrize(("field", "value"), BAD_FIELDS, ids=lambda item: ascii(item)[:40])
def test_a_field_that_cannot_become_a_run_is_refused_by_name(field: str, value: Any) -> None:
    spec.parse_request(GOOD)
    with pytest.raises(spec.SpecError, match=field.split("_", maxsplit=1)[0]):
        spec.parse_request(GOOD | {field: value})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'"run"',
        b"7",
        b"{}",
        b"[" * 200_000,
        json.dumps(GOOD | {"argv": []}).encode(),
        json.dumps(GOOD | {"grace_s": float("nan")}).encode(),
        json.dumps(GOOD | {"umask": 10**400}).encode(),
    ],
    ids=lambda body: ascii(body)[:30],
)
def test_a_malformed_request_is_answered_with_400_and_a_sentence(house: Home, body: bytes) -> None:
    before = run_count(house)
    pid = house.daemon_pid()
    client = Client()
    try:
        with pytest.raises(DaemonRefused) as refused:
            client.call("POST", "/runs", body)
    finally:
        client.close()
    assert refused.value.status == 400
    assert refused.value.message
    assert "HTTP status" not in refused.value.message
    assert (run_count(house), house.daemon_pid()) == (before, pid)


def test_a_request_of_many_megabytes_is_refused(house: Home) -> None:
    client = Client()
    try:
        with pytest.raises(DaemonRefused) as refused:
            client.call("POST", "/runs", json.dumps(GOOD | {"argv": ["true", "x" * (17 << 20)]}).encode())
    finally:
        client.close()
    assert refused.value.status == 413
    assert house.client().status().host


def test_a_malformed_stop_is_answered_with_400_and_stops_nothing(house: Home) -> None:
    run_id = house.submit("sleep", "1000")
    house.wait_run(run_id, lambda detail: detail.row.state == "running")
    with pytest.raises(DaemonRefused) as refused:
        house.client().call("POST", f"/runs/{run_id}/stop", b"{not json")
    assert refused.value.status == 400
    assert house.client().run(run_id).row.state == "running"
    house.client().stop(run_id, "tester")
    house.wait_ended(run_id)


def test_text_that_no_encoding_can_carry_is_refused_and_does_not_keep_a_daemon_from_starting(home: Home) -> None:
    good = home.submit("sleep", "1000")
    with pytest.raises(DaemonRefused) as refused:
        home.submit("echo", "\ud800")
    assert refused.value.status == 400
    home.kill_daemon()
    assert [row.id for row in home.client().runs().rows] == [good]


def test_an_actor_that_no_encoding_can_carry_does_not_end_the_daemon(home: Home) -> None:
    run_id = home.submit("sleep", "1000")
    home.wait_run(run_id, lambda detail: detail.row.state == "running")
    pid = home.daemon_pid()
    with contextlib.suppress(DaemonRefused):
        home.client().stop(run_id, "\ud800")
    look = Client()
    try:
        wait_until(lambda: look.run(run_id).row.state != "running", timeout_s=10)
    except AssertionError:
        look.stop(run_id, "tester")  # the odd request was refused as a whole, which is as well
        wait_until(lambda: look.run(run_id).row.state == "stopped", timeout_s=10)
    finally:
        look.close()
    assert home.daemon_pid() == pid


@pytest.mark.parametrize(
    "words",
    [("series", "r1"), ("metric",), ("metric", "--unpin", "--project"), ("pause",), ("runs", "--sort")],
    ids=" ".join,
)
def test_words_that_are_not_utf_8_are_one_sentence(home: Home, words: tuple[str, ...]) -> None:
    home.write_run(PastRun(1))
    home.wait_ended(PastRun(1).id)
    done = home.footplate(*words, os.fsdecode(b"a\xffb"), check=False)
    assert done.returncode in ((0,) if words == ("pause",) else (1, 2))
    for bad in ("Traceback", "HTTP status", "Python", "daemon.log"):
        assert bad not in done.stderr
