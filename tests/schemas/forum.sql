-- A forum with search, trees and inheritance: tsvector triggers, keys of many columns that cascade, tables without a key, names that
-- need quoting, deferred unique constraints, triggers that write tables which are replicated too.
create schema if not exists extensions;
grant usage on schema extensions to schemas_app;
do $$ begin
    execute format('alter database %I set search_path = public, extensions', current_database());
end $$;
set search_path = public, extensions;

create domain public.slug as varchar(60) not null check (value <> '' and value !~ '\s');
create type public.vote as enum ('up', 'down', '');
create type public.badge as (name text, level int);
create type public.badges as (best public.badge, all_of public.badge[]);

create table users (
    id serial primary key,
    nick text not null unique,
    about text,
    rating int not null default 0,
    badges badges,
    invited_by int references users on delete set null,
    last_seen timestamptz
);
create table topics (
    id serial primary key,
    slug slug unique deferrable,
    title text not null,
    body text,
    owner_id int references users on delete cascade,
    search tsvector,
    posts int not null default 0,
    best_post int
);
create index topics_search on topics using gin (search);
create function topics_search() returns trigger language plpgsql as $$
begin
    new.search := setweight(to_tsvector('simple', coalesce(new.title, '')), 'A') || to_tsvector('simple', coalesce(new.body, ''));
    return new;
end $$;
create trigger topics_search before insert or update of title, body on topics for each row execute procedure topics_search();

create table posts (
    topic_id int references topics on delete cascade on update cascade,
    nr int,
    parent_nr int,
    author int not null references users on delete cascade,
    body text,
    search tsvector,
    at timestamptz default now(),
    primary key (topic_id, nr),
    constraint parent foreign key (topic_id, parent_nr) references posts (topic_id, nr) on delete cascade on update cascade
        deferrable initially deferred
);
alter table topics add constraint best foreign key (id, best_post) references posts (topic_id, nr)
    match simple on delete no action deferrable initially deferred;
create trigger posts_search before insert or update on posts for each row
    execute procedure tsvector_update_trigger(search, 'pg_catalog.simple', body);
create function posts_count() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        update topics set posts = posts + 1 where id = new.topic_id;
        update users set rating = rating + 1 where id = new.author;
    else
        update topics set posts = posts - 1 where id = old.topic_id;
    end if;
    return null;
end $$;
create trigger posts_count after insert or delete on posts for each row execute procedure posts_count();

create table votes (
    topic_id int, nr int, user_id int references users on delete cascade on update cascade, vote vote not null default 'up',
    primary key (user_id, topic_id, nr),
    foreign key (topic_id, nr) references posts on delete cascade on update cascade
);
create table attachments (
    id uuid primary key, topic_id int, nr int, name text not null, content bytea, meta jsonb,
    foreign key (topic_id, nr) references posts on delete set null on update cascade
);
create index attachments_meta on attachments ((meta ->> 'kind')) where meta ? 'kind';

-- Inheritance.
create table messages (id serial primary key, body text, at timestamp default localtimestamp, check (body <> 'forbidden'));
create table private_messages (recipient int references users on delete cascade, primary key (id)) inherits (messages);
create table group_messages ("group" text not null default 'all', primary key (id)) inherits (messages);

-- Names that need quoting.
create table "Mixed Case" ("Id" serial primary key, "a.b" text, "it's" int default 1, "quote""d" text unique, "ümlaut" varchar(10));
create table "odd.name" ("order" int primary key, "table" numeric(6,2), "user" int references "Mixed Case" ("Id") on delete cascade);

-- Without a key; with a key that is only a unique index; with a key of a type with several texts for equal values.
create table page_views (at timestamptz default now(), path text, user_id int, ms float4);
create table logins (user_id int not null, device text not null, n int default 0);
create unique index logins_key on logins (device, user_id);
create table prices (amount numeric primary key, term interval, note text);
create unlogged table caches (k text primary key, v json, until timestamp with time zone);

create view best_topics as select id, title, posts from topics where posts > 0;
create view topic_view as select t.id, t.title, u.nick from topics t join users u on u.id = t.owner_id;
create function topic_view_write() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        delete from topics where id = old.id;
        return old;
    end if;
    update topics set title = new.title where id = old.id;
    return new;
end $$;
create trigger write instead of update or delete on topic_view for each row execute procedure topic_view_write();
create materialized view active as select author, count(*) from posts group by author;

alter table attachments enable row level security;
create policy small on attachments for select using (true);
create policy add_small on attachments for insert with check (length(name) < 20);
alter table votes enable row level security;
create policy all_votes on votes using (true) with check (vote <> '');

grant usage on schema public to schemas_app;
grant select, insert, update, delete on all tables in schema public to schemas_app;
grant usage on all sequences in schema public to schemas_app;

-- piece: extension ltree
create extension ltree schema extensions;
create table sections (
    path extensions.ltree primary key, title text, moderators int[],
    up extensions.ltree references sections on delete cascade on update cascade
);
create index sections_path on sections using gist (path);

-- piece: extension citext
create extension citext schema extensions;
create domain handle as extensions.citext check (length(value::text) > 1);
create table handles (h handle primary key, user_id int references users on delete cascade);

-- piece: from 12
alter table topics add column title_length int generated always as (length(title)) stored;
alter table users add column nick_lower text generated always as (lower(nick)) stored;
create index users_nick on users (nick_lower);
