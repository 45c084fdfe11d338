-- One customer's visit to the shop of shop.sql, as a pgbench script: inserts, updates and deletes in all tables.
\set customer random(1, 2000)
\set product random(1, 500)
\set old random(1, 10000)
begin;
insert into orders (customer_id, note) values (:customer, 'line' || chr(10) || 'break \ ''quote''');
insert into order_lines (order_id, line, product_id, amount, price)
    select currval('orders_id_seq'), line, (:product + line) % 500 + 1, line, :product / 10.0
    from generate_series(1, 1 + :product % 3) line;
insert into "StockMoves" ("productId", change, "Reason") values (:product, -1, null);
insert into invoices (order_id, total) values (currval('orders_id_seq'), :product);
commit;
update orders set state = 'sent' where id = :old and state = 'paid';
update order_lines set amount = amount + 1 where order_id = :old and line = 2;
update products set price = price + 0.01, tags = tags || 'seen'::text where id = :product and cardinality(tags) < 20;
update customers set settings = settings || '{"visited": true}' where id = :customer;
delete from orders where id = :old and :product < 20;
insert into customers (name) select 'Newcomer' where :product % 10 = 0;
