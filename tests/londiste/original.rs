//! A stand-in for the two processes of the original replication program: what each of them reads and writes while a table
//! is copied and handed over, statement by statement, so that a test can stop them at every point.
//!
//! Both work on one batch at a time. A batch is opened, then the states of the tables decide what becomes of it, and it is
//! applied and finished. A number in a state is the last tick of the batch that its writer has open and has **not** applied:
//!
//! * The copy applies batches until it has found none once. It then writes `wanna-sync:N` while it has the batch that ends at
//!   N open, and keeps it.
//! * The main process, with a batch open that ends at M >= N, writes `do-sync:M` and keeps its batch.
//! * The copy applies its batches up to, and without, the one that ends at M; with that one open it writes `ok` and is gone.
//! * The main process applies its batch, for this table too.

use crate::support::{Database, QUEUE, Replication, Session, wait_until};

/// The consumers of the two processes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Process {
    Main,
    Copy,
}

/// What a process does with its open batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sync {
    /// It may be applied.
    Go,
    /// It waits for a state that the other process writes.
    Wait,
    /// The table is the main process' now, and the copy's work is over.
    Exit,
}

/// An open batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    id: i64,
    prev: i64,
    cur: i64,
}

impl Batch {
    /// The last tick of the batch.
    pub(super) fn end(self) -> i64 {
        self.cur
    }
}

/// Both processes at work on one pair of databases.
pub(super) struct Original<'a> {
    provider: Session,
    subscriber: Session,
    r: &'a Replication,
    consumer: &'a str,
    /// The copy has found no batch since it began.
    copy_was_idle: bool,
    copy_is_attached: bool,
    /// How many tables were copied.
    pub(super) copies: usize,
}

impl<'a> Original<'a> {
    pub(super) fn new(r: &'a Replication) -> Original<'a> {
        Original {
            provider: r.provider.session(),
            subscriber: r.subscriber.session(),
            r,
            consumer: r.londiste.name(),
            copy_was_idle: false,
            copy_is_attached: false,
            copies: 0,
        }
    }

    fn name(&self, process: Process) -> String {
        match process {
            Process::Main => self.consumer.to_owned(),
            Process::Copy => format!("{}_copy", self.consumer),
        }
    }

    /// A process starts: one that is new to the queue forgets what the subscriber has stored of its position.
    pub(super) fn attaches(&mut self, process: Process) {
        let name = self.name(process);
        if self.provider.value(&format!("select pgq.register_consumer('{QUEUE}', '{name}')")) == "1" {
            self.subscriber.sql(&format!("delete from londiste.completed where consumer_id = '{name}'"));
        }
        if process == Process::Copy {
            self.copy_was_idle = false;
            self.copy_is_attached = true;
        }
    }

    /// Opens the next batch, or the one that is open.
    pub(super) fn opens(&mut self, process: Process) -> Option<Batch> {
        let name = self.name(process);
        let id = self.provider.value(&format!("select pgq.next_batch('{QUEUE}', '{name}')"));
        if id == "NULL" {
            if process == Process::Copy {
                self.copy_was_idle = true;
            }
            return None;
        }
        let info = self.provider.rows(&format!("select prev_tick_id, tick_id from pgq.get_batch_info({id})")).remove(0);
        let number = |text: &str| text.parse().unwrap();
        Some(Batch { id: number(&id), prev: number(&info[0]), cur: number(&info[1]) })
    }

    /// The table whose state says that it is being copied, with the word and the tick of its state.
    fn table_in_progress(&self) -> Option<(String, String, i64)> {
        let rows = self.subscriber.rows(&format!(
            "select table_name, split_part(merge_state, ':', 1), coalesce(nullif(split_part(merge_state, ':', 2), ''), '0')
               from londiste.subscriber_table where queue_name = '{QUEUE}' and merge_state <> 'ok'"
        ));
        assert!(rows.len() <= 1, "Bad table state: {rows:?}");
        rows.into_iter().next().map(|mut row| {
            let tick = row.pop().unwrap().parse().unwrap();
            let (state, table) = (row.pop().unwrap(), row.pop().unwrap());
            (table, state, tick)
        })
    }

    /// What the main process does before it applies its open batch.
    pub(super) fn main_syncs(&mut self, batch: Batch) -> Sync {
        match self.table_in_progress() {
            None => {
                let next = self.subscriber.column(&format!(
                    "select table_name from londiste.subscriber_table
                      where queue_name = '{QUEUE}' and merge_state is null order by nr limit 1"
                ));
                if let [table] = next.as_slice() {
                    self.store(table, "in-copy");
                    self.copy_is_attached = false;
                }
                Sync::Go
            }
            Some((table, state, tick)) => match state.as_str() {
                "wanna-sync" if batch.cur >= tick => {
                    self.store(&table, &format!("do-sync:{}", batch.cur));
                    Sync::Wait
                }
                "do-sync" => Sync::Wait,
                "in-copy" | "catching-up" | "wanna-sync" => Sync::Go,
                _ => panic!("Bad table state: {state}"),
            },
        }
    }

    /// What the copy does before it applies its open batch.
    pub(super) fn copy_syncs(&mut self, batch: Batch) -> Sync {
        let Some((table, state, tick)) = self.table_in_progress() else { return Sync::Exit };
        match state.as_str() {
            "in-copy" => {
                self.copies(&table);
                Sync::Go
            }
            "catching-up" if self.copy_was_idle => {
                self.store(&table, &format!("wanna-sync:{}", batch.cur));
                Sync::Wait
            }
            "catching-up" => Sync::Go,
            "wanna-sync" => Sync::Wait,
            "do-sync" if batch.cur == tick => {
                self.store(&table, "ok");
                Sync::Exit
            }
            "do-sync" if batch.cur < tick => Sync::Go,
            "do-sync" => panic!("Invalid table state: cur_tick={} sync_tick={tick}", batch.cur),
            _ => panic!("Bad table state: {state}"),
        }
    }

    fn store(&self, table: &str, state: &str) {
        self.subscriber.sql(&format!(
            "update londiste.subscriber_table set merge_state = '{state}'
              where queue_name = '{QUEUE}' and table_name = '{table}'"
        ));
    }

    /// The rows of one snapshot; the state is stored with them.
    fn copies(&mut self, table: &str) {
        self.provider.sql("begin isolation level repeatable read");
        let snapshot = self.provider.value("select txid_current_snapshot()");
        let rows = self.provider.value(&format!("select coalesce(json_agg(t), '[]') from {table} t"));
        self.provider.sql("commit");
        self.subscriber.sql(&format!(
            "begin; truncate {table};
             insert into {table} select * from json_populate_recordset(null::{table}, $rows${rows}$rows$);
             update londiste.subscriber_table set merge_state = 'catching-up', snapshot = '{snapshot}'
              where queue_name = '{QUEUE}' and table_name = '{table}';
             commit"
        ));
        self.copies += 1;
    }

    /// Applies the events of the batch and stores its last tick, in one transaction; nothing when that was done before.
    pub(super) fn applies(&self, process: Process, batch: Batch) {
        let name = self.name(process);
        let stored = self.subscriber.value(&format!("select coalesce(londiste.get_last_tick('{name}'), -1)"));
        let stored: i64 = stored.parse().unwrap();
        if stored == batch.cur {
            return;
        }
        assert!(stored == -1 || stored == batch.prev, "Lost position: {batch:?}, dst has {stored} ({name})");
        let wanted = match process {
            Process::Main => "merge_state = 'ok'",
            Process::Copy => "merge_state <> 'ok'",
        };
        let tables = self.subscriber.rows(&format!(
            "select quote_literal(table_name), coalesce(quote_literal(snapshot), 'null')
               from londiste.subscriber_table where queue_name = '{QUEUE}' and {wanted}"
        ));
        let list =
            tables.iter().map(|row| format!("({}, {}::txid_snapshot)", row[0], row[1])).collect::<Vec<_>>().join(", ");
        let events = match list.as_str() {
            "" => Vec::new(),
            list => self.provider.rows(&format!(
                "select ev_type, ev_extra1, ev_data
                   from pgq.get_batch_events({}) e join (values {list}) t(name, snapshot) on t.name = e.ev_extra1
                  where t.snapshot is null or not txid_visible_in_snapshot(e.ev_txid, t.snapshot)
                  order by ev_id",
                batch.id
            )),
        };
        self.subscriber.sql("begin");
        for event in &events {
            let [kind, table, data] = event.as_slice() else { unreachable!() };
            self.subscriber.sql(&match kind.as_str() {
                "I" => format!("insert into {table} {data}"),
                "U" => format!("update only {table} set {data}"),
                "D" => format!("delete from only {table} where {data}"),
                _ => panic!("{event:?}"),
            });
        }
        self.subscriber.sql(&format!(
            "insert into londiste.completed values ('{name}', {cur})
                on conflict (consumer_id) do update set last_tick_id = {cur};
             commit",
            cur = batch.cur
        ));
    }

    pub(super) fn finishes(&self, batch: Batch) {
        self.provider.sql(&format!("select pgq.finish_batch({})", batch.id));
    }

    /// The copy's work is over: nothing of it is left.
    pub(super) fn detaches_copy(&mut self) {
        let name = self.name(Process::Copy);
        self.provider.sql(&format!("select pgq.unregister_consumer('{QUEUE}', '{name}')"));
        self.subscriber.sql(&format!("delete from londiste.completed where consumer_id = '{name}'"));
        self.copy_is_attached = false;
    }

    /// One batch of the main process. Returns whether there was anything to do.
    pub(super) fn main_works(&mut self) -> bool {
        let Some(batch) = self.opens(Process::Main) else { return false };
        if self.main_syncs(batch) == Sync::Wait {
            return false;
        }
        self.applies(Process::Main, batch);
        self.finishes(batch);
        true
    }

    /// One batch of the copy. Returns whether there was anything to do.
    pub(super) fn copy_works(&mut self) -> bool {
        if self.table_in_progress().is_none() {
            return false;
        }
        if !self.copy_is_attached {
            self.attaches(Process::Copy);
        }
        let Some(batch) = self.opens(Process::Copy) else { return false };
        match self.copy_syncs(batch) {
            Sync::Wait => false,
            Sync::Exit => {
                self.detaches_copy();
                true
            }
            Sync::Go => {
                self.applies(Process::Copy, batch);
                self.finishes(batch);
                true
            }
        }
    }

    /// Both processes work, with new ticks, until every table is `ok` and the main process has applied this tick.
    pub(super) fn works_until_ok_at(&mut self, tick: i64) {
        wait_until("the original has brought every table in sync", || {
            while self.copy_works() | self.main_works() {}
            let states = self.subscriber.rows(&format!(
                "select table_name, coalesce(merge_state, '-') from londiste.subscriber_table
                  where queue_name = '{QUEUE}' and merge_state is distinct from 'ok'"
            ));
            let last = self.subscriber.value(&format!("select londiste.get_last_tick('{}')", self.consumer));
            let there = last.parse::<i64>().is_ok_and(|last| last >= tick);
            if states.is_empty() && there {
                return Ok(());
            }
            self::tick(&self.r.provider);
            Err(format!("{states:?}, at {last} of {tick}"))
        });
    }
}

/// Returns the first tick that shows what is committed now; makes it, unless a ticker does.
pub(super) fn tick(provider: &Database) -> i64 {
    let session = provider.session();
    let now = session.value("select txid_current()");
    wait_until("there is a tick", || {
        session.sql(&format!("select pgq.force_tick('{QUEUE}')"));
        session.sql(&format!("select pgq.ticker('{QUEUE}')"));
        let tick = session.value(&format!(
            "select min(tick_id) from pgq.tick join pgq.queue on queue_id = tick_queue
              where queue_name = '{QUEUE}' and txid_visible_in_snapshot({now}, tick_snapshot)"
        ));
        tick.parse().map_err(|_| tick)
    })
}
