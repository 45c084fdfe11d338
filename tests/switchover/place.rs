//! Two databases that writers go over between, with a ticker each and replay.

use std::{fs, thread};

use super::CLOSED;
use crate::support::{
    Cluster, Database, Job, Output, Replication, Scratch, assert_same_rows, compare_tables, wait_until, wait_until_ok,
};

pub struct Place {
    // Dropped in this order: daemons end before their databases go.
    /// The daemon of the way back, which the program starts.
    pub back: Job,
    /// `None` where replay makes the ticks.
    _new_ticker: Option<Job>,
    pub r: Replication,
}

impl Place {
    pub fn new(schema: &str) -> Place {
        Place::between(Cluster::provider(), Cluster::subscriber(), schema)
    }

    pub fn between(provider: &Cluster, subscriber: &Cluster, schema: &str) -> Place {
        Place::up(Replication::between(provider, subscriber).with_schema(schema), "postgres")
    }

    /// As [`Place::between`]; databases, tables and schemas belong to a role that is no superuser, and so do all sessions.
    pub fn of_owner(provider: &Cluster, subscriber: &Cluster, schema: &str) -> Place {
        const OWNER: &str = "shop_owner";
        let databases = [provider, subscriber].map(|cluster| {
            cluster.sql(&format!("create role {OWNER} login"));
            let database = cluster.database();
            database.sql(&format!("alter database {} owner to {OWNER}", database.name()));
            database.sql(&format!("set role {OWNER}; {schema}"));
            database
        });
        let [provider, subscriber] = databases;
        let mut r = Replication::of(provider, subscriber);
        r.ticker.configure("db", &r.provider.conninfo_as(OWNER));
        r.londiste.configure("provider_db", &r.provider.conninfo_as(OWNER));
        r.londiste.configure("subscriber_db", &r.subscriber.conninfo_as(OWNER));
        Place::up(r, OWNER)
    }

    /// As [`Place::new`], with `ticker = auto` and no other ticker. The old side's log has the statements.
    pub fn with_ticker_inside(schema: &str) -> Place {
        let mut r = Replication::new().with_schema(schema);
        r.londiste.configure("ticker", "auto");
        r.provider.log_statements();
        r.install();
        r.londiste.start();
        Place::replicating(r, None)
    }

    /// Installs, starts and replicates everything.
    pub fn up(r: Replication, user: &str) -> Place {
        let new_ticker = Job::ticker(r.scratch().path(), "new-ticker", &r.subscriber.conninfo_as(user));
        r.install();
        new_ticker.run("install");
        r.start();
        new_ticker.start();
        Place::replicating(r, Some(new_ticker))
    }

    fn replicating(r: Replication, new_ticker: Option<Job>) -> Place {
        r.add("--all");
        r.londiste.run("provider add-seq --all");
        r.londiste.run("subscriber add-seq --all");
        wait_until_ok(&r.subscriber);
        wait_until("foreign keys are there again", || {
            match r.subscriber.value("select count(*) from londiste.subscriber_pending_fkeys").as_str() {
                "0" => Ok(()),
                n => Err(format!("{n} wait")),
            }
        });
        // The program writes the ini file that its daemon reads; this one has the same pidfile.
        let databases = [r.subscriber.conninfo(), r.provider.conninfo()];
        let back = Job::londiste(r.scratch().path(), "db1-londiste_back", databases, "unused");
        Place { back, _new_ticker: new_ticker, r }
    }

    /// Runs a command to its end, whatever its status is.
    pub fn output(&self, command: &str) -> Output {
        self.r.londiste.program(command.split_whitespace()).output()
    }

    /// Runs a command that has to succeed; returns its standard error.
    #[track_caller]
    pub fn run(&self, command: &str) -> String {
        let output = self.output(command);
        assert!(output.status <= 1, "{command}: {}\n{}{}", output.status, output.stdout, output.stderr);
        output.stderr
    }

    /// Runs a switchover to its end, with `act` between the arming of the tables and the closing of the old side.
    pub fn meanwhile(&self, command: &[&str], act: impl FnOnce()) -> Output {
        let scratch = Scratch::new();
        let (armed, go_on) = (scratch.path().join("armed"), scratch.path().join("go-on"));
        let hook = format!("touch {}; until test -e {}; do sleep 0.02; done", armed.display(), go_on.display());
        let program = self.r.londiste.program(command.iter().copied().chain(["--before-fence", &hook]));
        thread::scope(|scope| {
            let running = scope.spawn(|| program.output());
            wait_until("the tables are armed", || if armed.exists() { Ok(()) } else { Err("not yet") });
            act();
            fs::write(&go_on, "").unwrap();
            running.join().unwrap()
        })
    }

    /// The side that writers are on after so many switches.
    pub fn open_side(&self, switches: usize) -> (&Database, &Database) {
        let (provider, subscriber) = (&self.r.provider, &self.r.subscriber);
        if switches.is_multiple_of(2) { (provider, subscriber) } else { (subscriber, provider) }
    }

    /// Waits until both sides have the same rows in all replicated tables.
    #[track_caller]
    pub fn assert_equal(&self) {
        let tables = self.r.subscriber.column("select table_name from londiste.subscriber_table order by 1");
        assert!(!tables.is_empty());
        wait_until("both sides have the same rows", || {
            let sum = |database: &Database| {
                tables
                    .iter()
                    .map(|t| {
                        database
                            .value(&format!("select count(*) || ' ' || coalesce(sum(hashtext(t::text)), 0) from {t} t"))
                    })
                    .collect::<Vec<_>>()
            };
            let (ours, theirs) = (sum(&self.r.provider), sum(&self.r.subscriber));
            if ours == theirs { Ok(()) } else { Err(format!("{ours:?} {theirs:?}")) }
        });
        assert_same_rows(&self.r.provider, &self.r.subscriber, &compare_tables(&self.r.provider));
    }
}

/// Whether anybody may write to the database.
#[track_caller]
pub fn is_open(database: &Database) -> bool {
    let sql = "select last_value = 1 or last_value <= londiste.fence_clock() from londiste.fence_state";
    database.value(sql) == "t"
}

#[track_caller]
pub fn assert_open(open: &Database, closed: &Database) {
    assert!(is_open(open), "{} is closed", open.name());
    assert_eq!(closed.value("select last_value from londiste.fence_state"), CLOSED);
}

/// The seconds without writes that the log of a command tells of.
pub fn block(stderr: &str) -> f64 {
    let rest = stderr.split("Nobody could write for ").nth(1).unwrap_or_else(|| panic!("no block in {stderr}"));
    rest.split(' ').next().unwrap().parse().unwrap()
}
