-- A small shop with data, for quickstart.sh: foreign keys, a two-column key, a mixed-case name, sequences, jsonb, bytea,
-- an array. PostgreSQL 10 and newer.

create table customers (
    id serial primary key,
    name text not null,
    email text unique,
    settings jsonb not null default '{}',
    created timestamptz not null default now()
);

create table products (
    id serial primary key,
    sku text not null unique,
    name text not null,
    price numeric(10, 2) not null check (price >= 0),
    tags text[] not null default '{}',
    picture bytea
);

create table orders (
    id bigserial primary key,
    customer_id int not null references customers,
    state text not null default 'new' check (state in ('new', 'paid', 'sent')),
    note text,
    ordered timestamptz not null default now()
);
create index orders_customer_idx on orders (customer_id);

create table order_lines (
    order_id bigint not null references orders on delete cascade,
    line int not null,
    product_id int not null references products,
    amount int not null check (amount > 0),
    price numeric(10, 2) not null,
    primary key (order_id, line)
);

create sequence invoice_number start 1000;

create table invoices (
    number bigint primary key default nextval('invoice_number'),
    order_id bigint not null unique references orders on delete cascade,
    total numeric(12, 2) not null
);

create table "StockMoves" (
    "moveId" bigserial primary key,
    "productId" int not null references products,
    "when" timestamptz not null default clock_timestamp(),
    change int not null,
    "Reason" text
);

insert into customers (name, email, settings)
select 'Customer ' || i, 'c' || i || '@example.org', jsonb_build_object('news', i % 3 = 0, 'phone', null)
from generate_series(1, 2000) i;

insert into products (sku, name, price, tags, picture)
select 'P-' || i, 'Product "' || i || '", it''s \ good', (i % 900) / 10.0, array['t' || i % 7, 'a "quoted" tag', null],
       decode(md5(i::text), 'hex')
from generate_series(1, 500) i;

insert into orders (customer_id, state, note)
select i % 2000 + 1, 'paid', nullif(repeat('note ', i % 4), '')
from generate_series(1, 10000) i;

insert into order_lines (order_id, line, product_id, amount, price)
select o, line, (o * 7 + line) % 500 + 1, line, 9.99
from generate_series(1, 10000) o, generate_series(1, 3) line;

insert into invoices (order_id, total)
select o, 59.94 from generate_series(1, 10000) o;

insert into "StockMoves" ("productId", change, "Reason")
select i % 500 + 1, 100, 'first delivery' from generate_series(1, 1000) i;
