"""Messages of the threads: their fields."""

from __future__ import annotations

from console.tui.messages import ActDone, ActFailed, RequestFailed


def test_fields_of_a_message_are_given_in_their_order_or_by_name() -> None:
    failed = RequestFailed("page:1", "no", hint="look", unavailable=True)
    assert (failed.kind, failed.reason, failed.hint, failed.unavailable) == ("page:1", "no", "look", True)
    assert ActFailed("stop", "stop it", "gone", "").words == "could not stop it: gone"


def test_a_field_that_is_left_out_has_its_default() -> None:
    assert ActDone("done").draft == ""
    assert ActDone("done", "note:1").draft == "note:1"


def test_a_message_shows_its_fields() -> None:
    assert repr(ActDone("done")) == "ActDone(words='done', draft='')"
