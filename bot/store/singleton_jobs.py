"""Singleton jobs: periodic work that one replica does for all. The first to claim a due job runs it."""

from dataclasses import dataclass

import sqlalchemy as sa

from bot.store.database import Database, insert
from bot.store.leases import Lease, after, is_due, new_lease
from bot.store.schema import singleton_jobs


@dataclass(frozen=True, slots=True)
class SingletonJob:
    """A claimed singleton job: only the lease's holder runs it until the lease ends."""

    name: str
    last_run_ago: float | None
    """Seconds since any replica last ran it; None if unknown."""
    lease: Lease


class SingletonJobs:
    """Singleton jobs by name. A job is due at once the first time."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def claim(self, name: str, worker_id: str, lease_seconds: float) -> SingletonJob | None:
        """Claim the job until `complete`, `release` or the end of the lease; return None if it is not due."""
        async with self._db.read_only() as connection:
            known = sa.select(is_due(singleton_jobs.c.next_run_at, self._db.now())).where(singleton_jobs.c.name == name)
            if await connection.scalar(known) is False:
                return None
        lease = new_lease(worker_id, lease_seconds, self._db.monotonic())
        async with self._db.transaction() as connection:
            now = self._db.now()
            new = insert(connection, singleton_jobs).values(name=name, next_run_at=now)
            await connection.execute(new.on_conflict_do_nothing(index_elements=[singleton_jobs.c.name]))
            mine = sa.update(singleton_jobs).where(
                singleton_jobs.c.name == name, is_due(singleton_jobs.c.next_run_at, now)
            )
            claimed = mine.values(lease=lease.token, next_run_at=after(now, lease.seconds))
            row = (await connection.execute(claimed.returning(now - singleton_jobs.c.last_run_at))).one_or_none()
        if row is None:
            return None
        return SingletonJob(name, _past(row[0]), lease)

    async def complete(self, job: SingletonJob, *, next_run_in: float) -> bool:
        """Release the job as done, due again in `next_run_in` seconds; return False if the lease was lost."""
        return await self._release(job, next_run_in, last_run_at=self._db.now())

    async def record(self, name: str, ago: float = 0.0) -> None:
        """Record that some replica ran the job `ago` seconds ago."""
        async with self._db.transaction() as connection:
            now = self._db.now()
            ran_at = now - max(ago, 0.0)
            recorded = insert(connection, singleton_jobs).values(name=name, next_run_at=now, last_run_at=ran_at)
            updated = {"next_run_at": now, "last_run_at": ran_at}
            await connection.execute(
                recorded.on_conflict_do_update(index_elements=[singleton_jobs.c.name], set_=updated)
            )

    async def seconds_since(self, name: str) -> float | None:
        """Return the seconds since any replica last ran the job; None if unknown."""
        async with self._db.read_only() as connection:
            ago = await connection.scalar(
                sa.select(self._db.now() - singleton_jobs.c.last_run_at).where(singleton_jobs.c.name == name)
            )
        return _past(ago)

    async def make_due(self, name: str) -> None:
        """Make the job due now, unless a replica is running it."""
        async with self._db.transaction() as connection:
            free = sa.update(singleton_jobs).where(singleton_jobs.c.name == name, singleton_jobs.c.lease.is_(None))
            await connection.execute(free.values(next_run_at=self._db.now()))

    async def release(self, job: SingletonJob, *, next_run_in: float) -> bool:
        """Release the job without a run, due in `next_run_in` seconds; return False if the lease was lost."""
        return await self._release(job, next_run_in)

    async def _release(self, job: SingletonJob, next_run_in: float, **values: sa.ColumnElement[float]) -> bool:
        async with self._db.transaction() as connection:
            leased = sa.update(singleton_jobs).where(
                singleton_jobs.c.name == job.name, singleton_jobs.c.lease == job.lease.token
            )
            released = leased.values(lease=None, next_run_at=after(self._db.now(), next_run_in), **values)
            return (await connection.execute(released)).rowcount == 1


def _past(ago: float | None) -> float | None:
    """Return None for a time in the future, which comes from a clock that was set back."""
    return None if ago is None or ago < 0 else ago
