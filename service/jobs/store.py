"""Which jobs there are and how far they have come: one table in SQLite, each change of it one durable statement.

A job exists from the moment that its row is committed. Its result is stored by the statement that marks it as done; a
process that is killed before leaves the row as it was. Queues with an embedded store do not give that: huey's
``SqliteStorage`` deletes a task when it hands it out, so that a SIGKILL loses the one in work; those that wait for a
receipt keep no result beside it. What is needed is the table below, and little else.

The connection holds SQLite's exclusive lock for as long as it is open. A second service on the same folder is refused,
and the lock of one that was killed is gone with it.
"""

import sqlite3
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from service.errors import InsufficientStorage, JobsUnavailable

VERSION = 1
SCHEMA = """
CREATE TABLE jobs (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL UNIQUE,
    request_id TEXT NOT NULL,
    options TEXT NOT NULL,
    address TEXT NOT NULL,
    idempotency_key TEXT UNIQUE,
    file_name TEXT,
    status TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    created_s REAL NOT NULL,
    started_s REAL,
    finished_s REAL,
    problem TEXT,
    result BLOB
);
CREATE INDEX jobs_by_status ON jobs (status, place);
"""
# A service that was just killed may hold the lock for a moment more.
LOCK_WAIT_S = 2.0


class Status(StrEnum):
    """How far a job has come."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing will follow."""
        return self not in (Status.QUEUED, Status.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One row, but for its result. Times are seconds since 1970; ``options`` and ``problem`` are JSON.

    ``address`` is what the request's address said, by which a repeated ``idempotency_key`` is checked. ``place`` counts
    jobs in the order of their acceptance, ``attempts`` the times that one was begun.
    """

    job_id: str
    request_id: str
    options: str
    created_s: float
    address: str = ""
    idempotency_key: str | None = None
    file_name: str | None = None
    status: Status = Status.QUEUED
    attempts: int = 0
    started_s: float | None = None
    finished_s: float | None = None
    problem: str | None = None
    place: int = 0


COLUMNS = tuple(field.name for field in fields(Job))
GIVEN = COLUMNS[:-1]  # the table gives the place


class JobStore:
    """The table of jobs; safe to share between threads.

    Raises:
        JobsUnavailable: when it is made: another service uses the folder, or what lies there cannot be used.
        InsufficientStorage: from every method that changes something, which then has changed nothing.

    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._connection = _open(path)

    def close(self) -> None:
        """Let go of the folder."""
        with self._lock:
            self._connection.close()

    def add(self, job: Job) -> Job:
        """Accept a job; if there is one with its idempotency key already, return that instead."""
        marks = ", ".join(f":{name}" for name in GIVEN)
        added = self._change(
            f"INSERT INTO jobs ({', '.join(GIVEN)}) VALUES ({marks}) ON CONFLICT (idempotency_key) DO NOTHING",
            **{name: getattr(job, name) for name in GIVEN},
        )
        return added[0] if added else self._select("idempotency_key = :key", key=job.idempotency_key)[0]

    def find(self, job_id: str) -> Job | None:
        """Return a job."""
        return _only(self._select("job_id = :job_id", job_id=job_id))

    def find_key(self, idempotency_key: str) -> Job | None:
        """Return the job that was accepted with a key."""
        return _only(self._select("idempotency_key = :key", key=idempotency_key))

    def latest(self, limit: int) -> list[Job]:
        """Return the jobs accepted last, the latest first."""
        return self._select("TRUE ORDER BY place DESC LIMIT :limit", limit=limit)

    def ids(self) -> set[str]:
        """Return the ids of all jobs."""
        return {job.job_id for job in self._select("TRUE")}

    def num_unfinished(self) -> int:
        """Count the jobs that are queued or running."""
        return self._count("status IN ('queued', 'running')")

    def counts(self) -> dict[str, int]:
        """Count the jobs that are kept, by status."""
        return dict(self._run("SELECT status, count(*) FROM jobs GROUP BY status", {}))

    def position(self, job: Job) -> int:
        """Count the queued jobs up to this one: 1 is the next to be begun."""
        return self._count("status = 'queued' AND place <= :place", place=job.place)

    def take(self, now_s: float) -> Job | None:
        """Begin the oldest queued job."""
        oldest = "(SELECT min(place) FROM jobs WHERE status = 'queued')"
        begun = "status = 'running', attempts = attempts + 1, started_s = :now_s"
        return _only(self._change(f"UPDATE jobs SET {begun} WHERE place = {oldest}", now_s=now_s))

    def put_back(self, *, uncounted: bool = False) -> None:
        """Queue what is running, in its old place; ``uncounted`` for an attempt that ended in order."""
        begun = "status = 'queued', attempts = attempts - :less"
        self._change(f"UPDATE jobs SET {begun} WHERE status = 'running'", less=int(uncounted))

    def finish(self, job_id: str, result: bytes, now_s: float) -> bool:
        """Keep the result of a running job, which is done by that; False if it was cancelled meanwhile."""
        return self._end("status = 'done', result = :outcome", job_id=job_id, outcome=result, now_s=now_s)

    def fail(self, job_id: str, problem: str, now_s: float) -> bool:
        """Keep what stopped a running job; False if it was cancelled meanwhile."""
        return self._end("status = 'failed', problem = :outcome", job_id=job_id, outcome=problem, now_s=now_s)

    def withdraw(self, job_id: str, now_s: float) -> Job | None:
        """Cancel an unfinished job or forget a finished one, and return it as it was."""
        with self._lock:
            job = self.find(job_id)
            if job and job.status.is_final:
                self._change("DELETE FROM jobs WHERE job_id = :job_id", job_id=job_id)
            elif job:
                ended = "status = 'cancelled', finished_s = :now_s"
                self._change(f"UPDATE jobs SET {ended} WHERE job_id = :job_id", job_id=job_id, now_s=now_s)
            return job

    def expire(self, before_s: float) -> list[Job]:
        """Forget the jobs that were finished before a time, and return them."""
        return self._change("DELETE FROM jobs WHERE finished_s < :before_s", before_s=before_s)

    def result(self, job_id: str) -> bytes | None:
        """Return what ``finish`` was given."""
        rows = self._run("SELECT result FROM jobs WHERE job_id = :job_id", {"job_id": job_id})
        return rows[0][0] if rows else None

    def _end(self, change: str, **values: object) -> bool:
        ended = f"UPDATE jobs SET {change}, finished_s = :now_s WHERE job_id = :job_id AND status = 'running'"
        return bool(self._change(ended, **values))

    def _count(self, condition: str, **values: object) -> int:
        return int(self._run(f"SELECT count(*) FROM jobs WHERE {condition}", values)[0][0])

    def _select(self, condition: str, **values: object) -> list[Job]:
        return [_job(row) for row in self._run(f"SELECT {', '.join(COLUMNS)} FROM jobs WHERE {condition}", values)]

    def _change(self, statement: str, **values: object) -> list[Job]:
        """Run a statement, which is on the disk when this returns, and return the jobs that it touched."""
        return [_job(row) for row in self._run(f"{statement} RETURNING {', '.join(COLUMNS)}", values)]

    def _run(self, statement: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        try:
            with self._lock:
                return self._connection.execute(statement, values).fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                raise InsufficientStorage(
                    "the disk that holds the jobs is full; try again when there is room"
                ) from error
            raise


def _open(path: Path) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(path, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise JobsUnavailable(f"{path} cannot be opened ({error}); set MAREY_JOBS_FOLDER to another folder") from error
    try:
        # In this order: a table that is entered exclusively keeps its lock, and needs no memory shared with others.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        _prepare(connection, path)
    except (sqlite3.Error, JobsUnavailable) as error:
        connection.close()
        raise _refusal(error, path) from error
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Take the lock, and make the table if there is none."""
    connection.execute("BEGIN EXCLUSIVE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version not in (0, VERSION):
        raise JobsUnavailable(f"{path} was written by another version of the service; set MAREY_JOBS_FOLDER to another")
    if not version:
        for statement in (*filter(str.strip, SCHEMA.split(";")), f"PRAGMA user_version = {VERSION}"):
            connection.execute(statement)
    connection.execute("COMMIT")


def _refusal(error: Exception, path: Path) -> Exception:
    if isinstance(error, JobsUnavailable):
        return error
    if "locked" in str(error):
        return JobsUnavailable(
            f"another service works on the jobs in {path.parent}; set MAREY_JOBS_FOLDER to a folder of this one's own, "
            "or MAREY_MAX_JOBS=0 to take none"
        )
    return JobsUnavailable(f"{path} cannot be used ({error}); move it away, or set MAREY_JOBS_FOLDER to another folder")


def _job(row: Sequence[Any]) -> Job:
    values = dict(zip(COLUMNS, row, strict=True))
    return Job(**{**values, "status": Status(values["status"])})


def _only(jobs: Sequence[Job]) -> Job | None:
    return jobs[0] if jobs else None
