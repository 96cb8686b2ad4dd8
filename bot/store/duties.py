"""What one replica does for all of them, now and then: whoever claims it first when it is due."""

from dataclasses import dataclass

import sqlalchemy as sa

from bot.store.database import Database, insert
from bot.store.leases import Lease, after, is_due, new_lease
from bot.store.tables import duties


@dataclass(frozen=True, slots=True)
class Duty:
    """Work that its holder alone does, until the lease ends."""

    name: str
    done_ago: float | None
    """Seconds since it was done last, by whomever; None where that is not known."""
    lease: Lease


class Duties:
    """Work by its name. It is due at once the first time."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def claim(self, name: str, owner: str, lease_seconds: float) -> Duty | None:
        """The duty, for this owner alone until `done`, `give_back` or the lease's end; None where it is not due."""
        async with self._db.reading() as connection:
            known = sa.select(is_due(duties.c.due_at, self._db.now())).where(duties.c.name == name)
            if await connection.scalar(known) is False:
                return None
        lease = new_lease(owner, lease_seconds, self._db.monotonic())
        async with self._db.writing() as connection:
            now = self._db.now()
            new = insert(connection, duties).values(name=name, due_at=now)
            await connection.execute(new.on_conflict_do_nothing(index_elements=[duties.c.name]))
            mine = sa.update(duties).where(duties.c.name == name, is_due(duties.c.due_at, now))
            claimed = mine.values(lease=lease.token, due_at=after(now, lease.seconds))
            row = (await connection.execute(claimed.returning(now - duties.c.done_at))).one_or_none()
        if row is None:
            return None
        return Duty(name, _past(row[0]), lease)

    async def done(self, duty: Duty, *, again_in: float) -> bool:
        """It was done, and is due again in so many seconds; False where the lease was lost."""
        return await self._return(duty, again_in, done_at=self._db.now())

    async def note(self, name: str, ago: float = 0.0) -> None:
        """Note that it was done so many seconds ago, whichever replica did it: for `done_ago`."""
        async with self._db.writing() as connection:
            now = self._db.now()
            done_at = now - max(ago, 0.0)
            noted = insert(connection, duties).values(name=name, due_at=now, done_at=done_at)
            anew = {"due_at": now, "done_at": done_at}
            await connection.execute(noted.on_conflict_do_update(index_elements=[duties.c.name], set_=anew))

    async def done_ago(self, name: str) -> float | None:
        """Seconds since it was done last, by whomever; None where that is not known."""
        async with self._db.reading() as connection:
            ago = await connection.scalar(sa.select(self._db.now() - duties.c.done_at).where(duties.c.name == name))
        return _past(ago)

    async def give_back(self, duty: Duty, *, again_in: float) -> bool:
        """It could not be done, and is due in so many seconds; False where the lease was lost."""
        return await self._return(duty, again_in)

    async def _return(self, duty: Duty, again_in: float, **values: sa.ColumnElement[float]) -> bool:
        async with self._db.writing() as connection:
            held = sa.update(duties).where(duties.c.name == duty.name, duties.c.lease == duty.lease.token)
            back = held.values(lease=None, due_at=after(self._db.now(), again_in), **values)
            return (await connection.execute(back)).rowcount == 1


def _past(ago: float | None) -> float | None:
    """A time to come is that of a clock which has been set back."""
    return None if ago is None or ago < 0 else ago
