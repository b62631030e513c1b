create function sec.uid() returns uuid
  language sql stable parallel safe as $$
-- The caller; null: not signed in. Readers have no SET clause, so that they are inlined.
  select nullif(pg_catalog.current_setting('app.user_id', true), '')::pg_catalog.uuid
$$;
alter function sec.uid() owner to <app>_owner;

create function sec.session() returns uuid
  language sql stable parallel safe as $$
  select nullif(pg_catalog.current_setting('app.session_id', true), '')::pg_catalog.uuid
$$;
alter function sec.session() owner to <app>_owner;

create function sec.action() returns text
  language sql stable parallel safe as $$
-- What the request does: `update`, `archive`, `publish`, …
  select nullif(pg_catalog.current_setting('app.action', true), '')
$$;
alter function sec.action() owner to <app>_owner;

create function sec.request() returns uuid
  language sql stable parallel safe as $$
  select nullif(pg_catalog.current_setting('app.request_id', true), '')::pg_catalog.uuid
$$;
alter function sec.request() owner to <app>_owner;

create function sec.reason() returns text
  language sql stable parallel safe as $$
  select nullif(pg_catalog.current_setting('app.reason', true), '')
$$;
alter function sec.reason() owner to <app>_owner;

create function sec.job() returns text
  language sql stable parallel safe as $$
-- The module that works; null: a request.
  select nullif(pg_catalog.current_setting('app.job', true), '')
$$;
alter function sec.job() owner to <app>_owner;

create function sec.created() returns uuid
  language sql stable parallel safe as $$
-- The row that this transaction makes and whose maker is about to be given a role of it.
  select nullif(pg_catalog.current_setting('app.created', true), '')::pg_catalog.uuid
$$;
alter function sec.created() owner to <app>_owner;

create function sec.changed() returns uuid
  language sql stable parallel safe as $$
-- The row that this transaction changes, perhaps into one that whoever changes it may not read.
  select nullif(pg_catalog.current_setting('app.changed', true), '')::pg_catalog.uuid
$$;
alter function sec.changed() owner to <app>_owner;

create function sec.show_archived() returns boolean
  language sql stable parallel safe as $$
  select coalesce(pg_catalog.current_setting('app.archived', true), '') = '1'
$$;
alter function sec.show_archived() owner to <app>_owner;

create function sec.set_reason(p_reason text) returns void
  language sql volatile as $$
-- Why; for the audit log.
  select pg_catalog.set_config('app.reason', coalesce(p_reason, ''), true)
$$;
alter function sec.set_reason(text) owner to <app>_owner;

create function sec.stayed() returns jsonb
  language sql stable parallel safe as $$
-- Rows that restoring in this transaction left archived, and why.
  select coalesce(nullif(pg_catalog.current_setting('app.stayed', true), ''), '[]')::pg_catalog.jsonb
$$;
alter function sec.stayed() owner to <app>_owner;
