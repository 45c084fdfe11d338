//! What an operator does to a pair of databases while clients write.

use super::catalog::{Catalog, Kind, Table};
use super::tutorial::World;
use crate::support::statements::Dice;

/// The names stand in what the test prints.
#[derive(Clone, Copy, Debug)]
pub enum Operation {
    Refresh,
    Resync,
    ProviderRemoveAndAdd,
    SubscriberRemoveAndAdd,
    AddColumn,
    NewTable,
    CreateIndex,
    RefreshViews,
}

use Operation::{
    AddColumn, CreateIndex, NewTable, ProviderRemoveAndAdd, Refresh, RefreshViews, Resync, SubscriberRemoveAndAdd,
};

const ALL: [Operation; 8] =
    [Refresh, Resync, ProviderRemoveAndAdd, SubscriberRemoveAndAdd, AddColumn, NewTable, CreateIndex, RefreshViews];

/// All operations in an order of the dice's.
pub fn deck(dice: &mut Dice) -> Vec<Operation> {
    let mut left = ALL.to_vec();
    let mut deck = Vec::new();
    while !left.is_empty() {
        deck.push(left.swap_remove(usize::try_from(dice.below(left.len() as u64)).unwrap()));
    }
    deck
}

impl Operation {
    /// Does it, waits until all tables are `ok` again, and returns what it was done to.
    #[track_caller]
    pub fn run(self, world: &World, catalog: &Catalog, dice: &mut Dice) -> String {
        let names = world.r.subscriber.column("select table_name from londiste.subscriber_table order by nr");
        let name = &names[usize::try_from(dice.below(names.len() as u64)).unwrap()];
        let arguments = |words: &[&str]| {
            let output = world.r.londiste.program(words).output();
            assert_eq!(output.status, 0, "{words:?}: {}", output.stderr);
        };
        let about = match self {
            Refresh => {
                world.command("provider refresh --all");
                "--all".to_owned()
            }
            Resync => {
                arguments(&["subscriber", "resync", name]);
                name.clone()
            }
            ProviderRemoveAndAdd => {
                arguments(&["provider", "remove", name]);
                arguments(&["provider", "add", name]);
                // Where replay saw the table missing from the set, the subscriber has left it too; else it is copied again.
                world.r.replay_until_in_sync();
                arguments(&["subscriber", "add", name]);
                name.clone()
            }
            SubscriberRemoveAndAdd => {
                arguments(&["subscriber", "remove", name]);
                arguments(&["subscriber", "add", name]);
                name.clone()
            }
            AddColumn => {
                let table = plain(catalog, dice);
                both(world, &format!("alter table {} add column \"Added {}\" text", table.name, dice.below(1000)));
                table.name.clone()
            }
            NewTable => {
                let parent = plain(catalog, dice);
                let name = format!("public.new_{}", dice.below(1000));
                both(world, &format!("create table {name} (id serial primary key, v text)"));
                arguments(&["provider", "add", &name]);
                arguments(&["subscriber", "add", &name]);
                world.r.provider.sql(&format!("insert into {name} (v) select t::text from {} t", parent.name));
                let sequence = format!("{name}_id_seq");
                arguments(&["provider", "add-seq", &sequence]);
                arguments(&["subscriber", "add-seq", &sequence]);
                name
            }
            CreateIndex => {
                let table = plain(catalog, dice);
                // Immutable for every type.
                let expression = format!("{} is null", table.columns[0].name);
                both(world, &format!("create index added_{} on {} (({expression}))", dice.below(1000), table.name));
                table.name.clone()
            }
            RefreshViews => {
                let views = world.r.provider.column(
                    "select format('%I.%I', schemaname, matviewname) from pg_matviews where schemaname !~ '^pg_' order by 1",
                );
                for view in &views {
                    world.r.provider.sql(&format!("refresh materialized view {view}"));
                }
                views.join(" ")
            }
        };
        world.wait_until_ok();
        about
    }
}

/// A table that is no partition's root, with a key.
fn plain<'a>(catalog: &'a Catalog, dice: &mut Dice) -> &'a Table {
    let tables: Vec<&Table> =
        catalog.tables.iter().filter(|table| table.kind == Kind::Plain && !table.key.is_empty()).collect();
    tables[usize::try_from(dice.below(tables.len() as u64)).unwrap()]
}

/// DDL, on the subscriber first, as for columns that replay is to find there. Deadlocks end one of the two: again.
#[track_caller]
fn both(world: &World, sql: &str) {
    for database in [&world.r.subscriber, &world.r.provider] {
        let mut tries = 0;
        while let Err(error) = database.try_rows(sql) {
            tries += 1;
            assert!(error.code == "40P01" && tries < 20, "{error}\nin: {sql}");
        }
    }
}
