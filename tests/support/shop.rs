//! The shop of `examples/shop.sql`, as the quickstart uses it: tables with foreign keys, a two-column key, a mixed-case
//! name, sequences, jsonb, bytea, an array.

use super::{Database, Load};

const SCHEMA_AND_DATA: &str = include_str!("../../examples/shop.sql");

/// Its tables, as `subscriber tables` names them.
pub const TABLES: [&str; 6] = [
    "public.StockMoves",
    "public.customers",
    "public.invoices",
    "public.order_lines",
    "public.orders",
    "public.products",
];

/// Its sequences.
pub const SEQUENCES: [&str; 5] = [
    "public.StockMoves_moveId_seq",
    "public.customers_id_seq",
    "public.invoice_number",
    "public.orders_id_seq",
    "public.products_id_seq",
];

/// Creates the shop with its data.
#[track_caller]
pub fn open(database: &Database) {
    database.sql(SCHEMA_AND_DATA);
}

/// Creates the shop without data.
#[track_caller]
pub fn build(database: &Database) {
    let data = SCHEMA_AND_DATA.find("\ninsert into").unwrap();
    database.sql(&SCHEMA_AND_DATA[..data]);
}

/// Customers come and go.
pub fn crowd(database: &Database) -> Load {
    Load::start(database, 2, visit)
}

/// One visit: inserts, updates and deletes in all tables, in transactions of several statements and alone.
fn visit(client: usize, n: usize) -> String {
    let random = (client * 7919 + n) * 104_729 % 99_991;
    let (customer, product, old) = (random % 2000 + 1, random % 500 + 1, random % 10_000 + 1);
    let visit = format!(
        r#"begin;
        insert into orders (customer_id, note) values ({customer}, 'line' || chr(10) || 'break \ ''quote''');
        insert into order_lines (order_id, line, product_id, amount, price)
            select currval('orders_id_seq'), line, ({product} + line) % 500 + 1, line, {product} / 10.0
            from generate_series(1, 1 + {product} % 3) line;
        insert into "StockMoves" ("productId", change, "Reason") values ({product}, -1, null);
        insert into invoices (order_id, total) values (currval('orders_id_seq'), {product});
        {end};"#,
        end = if n % 10 == 9 { "rollback" } else { "commit" },
    );
    let changes = format!(
        r#"update orders set state = 'sent' where id = {old} and state = 'paid';
        update order_lines set amount = amount + 1 where order_id = {old} and line = 2;
        update products set price = price + 0.01, picture = decode(md5('{n}'), 'hex') where id = {product};
        update customers set settings = settings || '{{"visited": {n}}}' where id = {customer};
        delete from orders where id = {old} and {product} < 20;
        insert into customers (name) select 'Newcomer' where {product} % 10 = 0;"#,
    );
    format!("{visit}\n{changes}")
}
