-- A schema in the shape of Londiste 2.1.12, made from its interface: the tables and types as they are there, and functions
-- with its signatures and results, some with other argument names than ours. Only those have a body that does something
-- which replay calls on the provider.
create schema londiste;

create table londiste.provider_table (
    nr serial not null, queue_name text not null, table_name text not null, trigger_name text,
    primary key (queue_name, table_name));
create table londiste.provider_seq (
    nr serial not null, queue_name text not null, seq_name text not null, primary key (queue_name, seq_name));
create table londiste.completed (consumer_id text not null, last_tick_id bigint not null, primary key (consumer_id));
create table londiste.link (source text not null, dest text not null, primary key (source), unique (dest));
create table londiste.subscriber_table (
    nr serial not null, queue_name text not null, table_name text not null, snapshot text, merge_state text,
    trigger_name text, skip_truncate boolean, primary key (queue_name, table_name));
create table londiste.subscriber_seq (
    nr serial not null, queue_name text not null, seq_name text not null, primary key (queue_name, seq_name));
create table londiste.subscriber_pending_fkeys (
    from_table text not null, to_table text not null, fkey_name text not null, fkey_def text not null,
    primary key (from_table, fkey_name));
create table londiste.subscriber_pending_triggers (
    table_name text not null, trigger_name text not null, trigger_def text not null,
    primary key (table_name, trigger_name));
create type londiste.ret_provider_table_list as (table_name text, trigger_name text);
create type londiste.ret_subscriber_table as (
    table_name text, merge_state text, snapshot text, trigger_name text, skip_truncate boolean);

grant usage on schema londiste to public;
grant select on londiste.provider_table, londiste.completed, londiste.link, londiste.subscriber_table to public;

create function londiste.version() returns text as $$ select '2.1.12'::text $$ language sql;
create function londiste.provider_get_table_list(i_queue text) returns setof londiste.ret_provider_table_list as
    $$ select table_name, trigger_name from londiste.provider_table where queue_name = $1 order by nr $$ language sql;
create function londiste.provider_get_seq_list(i_queue text) returns setof text as
    $$ select seq_name from londiste.provider_seq where queue_name = $1 order by nr $$ language sql;
create function londiste.get_last_tick(i_cons text) returns bigint as
    $$ select last_tick_id from londiste.completed where consumer_id = $1 $$ language sql strict stable security definer;

-- The rest, by signature.
do $$
declare
    f text[];
begin
    foreach f slice 1 in array array[
        ['cmp_list(l1 text, l2 text, l3 text, l4 text)', 'boolean'], ['find_column_types(tbl text)', 'text'],
        ['find_rel_oid(tbl text, kind text)', 'oid'], ['find_seq_oid(tbl text)', 'oid'],
        ['find_table_oid(tbl text)', 'oid'], ['find_table_fkeys(tbl text)', 'setof londiste.subscriber_pending_fkeys'],
        ['find_table_triggers(tbl text)', 'setof londiste.subscriber_pending_triggers'],
        ['set_last_tick(i_cons text, i_tick bigint)', 'integer'],
        ['link(src text, dst text, tick bigint, a text, b text)', 'text'], ['link_del(src text, dst text)', 'text'],
        ['link_source(i_dst text)', 'text'], ['link_dest(i_source text)', 'text'],
        ['provider_add_seq(q text, s text)', 'integer'], ['provider_remove_seq(q text, s text)', 'integer'],
        ['provider_add_table(q text, t text)', 'integer'], ['provider_add_table(q text, t text, c text)', 'integer'],
        ['provider_create_trigger(q text, t text, c text)', 'integer'], ['provider_notify_change(q text)', 'integer'],
        ['provider_refresh_trigger(q text, t text)', 'integer'],
        ['provider_refresh_trigger(q text, t text, c text)', 'integer'],
        ['provider_remove_table(q text, t text)', 'integer'], ['quote_fqname(fq text)', 'text'],
        ['subscriber_add_seq(q text, s text)', 'integer'], ['subscriber_add_table(q text, t text)', 'integer'],
        ['subscriber_remove_seq(q text, s text)', 'integer'], ['subscriber_remove_table(q text, t text)', 'integer'],
        ['subscriber_set_skip_truncate(q text, t text, v boolean)', 'integer'],
        ['subscriber_set_table_state(q text, t text, snap text, st text)', 'integer'],
        ['set_table_state(q text, t text, snap text, st text)', 'integer'],
        ['get_table_state(q text)', 'setof londiste.subscriber_table'],
        ['subscriber_get_seq_list(q text)', 'setof text'],
        ['subscriber_get_table_list(q text)', 'setof londiste.ret_subscriber_table'],
        ['subscriber_get_table_pending_fkeys(t text)', 'setof londiste.subscriber_pending_fkeys'],
        ['subscriber_get_queue_valid_pending_fkeys(q text)', 'setof londiste.subscriber_pending_fkeys'],
        ['subscriber_get_table_pending_triggers(t text)', 'setof londiste.subscriber_pending_triggers'],
        ['subscriber_drop_table_fkey(t text, f text)', 'integer'],
        ['subscriber_restore_table_fkey(t text, f text)', 'integer'],
        ['subscriber_drop_table_trigger(t text, g text)', 'integer'],
        ['subscriber_drop_all_table_triggers(t text)', 'integer'],
        ['subscriber_restore_table_trigger(t text, g text)', 'integer'],
        ['subscriber_restore_all_table_triggers(t text)', 'integer']]
    loop
        execute format('create function londiste.%s returns %s as %L language sql', f[1], f[2],
            'select null::' || replace(f[2], 'setof ', ''));
    end loop;
end;
$$;
