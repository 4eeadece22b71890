"""Low-rate metadata as SQLModel tables; the migrations create them, a test holds both together.

Importing this costs half a second, so it is imported by what is rare; what every run needs is plain SQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, BigInteger, Column, Integer, String
from sqlmodel import Field, Session, SQLModel, select

if TYPE_CHECKING:
    from store.database import Database


class RunRecord(SQLModel, table=True):
    """One run: what was asked, where it stands, how it ended."""

    __tablename__ = "run"

    id: str = Field(sa_column=Column(String, primary_key=True))
    no: int
    name: str
    project: str
    state: str
    cause: str = ""
    evidence: str = ""
    command: str
    argv: list[str] = Field(sa_column=Column(JSON, nullable=False))
    working_dir: str
    host: str
    params: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))
    created_at_s: float
    started_at_s: float | None = None
    ended_at_s: float | None = None
    exit_code: int | None = Field(default=None, sa_column=Column(Integer))
    signal: str = ""
    primary_key_id: int | None = None
    primary_goal: str = ""
    search_text: str = ""
    cause_kind: str = ""
    attempt: int = 1
    attempts_max: int = 1
    pinned: bool = False
    archived_at_s: float | None = None
    user_cpu_s: float | None = None
    system_cpu_s: float | None = None
    max_resident_bytes: int | None = Field(default=None, sa_column=Column(BigInteger))
    guessed_key_id: int | None = None
    guessed_goal: str = ""
    primary_source: str = "guessed"
    script: str = ""
    param_sources: dict[str, str] | None = Field(default=None, sa_column=Column(JSON))
    params_pending: bool = False
    sweep: str = ""
    job: str = ""
    tracker: str = ""
    source_path: str = ""
    source_group: str = ""
    written_at_s: float | None = None
    import_id: str = ""
    import_place: str = ""
    import_key: str = ""
    import_signature: str = ""
    import_state: str = ""
    is_followed: bool = False


class NoteRecord(SQLModel, table=True):
    """What a person wrote down about a run."""

    __tablename__ = "note"

    id: str = Field(sa_column=Column(String, primary_key=True))
    run_id: str
    at_s: float
    actor: str
    text: str


class TagRecord(SQLModel, table=True):
    """A word that a person put on a run."""

    __tablename__ = "tag"

    run_id: str = Field(sa_column=Column(String, primary_key=True))
    name: str = Field(sa_column=Column(String, primary_key=True))
    at_s: float
    actor: str


def runs_in_project(database: Database, project: str) -> list[RunRecord]:
    """The runs of a project, oldest first."""
    with Session(database.engine()) as session:
        return list(session.exec(select(RunRecord).where(RunRecord.project == project).order_by(column("no"))))


def column(name: str) -> Any:
    """A column of `run` for an SQL expression, which a type checker would take for its Python value."""
    return RunRecord.__table__.c[name]  # type: ignore[attr-defined]
