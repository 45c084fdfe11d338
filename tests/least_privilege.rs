//! The recipe for least privilege in `docs/rights.md`, run as it stands: roles with no more rights than it names set
//! replication up, tick, copy, replay, and write.

use std::fs;

use pretty_assertions::assert_eq;

use crate::support::{
    Cluster, Database, Program, Scratch, assert_same_rows, compare_tables, replay_until_in_sync, wait_until,
    wait_until_ok,
};

const START: &str = "<!-- least privilege: a test runs these steps -->\n";
const END: &str = "<!-- end of least privilege -->";

/// The tables of the recipe: a foreign key, a serial column, a partitioned table.
const TABLES: &str = "
    create table customers (id serial primary key, name text not null);
    create table orders (id int primary key, customer int references customers, note text);
    create index on orders (customer);
    create table visits (day date, nr int, primary key (day, nr)) partition by range (day);
    create table visits_1 partition of visits for values from ('2020-01-01') to ('2021-01-01');";

/// One code block of the recipe.
#[derive(Debug)]
struct Block<'a> {
    /// `sql`, `ini`, or `sh`.
    kind: &'a str,
    text: &'a str,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let start = text.find(START).expect("the marker before the recipe") + START.len();
    let recipe = &text[start..start + text[start..].find(END).expect("the marker behind the recipe")];
    let fenced = recipe.split("```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap()).map(|(kind, text)| Block { kind, text }).collect()
}

struct Place {
    // Dropped in this order.
    databases: [Database; 2],
    scratch: Scratch,
    provider: Cluster,
    subscriber: Cluster,
}

impl Place {
    fn new() -> Self {
        let [provider, subscriber] = ["host1", "host2"].map(|name| Cluster::builder().name(name).start());
        let databases = [&provider, &subscriber].map(|cluster| {
            // Who owns the database and its tables is no superuser either.
            cluster.sql("create role shop_owner");
            cluster.sql("create database shop owner shop_owner");
            Database::existing(cluster, "shop")
        });
        databases[0].sql(&format!("set role shop_owner; {TABLES} insert into customers (name) values ('first')"));
        Place { databases, scratch: Scratch::new(), provider, subscriber }
    }

    /// Text of the recipe with this place's servers.
    fn here(&self, text: &str) -> String {
        let address =
            |cluster: &Cluster| cluster.conninfo("shop").replace(" user=postgres", "").replace(" dbname=shop", "");
        text.replace("host=host1", &address(&self.provider)).replace("host=host2", &address(&self.subscriber))
    }

    /// Runs the steps of a block.
    fn run(&self, block: &Block) {
        let text = self.here(block.text);
        match block.kind {
            "sql" => {
                let database = usize::from(!text.starts_with("-- on the provider"));
                self.databases[database].sql(&text);
                if database == 1 {
                    self.databases[1].sql(&format!("set role repl_apply; {TABLES}"));
                }
            }
            "ini" => {
                for file in text.split("; ").skip(1) {
                    let (name, content) = file.split_once('\n').unwrap();
                    let extra = "loop_delay = 0.02\npidfile = %(job_name)s.pid\nlogfile = %(job_name)s.log\n";
                    let fast = if content.contains("[pgqadm]") { "maint_delay = 0.2\n" } else { "" };
                    fs::write(self.scratch.path().join(name), format!("{content}{extra}{fast}")).unwrap();
                }
            }
            "sh" => {
                for line in text.lines() {
                    let command = line.split('#').next().unwrap().trim();
                    let words = command.strip_prefix("rlondiste ").unwrap_or_else(|| panic!("{line}")).split(' ');
                    Program::new(words).dir(self.scratch.path()).run();
                }
            }
            kind => panic!("a block of kind {kind}"),
        }
    }

    /// Waits until the log of a job has a new line with this text.
    #[track_caller]
    fn wait_for_log(&self, job: &str, text: &str) {
        let start = self.log(job).len();
        wait_until(&format!("{job} logs \"{text}\""), || {
            let log = self.log(job);
            if log[start..].contains(text) { Ok(()) } else { Err(log) }
        });
    }

    fn log(&self, job: &str) -> String {
        fs::read_to_string(self.scratch.path().join(format!("{job}.log"))).unwrap_or_default()
    }

    fn stop(&self, job: &str) {
        Program::new(["-s", &format!("{job}.ini")]).dir(self.scratch.path()).run();
    }
}

#[test]
fn recipe_replicates_with_no_more_rights_than_it_names() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rights.md")).unwrap();
    let place = Place::new();
    for block in blocks(&text) {
        place.run(&block);
    }
    let [provider, subscriber] = &place.databases;
    wait_until_ok(subscriber);

    // The application has its own role, and no right in schemas pgq and londiste.
    provider.sql(
        "create role app; grant select, insert, update, delete, truncate on all tables in schema public to app;
         grant usage on all sequences in schema public to app",
    );
    let app = provider.session();
    app.sql("set role app");
    app.sql(
        "insert into customers (name) select 'Customer ' || i from generate_series(1, 100) i;
         insert into orders select id, id, 'note' from customers; update orders set note = 'changed' where id % 3 = 0;
         delete from orders where id % 5 = 0; insert into visits values ('2020-05-05', 1), ('2020-06-06', 2)",
    );
    replay_until_in_sync(provider, "replay");
    app.sql("truncate visits; insert into visits values ('2020-07-07', 3)");
    // Also when the table changes, which maintenance takes into account.
    provider.sql("set role shop_owner; alter table orders add column added text");
    subscriber.sql("set role repl_apply; alter table orders add column added text");
    place.wait_for_log("ticker", "Refreshed the capture of public.orders in queue shop");
    provider.sql("set role repl_setup; select pgq.set_queue_config('shop', 'rotation_period', '0')");
    for _ in 0..3 {
        app.sql("update orders set added = now()::text where id < 50");
        replay_until_in_sync(provider, "replay");
        place.wait_for_log("ticker", "Rotating shop");
    }
    app.sql("update orders set added = 'again' where id < 50");
    replay_until_in_sync(provider, "replay");
    assert_same_rows(provider, subscriber, &compare_tables(provider));
    let sequence = "select last_value from customers_id_seq";
    assert_eq!(provider.value(sequence), subscriber.value(sequence));

    // The doctor finds nothing wrong with these rights. What other sessions do is not for these roles to see.
    provider.sql("set role repl_setup; select pgq.set_queue_config('shop', 'rotation_period', '2 hours')");
    for job in ["ticker", "replay"] {
        let output =
            Program::new([&format!("{job}.ini"), "doctor", "--json"]).dir(place.scratch.path()).status(3).run();
        let document: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
        for finding in document["findings"].as_array().unwrap().iter().filter(|finding| finding["level"] != "ok") {
            let fact = finding["fact"].as_str().unwrap();
            assert!(fact.ends_with("may not see what sessions of other users do"), "{job}: {finding:#}");
        }
    }

    // A role that the recipe does not name can do nothing with the queue.
    provider.sql("create role nobody");
    for call in ["insert_event('shop', 't', 'd')", "next_batch('shop', 'replay')", "ticker('shop')"] {
        let error = provider.error(&format!("set role nobody; select pgq.{call}"));
        assert_eq!(error.code, "42501", "{call}");
    }
    place.stop("replay");
    place.stop("ticker");
    for job in ["setup", "ticker", "replay"] {
        let log = place.log(job);
        assert!(!log.contains("ERROR") && !log.contains("CRITICAL"), "{log}");
    }
}
