"""The history of the database's schema, run by Alembic; see ``qiosk.adapters.sql.schema``."""
