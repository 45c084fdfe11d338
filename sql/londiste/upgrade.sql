-- What has to happen to an existing schema londiste before the rest is installed over it. Does nothing on a fresh database.
--
-- A schema of Londiste 2.1 keeps its tables and rows. Its functions are replaced; those whose argument names or result differ
-- cannot be, and are dropped here. A schema that belongs to something else, Londiste 3 above all, is refused.

do $$
declare
    foreign_table text;
begin
    if to_regnamespace('londiste') is null then
        return;
    end if;

    foreign_table := coalesce(to_regclass('londiste.table_info'), to_regclass('londiste.seq_info'))::text;
    if foreign_table is not null then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = 'schema "londiste" of this database belongs to another program',
            detail = format('It has the table %s, which is Londiste 3''s.', foreign_table),
            hint = 'Use another database, or take Londiste 3 out of this one first (drop extension londiste, or its schema).';
    end if;

    if to_regclass('londiste.table_position') is not null then
        alter table londiste.table_position add column if not exists parked_mend text;
    end if;
    if to_regclass('londiste.skipped_events') is not null then
        alter table londiste.skipped_events add column if not exists done_tick bigint;
    end if;
end;
$$;
