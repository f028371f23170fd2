"""The database's tables. Plain types only, so that any SQL database will do.

Records are JSON text: their form belongs to `greenshift.records`, and the columns beside them are only
what is looked up.
"""

import sqlalchemy as sa

SCHEMA_VERSION = 1

metadata = sa.MetaData()

study = sa.Table(
    "study",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("schema_version", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("config", sa.Text, nullable=False),
    sa.Column("facts", sa.Text, nullable=False),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("started_at", sa.Float, nullable=False),
    sa.Column("updated_at", sa.Float, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("config", sa.Text, nullable=False),
    sa.Column("reading", sa.Text),
)

claims = sa.Table(
    "claims",
    metadata,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("trial", sa.Integer, nullable=False),
    sa.Column("label", sa.Text),
    sa.Column("configuration", sa.Text, nullable=False),
    sa.Column("fidelity", sa.Text, nullable=False),
    sa.Column("started_at", sa.Float, nullable=False),
    sa.UniqueConstraint("trial", "fidelity"),
)

evaluations = sa.Table(
    "evaluations",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("sequence", sa.Integer, nullable=False, index=True),
    sa.Column("trial", sa.Integer, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("record", sa.Text, nullable=False),
)

selections = sa.Table(
    "selections",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("record", sa.Text, nullable=False),
)
