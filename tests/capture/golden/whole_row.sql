-- Written by UPDATE_GOLDEN=1 tests/run.sh capture::golden
-- londiste.capture_statement(), event format sql
create table t (id int primary key, v text);
alter table t drop constraint t_pkey;

-- operation i, level statement
insert into pgq.event_1_0 (ev_type, ev_data, ev_time, ev_extra1)
select 'I'::pg_catalog.text as ev_type, pg_catalog.format('(id,v) values (%L,%L)', n."id", n."v") as ev_data, pg_catalog.now(), 'public.t'
from londiste_new n;

-- operation u, level statement
insert into pgq.event_1_0 (ev_type, ev_data, ev_time, ev_extra1)
select 'U'::pg_catalog.text as ev_type, pg_catalog.format('%s where id=%L and %s', pg_catalog.substr(x.londiste_changes, 2), x."id", case when x."v" is null then 'v is null' else pg_catalog.format('v=%L', x."v") end) as ev_data, pg_catalog.now(), 'public.t'
from (
    select pg_catalog.concat(case when o."id" operator(pg_catalog.=) n."id" then null else pg_catalog.format(',id=%L', n."id") end, case when coalesce(o."v" operator(pg_catalog.=) n."v", o."v" is null and n."v" is null) then null else pg_catalog.format(',v=%L', n."v") end) as londiste_changes, o."id", o."v"
    from (select t.*, pg_catalog.row_number() over () as londiste_nr from londiste_old t) o
    full join (select t.*, pg_catalog.row_number() over () as londiste_nr from londiste_new t) n
    on n.londiste_nr operator(pg_catalog.=) o.londiste_nr
    order by n.londiste_nr
) x
where x.londiste_changes operator(pg_catalog.<>) '';

-- operation d, level statement
insert into pgq.event_1_0 (ev_type, ev_data, ev_time, ev_extra1)
select 'D'::pg_catalog.text as ev_type, pg_catalog.format('id=%L and %s', o."id", case when o."v" is null then 'v is null' else pg_catalog.format('v=%L', o."v") end) as ev_data, pg_catalog.now(), 'public.t'
from londiste_old o;

-- operation u, level dynamic
insert into pgq.event_1_0 (ev_type, ev_data, ev_time, ev_extra1)
select 'U'::pg_catalog.text as ev_type, pg_catalog.format('%s where id=%L and %s', pg_catalog.substr(x.londiste_changes, 2), x."id", case when x."v" is null then 'v is null' else pg_catalog.format('v=%L', x."v") end) as ev_data, pg_catalog.now(), 'public.t'
from (
    select pg_catalog.concat(case when o."id" operator(pg_catalog.=) n."id" then null else pg_catalog.format(',id=%L', n."id") end, case when coalesce(o."v" operator(pg_catalog.=) n."v", o."v" is null and n."v" is null) then null else pg_catalog.format(',v=%L', n."v") end) as londiste_changes, o."id", o."v"
    from (select ($1).*) o cross join (select ($2).*) n
    offset 0
) x
where x.londiste_changes operator(pg_catalog.<>) '';

-- operation d, level dynamic
insert into pgq.event_1_0 (ev_type, ev_data, ev_time, ev_extra1)
select 'D'::pg_catalog.text as ev_type, pg_catalog.format('id=%L and %s', o."id", case when o."v" is null then 'v is null' else pg_catalog.format('v=%L', o."v") end) as ev_data, pg_catalog.now(), 'public.t'
from (select ($1).*) o;
