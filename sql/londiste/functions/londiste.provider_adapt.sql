create or replace function londiste.provider_adapt(i_queue_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_adapt(1)
--     Adapts the capture of a queue's tables to what is done to them: stores the level at which updates are cheapest (tables with
--     capture auto), and which columns the updates change. londiste.provider_maintain then generates the functions and triggers.
--     Called by the ticker's maintenance.
--
--     A sample of the newest events tells it. Events of one table and transaction that follow each other are taken for one
--     statement, which is an upper bound of the rows that a statement has changed.
--
--     The costs, measured in thousands of instructions: a row trigger 20 for each statement and 59 for each row; a statement trigger
--     141 for one row, else 210 and 35 for each row. The level changes when the other one is cheaper by a fifth, and like the columns
--     at most once an hour: triggers are dropped and created under a lock that writers wait for.
-- Returns: number of tables whose capture is to be generated anew
-- Writes: londiste.capture
-- ----------------------------------------------------------------------
declare
    v_event_table text := (select q.queue_data_pfx || '_' || q.queue_cur_table from pgq.queue q where q.queue_name = i_queue_name);
    v_table record;
    v_level text;
    v_hot text[];
    v_empty text[];
    v_count int := 0;
begin
    -- A schema pgq of another owner may let this role write events only.
    if to_regclass(v_event_table) is null or not has_table_privilege(to_regclass(v_event_table), 'select') then
        return 0;
    end if;
    for v_table in execute format(
'with newest as (
    select e.ev_id, e.ev_txid, e.ev_type, e.ev_extra1, case when length(e.ev_data) < 2000 then e.ev_data end as ev_data
    from %s e
    order by e.ev_txid desc
    limit 20000
), numbered as (
    select n.*, row_number() over (partition by n.ev_txid order by n.ev_id)
                - row_number() over (partition by n.ev_txid, n.ev_extra1, n.ev_type order by n.ev_id) as run,
           row_number() over (partition by n.ev_extra1, n.ev_type order by n.ev_id desc) as age
    from newest n
), runs as (
    select n.ev_extra1, count(*) as rows
    from numbered n
    where n.ev_type like ''U%%'' or n.ev_type like ''{"op":"UPDATE"%%''
    group by n.ev_extra1, n.ev_txid, n.run
), changes as (
    select n.ev_extra1, n.columns, count(*) as rows, sum(count(*)) over (partition by n.ev_extra1) as all_rows
    from (select n.ev_extra1,
                 -- Without literals: a=,b=E,c=NULL where id=
                 regexp_replace(split_part(regexp_replace(n.ev_data, ''''''[^'''']*'''''', '''', ''g''), '' where '', 1),
                                ''= ?(E|NULL)?'', '''', ''g'') as columns
          from numbered n
          where n.ev_type = ''U'' and n.age <= 300 and n.ev_data is not null) n
    group by n.ev_extra1, n.columns
)
select c as capture, r.runs, r.rows, r.row_cost, r.statement_cost,
       h.columns as hot_columns, coalesce(k.share, 0) as kept_share
from londiste.capture c
join (select r.ev_extra1, count(*) as runs, sum(r.rows) as rows, sum(20 + 59 * r.rows) as row_cost,
             sum(case r.rows when 1 then 141 else 210 + 35 * r.rows end) as statement_cost
      from runs r
      group by r.ev_extra1) r on r.ev_extra1 = c.table_name
left join lateral (select u.columns from changes u
                   where u.ev_extra1 = c.table_name and u.rows >= 20 and u.rows * 2 >= u.all_rows
                   order by u.rows desc limit 1) h on true
left join lateral (select u.rows / u.all_rows as share from changes u
                   where u.ev_extra1 = c.table_name
                     and array(select btrim(n, ''"'') from unnest(string_to_array(u.columns, '','')) n) = c.hot_columns) k on true
where c.queue_name = $1
order by c.table_name', v_event_table)
        using i_queue_name
    loop
        continue when v_table.runs < 100 or (v_table.capture).adapted_at > now() - interval '1 hour';
        v_level := (v_table.capture).update_level;
        if (v_table.capture).capture = 'auto' then
            if v_level = 'row' and v_table.statement_cost < v_table.row_cost * 0.8 then
                v_level := 'statement';
            elsif coalesce(v_level, 'statement') = 'statement' and v_table.row_cost < v_table.statement_cost * 0.8 then
                v_level := 'row';
            end if;
        end if;
        v_hot := (v_table.capture).hot_columns;
        if v_table.kept_share < 0.2 then
            v_hot := coalesce(array(select btrim(n, '"') from unnest(string_to_array(v_table.hot_columns, ',')) n), v_hot);
        end if;
        v_empty := array(select s.attname::text
                         from pg_stats s
                         where format('%s.%s', s.schemaname, s.tablename) = (v_table.capture).table_name
                           and s.null_frac > 0.95 and not s.inherited
                         order by 1);
        continue when v_level is not distinct from (v_table.capture).update_level
                  and v_hot is not distinct from (v_table.capture).hot_columns;
        update londiste.capture c
        set update_level = v_level, hot_columns = v_hot, empty_columns = v_empty, adapted_at = now(),
            adapted_to = format('%s rows a statement in the newest %s updates', round(v_table.rows / v_table.runs, 1), v_table.rows)
        where c.queue_name = i_queue_name and c.table_name = (v_table.capture).table_name;
        v_count := v_count + 1;
    end loop;
    return v_count;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
