"""The script that Alembic runs to migrate, on the caller's connection and in the caller's transaction."""

from alembic import context

from bot.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
