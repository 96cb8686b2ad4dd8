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
    done_ago: float | None
    """Seconds since any replica last did it; None if unknown."""
    lease: Lease


class SingletonJobs:
    """Singleton jobs by name. A job is due at once the first time."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def claim(self, name: str, owner: str, lease_seconds: float) -> SingletonJob | None:
        """Claim the job for this owner until `done`, `give_back` or the lease's end; return None if it is not due."""
        async with self._db.read_only() as connection:
            known = sa.select(is_due(singleton_jobs.c.next_run_at, self._db.now())).where(singleton_jobs.c.name == name)
            if await connection.scalar(known) is False:
                return None
        lease = new_lease(owner, lease_seconds, self._db.monotonic())
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

    async def complete(self, duty: SingletonJob, *, again_in: float) -> bool:
        """Release the job as done, due again in `again_in` seconds; return False if the lease was lost."""
        return await self._return(duty, again_in, last_run_at=self._db.now())

    async def record(self, name: str, ago: float = 0.0) -> None:
        """Record for `done_ago` that the job was done `ago` seconds ago, by any replica."""
        async with self._db.transaction() as connection:
            now = self._db.now()
            done_at = now - max(ago, 0.0)
            noted = insert(connection, singleton_jobs).values(name=name, next_run_at=now, last_run_at=done_at)
            anew = {"next_run_at": now, "last_run_at": done_at}
            await connection.execute(noted.on_conflict_do_update(index_elements=[singleton_jobs.c.name], set_=anew))

    async def seconds_since(self, name: str) -> float | None:
        """Return the seconds since any replica last did the job; None if unknown."""
        async with self._db.read_only() as connection:
            ago = await connection.scalar(
                sa.select(self._db.now() - singleton_jobs.c.last_run_at).where(singleton_jobs.c.name == name)
            )
        return _past(ago)

    async def hasten(self, name: str) -> None:
        """Make the job due now, unless a replica is doing it."""
        async with self._db.transaction() as connection:
            free = sa.update(singleton_jobs).where(singleton_jobs.c.name == name, singleton_jobs.c.lease.is_(None))
            await connection.execute(free.values(next_run_at=self._db.now()))

    async def release(self, duty: SingletonJob, *, again_in: float) -> bool:
        """Release the job undone, due in `again_in` seconds; return False if the lease was lost."""
        return await self._return(duty, again_in)

    async def _return(self, duty: SingletonJob, again_in: float, **values: sa.ColumnElement[float]) -> bool:
        async with self._db.transaction() as connection:
            held = sa.update(singleton_jobs).where(
                singleton_jobs.c.name == duty.name, singleton_jobs.c.lease == duty.lease.token
            )
            back = held.values(lease=None, next_run_at=after(self._db.now(), again_in), **values)
            return (await connection.execute(back)).rowcount == 1


def _past(ago: float | None) -> float | None:
    """Return None for a time in the future, which comes from a clock that was set back."""
    return None if ago is None or ago < 0 else ago
