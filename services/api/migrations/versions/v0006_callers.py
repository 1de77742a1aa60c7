"""Who calls: logins, keys, refresh tokens. And a role that sees the rows of one tenant only."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_ROLE = "shoal_tenant"
_TENANT = "current_setting('shoal.tenant')::bigint"
_OWN_SEGMENTS = "(select id from segments)"  # by the policy of segments, those of the tenant

# by table: what the role may do, and with which rows
_POLICIES = {
    # update: the lock of a tenant needs it
    "tenants": ("select, update (slug)", f"id = {_TENANT}"),
    "segments": ("select, insert, update, delete", f"tenant_id = {_TENANT}"),
    "segment_versions": ("select, insert, update, delete", f"segment_id in {_OWN_SEGMENTS}"),
    "segment_references": ("select, insert, update, delete", f"segment_id in {_OWN_SEGMENTS}"),
    "exports": ("select, insert, update, delete", f"segment_id in {_OWN_SEGMENTS}"),
    "outbox": ("select, insert", f"(message ->> 'tenant')::bigint = {_TENANT}"),
    "progress_reports": ("select", f"kind = 'segment' and id in {_OWN_SEGMENTS}"),
    "audits": ("select", f"tenant_id = {_TENANT}"),
    "audit_mismatches": ("select", f"tenant_id = {_TENANT}"),
    "webhooks": ("select, insert, update, delete", f"tenant_id = {_TENANT}"),
    "webhook_deliveries": ("select, insert, update, delete", "webhook_id in (select id from webhooks)"),
    "logins": ("select, insert, update", f"tenant_id = {_TENANT}"),
    "refresh_tokens": ("select, delete", "login_id in (select id from logins)"),
    "api_keys": ("select, insert, update", f"tenant_id = {_TENANT}"),
}
_OF_NO_TENANT = ("sign_in_attempts",)

_MAKE_ROLE = f"""
do $$
begin
  -- of the whole server: another database of it may have made it, at this moment too
  begin
    create role {_ROLE} nologin;
  exception when duplicate_object or unique_violation then null;
  end;
  if not pg_has_role(current_user, '{_ROLE}', 'member') then
    grant {_ROLE} to current_user;
  end if;
end
$$
"""


def upgrade() -> None:
    _logins()
    _api_keys()
    if not _has_role():
        op.execute(_MAKE_ROLE)
    op.execute(f"grant usage on schema public to {_ROLE}")
    for table, (privileges, rows) in _POLICIES.items():
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"create policy of_tenant on {table} to {_ROLE} using ({rows})")
        op.execute(f"grant {privileges} on {table} to {_ROLE}")
    for table in _OF_NO_TENANT:
        # without a policy and without a grant: nobody but the owner
        op.execute(f"alter table {table} enable row level security")


def downgrade() -> None:
    for table in _POLICIES:
        op.execute(f"drop policy of_tenant on {table}")
        op.execute(f"alter table {table} disable row level security")
        op.execute(f"revoke all on {table} from {_ROLE}")
    op.execute(f"revoke usage on schema public from {_ROLE}")
    # the role itself may be another database's
    for table in ("api_keys", "refresh_tokens", "sign_in_attempts", "logins"):
        op.drop_table(table)


def _has_role() -> bool:
    """Whether somebody made the role and gave it to us: then no right to make roles is needed."""
    found = op.get_bind().execute(
        sa.text(f"select pg_has_role(oid, 'member') from pg_roles where rolname = '{_ROLE}'")  # noqa: S608 - ours
    )
    return bool(found.scalar())


def _logins() -> None:
    op.create_table(
        "logins",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("role in ('owner', 'admin', 'member', 'viewer')", name=op.f("logins_role_check")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("logins_tenant_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("logins_pkey")),
        sa.UniqueConstraint("email", name=op.f("logins_email_key")),
    )
    op.create_index(op.f("logins_tenant_id_index"), "logins", ["tenant_id"], unique=False)
    op.create_table(
        "sign_in_attempts",
        sa.Column("email_digest", sa.LargeBinary(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("email_digest", name=op.f("sign_in_attempts_pkey")),
    )
    op.create_index(op.f("sign_in_attempts_since_index"), "sign_in_attempts", ["since"], unique=False)
    op.create_table(
        "refresh_tokens",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("login_id", sa.BigInteger(), nullable=False),
        sa.Column("family", sa.Uuid(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["login_id"], ["logins.id"], name=op.f("refresh_tokens_login_id_fkey")),
        sa.PrimaryKeyConstraint("digest", name=op.f("refresh_tokens_pkey")),
    )
    op.create_index(op.f("refresh_tokens_login_id_index"), "refresh_tokens", ["login_id"], unique=False)
    op.create_index(op.f("refresh_tokens_family_index"), "refresh_tokens", ["family"], unique=False)


def _api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("allowed_origins", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("require_signed_user_id", sa.Boolean(), nullable=False),
        sa.Column("hmac_secret", sa.LargeBinary(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("type in ('secret', 'public')", name=op.f("api_keys_type_check")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("api_keys_tenant_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("api_keys_pkey")),
        sa.UniqueConstraint("digest", name=op.f("api_keys_digest_key")),
    )
    op.create_index(op.f("api_keys_tenant_id_index"), "api_keys", ["tenant_id"], unique=False)
