//! What the manual pages and `help CMD` say of a command beyond its line in `--help`.

/// The longer description of a command.
#[derive(Debug)]
pub(in crate::cli) struct Details {
    /// The words of the command.
    pub(in crate::cli) words: &'static str,
    /// Paragraphs.
    pub(in crate::cli) text: &'static [&'static str],
    /// Command lines behind the program's name.
    pub(in crate::cli) examples: &'static [&'static str],
}

/// The description of the command, if it needs more than its line.
pub(in crate::cli) fn details(words: &str) -> Option<&'static Details> {
    DETAILS.iter().find(|details| details.words == words)
}

pub(super) const DETAILS: [Details; 39] = [
    Details {
        words: "ticker",
        text: &[
            "Makes ticks in all queues of the database and does their maintenance (rotation of event tables, retry events, renewed triggers) until it is stopped. One ticker for a database is enough; a second one does no harm.",
            "With an INI that has section [pgqd], one process ticks all databases of the server.",
        ],
        examples: &["ticker.ini ticker -d", "ticker.ini ticker -s"],
    },
    Details {
        words: "status",
        text: &[
            "Shows each queue with its settings and lag, and each consumer with its lag and how long ago it was seen.",
        ],
        examples: &["ticker.ini status"],
    },
    Details {
        words: "install",
        text: &[
            "Installs schema pgq into the database of the INI, or brings an older one up to date in place. Needs the right CREATE on the database, no superuser and no extension.",
        ],
        examples: &["ticker.ini install"],
    },
    Details {
        words: "drop",
        text: &["A queue that has consumers is dropped with --force only; they are unregistered then."],
        examples: &["ticker.ini drop myqueue --force"],
    },
    Details {
        words: "grant",
        text: &[
            "reader: register as a consumer and read events; writer: insert events and attach queue triggers; admin: create and drop queues, tick, rotate, and change replication.",
        ],
        examples: &["ticker.ini grant app writer", "ticker.ini revoke public reader"],
    },
    Details {
        words: "config",
        text: &[
            "Without VAR=VAL the settings are shown, of all queues where none is named. An interval is written as for PostgreSQL.",
        ],
        examples: &["ticker.ini config myqueue ticker_max_lag='3 seconds' rotation_period='2 hours'"],
    },
    Details {
        words: "rebase",
        text: &[
            "A database that was restored by pg_dump into another cluster may have transaction ids ahead of those that the cluster gives out, so that its queues get no ticks. This moves the queue to the ids of the cluster; consumers keep their place.",
        ],
        examples: &["ticker.ini rebase myqueue"],
    },
    Details {
        words: "events",
        text: &[
            "Shows events without consuming them: the stored ones, or with --consumer those that this consumer has still to read.",
        ],
        examples: &["ticker.ini events myqueue --consumer replica --limit 20"],
    },
    Details {
        words: "failed",
        text: &[
            "Lists the events that a consumer has put aside. --retry puts one back into the queue, --delete forgets it.",
        ],
        examples: &["ticker.ini failed myqueue worker", "ticker.ini failed myqueue worker --retry 4711"],
    },
    Details {
        words: "doctor",
        text: &[
            "Examines databases, queues and this machine, changes nothing, and says of each finding what mends it. -v lists what is good, too; --nagios prints one line and exits as a plugin of Nagios; --json prints one document.",
            "Exit status: 0 good, 1 warnings, 2 not good, 3 something could not be found out.",
        ],
        examples: &["replica.ini doctor -v"],
    },
    Details {
        words: "health",
        text: &[
            "Tells on one line whether the ticker or replay of the INI works, for the health checks of containers and services. Where the INI sets http_listen, the process is asked there for /health, which says how the last rounds of its loops ended; this needs no database. Else pidfile, sessions and databases tell: whether the process runs and is not stopped, whether the databases can be reached, whether the queues get their ticks, and whether replay applies what is there. Warnings of doctor count as good.",
            "Exit status: 0 good, 2 not good, 3 it could not be found out.",
        ],
        examples: &["replica.ini health"],
    },
    Details {
        words: "up",
        text: &[
            "Does all that is needed from two databases to a replica that follows: looks whether it can work, installs what is missing on both sides, makes queue and consumer, adds all tables and sequences, copies, and replays until it is stopped, with a ticker of its own where no other one is there. Each step says done or already there; killed anywhere, it is called again.",
            "With --provider and --subscriber in place of an INI it writes NAME.ini first. --schema brings the tables to a subscriber that has none, by pg_dump and psql. -d: returns when all tables are in sync, and goes on in the background. --plan: tells the steps and changes nothing.",
            "Exit status: 0 done, 1 done, but some tables cannot be replicated, 2 refused, nothing was changed.",
        ],
        examples: &[
            "up --provider 'host=old dbname=shop' --subscriber 'host=new dbname=shop' --schema -d",
            "shop.ini up --plan",
        ],
    },
    Details {
        words: "down",
        text: &[
            "Stops replay and takes away what up has made, and nothing else: queue, consumer, triggers and schemas. Rows stay.",
        ],
        examples: &["shop.ini down --plan", "shop.ini down"],
    },
    Details {
        words: "replay",
        text: &[
            "Applies the changes of the queue to the subscriber until it is stopped, copies tables that were added, and sets sequences. A batch and the place up to which the subscriber has everything are committed together: whatever is killed, no change is lost or applied twice.",
            "An error of a batch is logged and the batch is tried again after a pause; a batch that one table refuses parks this table and goes on with the others.",
        ],
        examples: &["replica.ini replay -d", "replica.ini replay -r", "replica.ini replay -s"],
    },
    Details {
        words: "provider install",
        text: &[
            "Installs schemas pgq and londiste on the provider, or brings them up to date in place, and creates the queue.",
        ],
        examples: &["replica.ini provider install"],
    },
    Details {
        words: "provider add",
        text: &[
            "Adds tables to the set of the queue and makes the triggers that capture their changes. A name may be a glob (public.log_*); --all takes all tables that can be replicated. A table needs a primary key or a unique index of columns that are not null; --key names columns in its place.",
            "The table is locked for a moment only: a lock that is not had within lock_timeout is given up, and tried again.",
        ],
        examples: &["replica.ini provider add customers orders", "replica.ini provider add --all"],
    },
    Details {
        words: "provider refresh",
        text: &[
            "Makes the triggers of tables anew whose columns have changed. Maintenance of the ticker does so by itself; this is for those who do not want to wait, and for another --capture.",
        ],
        examples: &["replica.ini provider refresh orders", "replica.ini provider refresh orders --capture row"],
    },
    Details {
        words: "provider add-seq",
        text: &["The subscriber's sequence is set to the provider's value with each batch."],
        examples: &["replica.ini provider add-seq --all"],
    },
    Details {
        words: "subscriber install",
        text: &["Installs schema londiste on the subscriber, or brings it up to date in place."],
        examples: &["replica.ini subscriber install"],
    },
    Details {
        words: "subscriber add",
        text: &[
            "Subscribes to tables of the provider's set. Replay copies each of them and keeps it up to date from then on. The table must be there, with the same key and no column that the provider lacks.",
            "--expect-sync: both sides are equal already, nothing is copied. --skip-truncate: copies on top of the rows that are there. --force: adds in spite of differences.",
        ],
        examples: &["replica.ini subscriber add --all", "replica.ini subscriber add orders --expect-sync"],
    },
    Details {
        words: "subscriber remove",
        text: &["Unsubscribes. The rows stay, foreign keys and triggers that were put aside for the copy come back."],
        examples: &["replica.ini subscriber remove orders"],
    },
    Details {
        words: "subscriber tables",
        text: &[
            "Lists subscribed tables with their states: - (not copied), in-copy, catching-up, wanna-sync:N, do-sync:N, ok. --progress shows how far copies are.",
        ],
        examples: &["replica.ini subscriber tables", "replica.ini subscriber tables --progress"],
    },
    Details {
        words: "subscriber check",
        text: &[
            "Compares the structure of the tables on both sides, and tells where a table is ok although what ok rests on is not as it should be. Exit status 1 when it has something to say.",
        ],
        examples: &["replica.ini subscriber check"],
    },
    Details {
        words: "subscriber resync",
        text: &[
            "Copies the tables again, in one transaction each. The old rows stay until it commits; who reads the table meanwhile waits for it.",
        ],
        examples: &["replica.ini subscriber resync orders"],
    },
    Details {
        words: "subscriber fkeys",
        text: &[
            "Foreign keys are dropped for the copy and come back when both tables are in sync. pending: those that have to come back, and what keeps them from it; active: those in place.",
        ],
        examples: &["replica.ini subscriber fkeys pending"],
    },
    Details {
        words: "subscriber restore-triggers",
        text: &["Triggers of a table that were dropped for its copy stay away until this command creates them again."],
        examples: &["replica.ini subscriber restore-triggers orders"],
    },
    Details {
        words: "subscriber register",
        text: &[
            "Registers the consumer at the end of the provider's queue. Replay does so at its start; registered before, no event goes away until it has read it.",
        ],
        examples: &["replica.ini subscriber register"],
    },
    Details {
        words: "subscriber unregister",
        text: &[
            "Unregisters the consumer, so that the provider's queue is not kept for it any more, and forgets its place.",
        ],
        examples: &["replica.ini subscriber unregister"],
    },
    Details {
        words: "subscriber wait-sync",
        text: &[
            "Waits until the tables are ok, all subscribed ones where none is named. Exit status 1 when --timeout is over.",
        ],
        examples: &["replica.ini subscriber wait-sync --timeout 3600"],
    },
    Details {
        words: "subscriber status",
        text: &[
            "Shows how far the subscriber is behind and why, what mends it, the rate of work, the last error, the states of the tables, and up to when the rows were verified.",
        ],
        examples: &["replica.ini subscriber status --watch", "replica.ini subscriber status --json"],
    },
    Details {
        words: "subscriber follow",
        text: &[
            "For the other subscribers of a provider that a switchover has left: waits until this subscriber has just what the new provider had at one of its ticks, moves tables, sequences and position to the new provider's queue, writes the INI anew (the text before stays in NAME.ini.before) and starts replay again. Nothing is copied. Replay has to run, and the old provider has to follow the new one still: before switchover finish.",
        ],
        examples: &["reports.ini subscriber follow --provider 'host=new dbname=shop'"],
    },
    Details {
        words: "subscriber skip-event",
        text: &[
            "Leaves out one event that cannot be applied; the log names its ID. It is kept in schema londiste, so that it can be done by hand.",
        ],
        examples: &["replica.ini subscriber skip-event 4711"],
    },
    Details {
        words: "compare",
        text: &[
            "Compares tables at a moment when both sides must be equal, for which writers of the table wait a moment: by the query compare_sql, or with --checksum row by row, listing the ranges of keys that differ. --online compares row by row without a lock, while writers and replay go on, and names the rows that differ.",
            "Values are equal when they stand for the same, with --exact when their text is. Without names of tables the values of sequences are compared, too.",
            "Exit status: 0 equal, 1 something differs or could not be compared, 3 nothing differs but some rows could not be verified.",
        ],
        examples: &["replica.ini compare --online", "replica.ini compare --checksum orders"],
    },
    Details {
        words: "repair",
        text: &[
            "Finds rows that differ and writes the statements that make the subscriber's equal to the provider's into fix.SCHEMA.TABLE.sql. --apply executes them, --dry-run prints them and writes nothing.",
            "--online needs no lock on the provider: rows are read again while replay stands between two batches, so that no change that is on its way is undone.",
        ],
        examples: &["replica.ini repair --dry-run orders", "replica.ini repair --online --apply"],
    },
    Details {
        words: "switchover",
        text: &[
            "Lets writers go over from the provider to the subscriber: keeps them out of the old side, waits until replay has applied the last change, sets the sequences, and opens the new side, with about a second without writes. From then on the old side follows the new one, until switchback or switchover finish. Replay and a ticker have to run.",
            "--plan: examines whether it can be done and says what is in the way. --rehearse: does all that keeps nobody out, and says how long the block would last. status: where things stand. finish: gives up the way back.",
            "What fails or takes longer than --timeout before the point of no return is undone, and writers go on. A command that was killed is called again: it says where it stands and undoes what was done, or goes on.",
            "Exit status: 0 done, 1 warnings, 2 not good, nothing has changed, 3 something could not be found out.",
        ],
        examples: &[
            "shop.ini switchover --plan",
            "shop.ini switchover --timeout 30 --verify quick",
            "shop.ini switchover status",
        ],
    },
    Details {
        words: "switchback",
        text: &["The same as switchover in the other direction, after a switchover: writers go back to the old side."],
        examples: &["shop.ini switchback --plan", "shop.ini switchback"],
    },
    Details {
        words: "copy",
        text: &[
            "Copies tables, as replay does, and ends when none is left. For a copy on another machine than replay's, or before replay is started.",
        ],
        examples: &["replica.ini copy"],
    },
    Details {
        words: "--rewind",
        text: &[
            "In place of a command, while replay is stopped: moves the provider's consumer to where the subscriber stands, where they differ after a restore or a failover.",
        ],
        examples: &["replica.ini --rewind"],
    },
    Details {
        words: "--reset",
        text: &[
            "In place of a command, while replay is stopped: forgets where the subscriber stands. Its tables are to be copied again then.",
        ],
        examples: &["replica.ini --reset"],
    },
];
