"""Triage through a real daemon: what wants a person, marks, absences, progress and gaps; the commands that show it."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from console import triage
from console.client import DaemonRefused
from store import paths
from tests.support import PastRun, wait_until
from tests.tui.pilots import Clock, WatchedApp, press, screen_text, until

if TYPE_CHECKING:
    from console.triage import Need, Triage
    from tests.support import Home

ME = getpass.getuser()
FAILING = "import sys; print('reading'); raise ValueError('no such column: churned')"
LIVE = """
import json, os, time
for step in range(50):
    print(f'step {step}/200', flush=True)
    with open(os.environ['FOOTPLATE_METRICS'], 'a') as file:
        file.write(json.dumps({'step': step, 'acc': 0.5 + step / 1000}) + chr(10))
time.sleep(600)
"""


def look(home: Home, actor: str = "") -> Triage:
    return triage.fetch(home.client(), actor)


def need_of(found: Triage, kind: str) -> Need:
    return next(need for need in found.needs if need.kind == kind)


def test_a_failed_run_wants_its_person_until_it_is_seen_and_again_after_its_next_attempt(home: Home) -> None:
    run_id = home.python(FAILING, name="train")
    home.wait_ended(run_id)
    (need,) = look(home).needs
    assert (need.kind, need.severe, need.act, need.run_id) == ("failed", True, "retry", run_id)
    assert need.cause == "ValueError: no such column: churned"
    assert need.evidence.startswith("Traceback")
    assert need.row is not None
    assert need.row.label == "r1"
    assert home.client().status().attention_count == 1
    triage.mark_seen(home.client(), [need.key], ME)
    assert look(home).needs == ()
    assert home.client().status().attention_count == 0
    assert [each.kind for each in look(home, "bob").needs] == ["failed"], "each person has a list of their own"
    assert '"seen"' in home.footplate("audit", "--json").stdout
    home.end_daemon()
    assert look(home).needs == (), "a mark survives the daemon"
    home.footplate("retry", "r1")
    home.wait_ended_when_there("r2")
    assert [need.subject.split()[0] for need in look(home).needs] == ["r2"]


def test_a_run_that_somebody_retried_wants_nobody_any_more(home: Home) -> None:
    home.wait_ended(home.python(FAILING, name="train"))
    home.wait_ended(home.python(FAILING, name="other"))
    home.footplate("retry", "r1")
    home.wait_ended_when_there("r3")
    assert [need.subject.split()[0] for need in look(home).needs] == ["r3", "r2"]
    assert [need.subject.split()[0] for need in look(home, "bob").needs] == ["r3", "r2"]
    home.end_daemon()
    wait_until(lambda: look(home).run_count == 3)
    assert [need.subject.split()[0] for need in look(home).needs] == ["r3", "r2"]


def test_marks_that_name_nothing_are_refused(home: Home) -> None:
    home.submit("true")
    for keys in ([], [""], ["x" * 500], ["k"] * 1001):
        with pytest.raises(DaemonRefused):
            triage.mark_seen(home.client(), keys, ME)
    done = home.footplate("triage", "--seen", "r99", check=False)
    assert done.returncode == 1
    assert "named 'r99'" in done.stderr


def test_held_and_paused_runs_say_which_key_lets_them_go_on(home: Home) -> None:
    home.footplate("pause", "--reason", "disk [red] is being moved")
    home.submit("true", name="waits", queueing={"takes_slot": True})
    wait_until(lambda: look(home).waiting_count)
    found = look(home)
    need = need_of(found, "paused")
    assert (need.act, need.scope, need.command) == ("resume", "all", "footplate resume")
    assert "disk [red] is being moved; 1 run waits behind it" in need.cause
    assert found.waiting[0].name == "waits"
    triage.resume(home.client(), "all", ME)
    wait_until(lambda: not look(home).waiting_count)
    assert look(home).needs == ()


def test_a_live_run_has_progress_pace_curve_and_the_gap_at_its_own_step(home: Home) -> None:
    points = tuple((step, {"acc": 0.4 + step / 1000}) for step in range(200))
    home.write_run(PastRun(1, points=points, project="test"))
    home.python(LIVE, name="train")

    def settled() -> Triage | None:
        found = look(home)
        gap = found.live[0].gap if found.live else None
        return found if gap is not None and gap.step == 49 and found.live[0].progress is not None else None

    found: Triage = wait_until(settled)
    (run,) = found.live
    assert run.progress is not None
    assert (run.progress.text, run.progress.unit, run.progress.total) == ("49/200", "step", 200)
    assert run.left_s is not None
    assert run.left_s > 0
    assert run.left_method == "at its average pace"
    assert run.gap is not None
    assert run.gap.value == pytest.approx(0.549 - 0.449)
    assert (run.gap.ahead, run.gap.best_no, run.gap.step) == (True, 1, 49)
    assert len(run.curve) >= 20
    assert list(run.curve) == sorted(run.curve)
    assert [(best.no, best.key) for best in found.best] == [(1, "acc")]
    assert found.best[0].value == pytest.approx(0.599)


def test_steps_that_are_times_in_nanoseconds_hide_no_run(home: Home) -> None:
    home.python(
        "import json, os, time\n"
        "with open(os.environ['FOOTPLATE_METRICS'], 'a') as file:\n"
        "    for step in (0, 10**18, 18 * 10**17): file.write(json.dumps({'step': step, 'loss': 0.5}) + chr(10))\n"
        "time.sleep(600)"
    )
    wait_until(lambda: (live := look(home).live) and len(live[0].curve) == 3)


def test_what_ended_while_a_person_was_away_is_listed_until_it_is_cleared(home: Home) -> None:
    now_s = time.time()
    home.write_run(PastRun(1, started_at_s=now_s - 90_000, duration_s=60, points=((1, {"acc": 0.9}),)))
    home.write_run(PastRun(2, started_at_s=now_s - 8000, duration_s=60, points=((1, {"acc": 0.7}),)))
    home.write_run(PastRun(3, started_at_s=now_s - 4000, duration_s=60, state="failed", exit_code=1, cause="boom"))
    persons = {ME: {"last_s": now_s - 10_000, "left_s": None, "back_s": None, "cleared_s": 0.0}}
    Path(paths.presence_path(home.path)).write_text(json.dumps({"format": 1, "persons": persons}), encoding="utf-8")
    assert look(home).absence.away_s == pytest.approx(10_000, abs=60), "not back yet"
    triage.tell_presence(home.client(), ME)
    wait_until(lambda: look(home).ended_count == 2)
    found = look(home)
    assert found.absence.since_s == pytest.approx(now_s - 10_000, abs=1)
    assert found.absence.away_s == pytest.approx(10_000, abs=60)
    assert [run.row.no for run in found.ended] == [3, 2]
    gap = found.ended[1].gap
    assert gap is not None
    assert (gap.best_no, gap.ahead) == (1, False)
    home.end_daemon()
    assert look(home).absence.away_s is not None, "an absence survives the daemon"
    triage.tell_presence(home.client(), ME)
    assert look(home).ended_count == 2, "further keys change nothing"
    text = home.footplate("triage").stdout
    assert "away 2h4" in text
    home.footplate("triage", "--clear")
    found = look(home)
    assert (found.ended, found.absence.away_s) == ((), None)
    assert [run.row.no for run in look(home, "bob").ended] == [3, 2], "by default of the last day"


def test_presence_that_cannot_be_read_or_written_is_no_reason_to_fail(home: Home) -> None:
    paths.ensure_state_dir(home.path)
    path = paths.presence_path(home.path)
    Path(path).write_text('{"persons": [1]}', encoding="utf-8")
    triage.tell_presence(home.client(), ME)
    assert json.loads(Path(path).read_text(encoding="utf-8"))["persons"][ME]["left_s"] is None
    os.unlink(path)
    os.mkdir(path)
    triage.tell_presence(home.client(), ME)
    assert look(home).absence.away_s is None


def test_the_command_shows_all_of_it_and_marks_by_the_name_of_the_run(home: Home) -> None:
    assert "nothing needs you" in home.footplate("triage").stdout
    home.wait_ended(home.python(FAILING, name="evil\x1b[31m[red]"))
    text = home.footplate("triage").stdout
    assert "needs you 1" in text
    assert "r1 evil␛[31m[red]" in text
    assert "footplate retry r1" in text
    assert json.loads(home.footplate("triage", "--json").stdout)["needs"][0]["kind"] == "failed"
    assert "nothing needs you" in home.footplate("triage", "--seen", "r1").stdout


def test_a_prompt_does_not_wait_for_a_daemon_that_hangs(home: Home) -> None:
    home.submit("true")
    pid = home.daemon_pid()
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        assert home.footplate("status", "--line").stdout == "footplate: no answer\n"
    finally:
        os.kill(pid, signal.SIGCONT)


def test_status_in_one_line_starts_no_daemon(home: Home) -> None:
    assert home.footplate("status", "--line").stdout == "footplate: off\n"
    assert home.daemon_pid() is None
    assert json.loads(home.footplate("status", "--line", "--json").stdout) == {"daemon": "off"}
    home.wait_ended(home.python(FAILING))
    assert home.footplate("status", "--line").stdout == "✗1 !1\n"
    assert home.footplate("status", "--line", env=home.environment(PYTHONIOENCODING="ascii")).stdout == "x1 !1\n"
    assert "wants you  1" in home.footplate("status").stdout
    assert json.loads(home.footplate("status", "--json").stdout)["attention_count"] == 1


def test_the_console_opens_on_what_wants_a_person_and_a_key_takes_it_off(home: Home) -> None:
    home.wait_ended(home.python(FAILING, name="train"))

    async def drive() -> None:
        clock = Clock()
        app = WatchedApp(monotonic=clock, opens_runs=False)
        async with app.run_test(size=(120, 40), notifications=True) as pilot:
            await until(pilot, lambda: "ValueError: no such column: churned" in screen_text(app))
            await until(pilot, lambda: "! 1" in screen_text(app).splitlines()[0])
            await press(pilot, "a")
            await until(pilot, lambda: "nothing does" in screen_text(app))
            clock.now_s += 5
            await until(pilot, lambda: "! 1" not in screen_text(app).splitlines()[0])
            clock.now_s += 5
            await asyncio.to_thread(lambda: home.wait_ended(home.python(FAILING, name="again")))
            clock.now_s += 5
            await until(pilot, lambda: "again" in screen_text(app))
            await press(pilot, "g", "enter")
            await until(pilot, lambda: "Traceback" in screen_text(app))

    asyncio.run(drive())
