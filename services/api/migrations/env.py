"""What Alembic runs for each command; the connection comes from services.api.migrate."""

from alembic import context

from services.api.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
