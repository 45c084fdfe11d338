create or replace function londiste.capture_bypass(i_table oid) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_bypass(1)
--     Returns why statement triggers are not enough to capture a table, in words; null when they are enough.
--
--     A statement fires the statement triggers of the table that it names, and of no other table. So rows that are written
--     through a parent do not fire the statement triggers of a partition or an inheritance child. The transition tables of a
--     statement on a table with inheritance children hold the children's rows too. Logical replication fires only row triggers.
-- ----------------------------------------------------------------------
begin
    return coalesce(
        (select format('logical replication writes to table %s', s.srrelid::regclass)
         from londiste.capture_tree(i_table) t(relation)
         join pg_subscription_rel s on s.srrelid = t.relation
         order by s.srrelid
         limit 1),
        (select format('rows can be written through table %s', i.inhparent::regclass)
         from pg_inherits i
         where i.inhrelid = i_table
         order by i.inhseqno
         limit 1),
        (select format('statements on it also write to table %s, which inherits from it', i.inhrelid::regclass)
         from pg_inherits i
         join pg_class c on c.oid = i.inhparent
         where i.inhparent = i_table and c.relkind = 'r'
         order by i.inhrelid
         limit 1));
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
