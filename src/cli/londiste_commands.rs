//! The commands of the replication program.

use std::time::Duration;

use super::failure::Failure;
use super::options::Options;
use super::spec::{Args, Command, DOCTOR, HEALTH, Kind, Spec, Suffix};
use crate::londiste::{
    Command as Londiste, Compare, CopyMode, Lag, Problems, Provider, Repair, Selection, Shown, Subscriber, Tables,
    Truncate,
};
use crate::switchover::{self, Action, Direction, Hooks, Verify};

use crate::up::{Doing, SchemaCopy, Up};

const SETUP: Suffix = Suffix::Text(".setup");

/// What most commands have in common.
const fn setup(words: &'static str, args: &'static str, about: &'static str, build: Build) -> Spec {
    Spec { words, args, about, options: &[], pidfile: SETUP, kind: Kind::Setup, build }
}

/// A command that changes nothing.
const fn show(words: &'static str, args: &'static str, about: &'static str, build: Build) -> Spec {
    Spec { options: &["json"], pidfile: Suffix::None, ..setup(words, args, about, build) }
}

type Build = fn(&mut Args, &Options) -> Result<Command, Failure>;

/// `--rewind`, which stands in place of a command.
pub(super) static REWIND: Spec = Spec {
    words: "--rewind",
    args: "",
    about: "move the consumer on the provider to where the subscriber stands",
    options: &["rewind", "reset"],
    pidfile: Suffix::Text(""),
    kind: Kind::Step,
    build: |_, _| Ok(Command::Londiste(Londiste::Rewind)),
};

/// `--reset`, which stands in place of a command.
pub(super) static RESET: Spec = Spec {
    words: "--reset",
    about: "forget where the subscriber stands",
    build: |_, _| Ok(Command::Londiste(Londiste::Reset)),
    ..REWIND
};

pub(super) static SPECS: [Spec; 37] = [
    Spec {
        options: &["exclude", "no-owner", "plan", "provider", "queue", "schema", "subscriber"],
        pidfile: Suffix::None,
        kind: Kind::Job,
        ..setup("up", "", "set replication up and replay, until stopped; can be repeated", |args, options| {
            if options.provider.is_some() != options.subscriber.is_some() {
                return Err(args.wrong("--provider and --subscriber go together"));
            }
            if options.plan && options.daemon {
                return Err(args.wrong("--plan and --daemon cannot be used together"));
            }
            Ok(Command::Up(Up {
                doing: doing(options),
                schema: match (options.schema, options.no_owner) {
                    (false, _) => SchemaCopy::No,
                    (true, false) => SchemaCopy::WithOwners,
                    (true, true) => SchemaCopy::WithoutOwners,
                },
                exclude: options.exclude.clone(),
            }))
        })
    },
    Spec {
        options: &["plan"],
        ..setup("down", "", "stop replay and take away what \"up\" has made; rows stay", |_, options| {
            Ok(Command::Down(doing(options)))
        })
    },
    Spec {
        pidfile: Suffix::Text(""),
        kind: Kind::Job,
        ..setup("replay", "", "apply events to the subscriber, until stopped", |_, _| Ok(Command::Replay))
    },
    setup("provider install", "", "install schemas pgq and londiste, create the queue", |_, _| {
        provider(Provider::Install)
    }),
    Spec {
        options: &["all", "capture", "key", "no-truncate"],
        ..setup("provider add", "TBL ...", "add tables to the queue", |args, options| {
            let key = options.key.as_deref().map(|key| key.split(',').map(|column| column.trim().to_owned()).collect());
            let truncate = if options.no_truncate { Truncate::Nothing } else { Truncate::Event };
            provider(Provider::Add { tables: selection(args, options), capture: options.capture, key, truncate })
        })
    },
    Spec {
        options: &["all"],
        ..setup("provider remove", "TBL ...", "remove tables from the queue", |args, options| {
            provider(Provider::Remove(selection(args, options)))
        })
    },
    show("provider tables", "", "list the tables of the queue; -v: and how they are captured", |_, options| {
        provider(Provider::Tables { verbose: options.verbose })
    }),
    Spec {
        options: &["all", "capture"],
        ..setup(
            "provider refresh",
            "TBL ...",
            "renew the triggers of tables whose columns have changed",
            |args, options| provider(Provider::Refresh { tables: selection(args, options), capture: options.capture }),
        )
    },
    Spec {
        options: &["all"],
        ..setup("provider add-seq", "SEQ ...", "add sequences to the queue", |args, options| {
            provider(Provider::AddSeq(selection(args, options)))
        })
    },
    Spec {
        options: &["all"],
        ..setup("provider remove-seq", "SEQ ...", "remove sequences from the queue", |args, options| {
            provider(Provider::RemoveSeq(selection(args, options)))
        })
    },
    show("provider seqs", "", "list the sequences of the queue", |_, _| provider(Provider::Seqs)),
    setup("subscriber install", "", "install schema londiste", |_, _| subscriber(Subscriber::Install)),
    Spec {
        options: &["all", "expect-sync", "force", "skip-truncate"],
        ..setup(
            "subscriber add",
            "TBL ...",
            "subscribe to tables: they are copied and kept up to date",
            |args, options| {
                let mode = match (options.expect_sync, options.skip_truncate) {
                    (true, true) => CopyMode::Contradiction,
                    (true, false) => CopyMode::ExpectSync,
                    (false, true) => CopyMode::SkipTruncate,
                    (false, false) => CopyMode::Copy,
                };
                let problems = if options.force { Problems::Ignore } else { Problems::LeaveOut };
                subscriber(Subscriber::Add { tables: selection(args, options), problems, mode })
            },
        )
    },
    Spec {
        options: &["all"],
        ..setup("subscriber remove", "TBL ...", "unsubscribe from tables", |args, options| {
            subscriber(Subscriber::Remove(selection(args, options)))
        })
    },
    Spec {
        options: &["all"],
        ..setup("subscriber add-seq", "SEQ ...", "subscribe to sequences", |args, options| {
            subscriber(Subscriber::AddSeq(selection(args, options)))
        })
    },
    Spec {
        options: &["all"],
        ..setup("subscriber remove-seq", "SEQ ...", "unsubscribe from sequences", |args, options| {
            subscriber(Subscriber::RemoveSeq(selection(args, options)))
        })
    },
    Spec {
        options: &["json", "progress"],
        ..show("subscriber tables", "", "list subscribed tables with their states", |_, options| {
            subscriber(Subscriber::Tables { progress: options.progress })
        })
    },
    show("subscriber seqs", "", "list subscribed sequences", |_, _| subscriber(Subscriber::Seqs)),
    show("subscriber missing", "", "list what the provider has and is not subscribed", |_, _| {
        subscriber(Subscriber::Missing)
    }),
    show("subscriber check", "", "compare the structure of tables on both sides", |_, _| subscriber(Subscriber::Check)),
    Spec {
        options: &["all"],
        ..setup("subscriber resync", "TBL ...", "copy tables again", |args, options| {
            subscriber(Subscriber::Resync(selection(args, options)))
        })
    },
    show("subscriber fkeys", "[pending|active]", "show foreign keys of subscribed tables", |args, _| {
        let shown = shown(args)?;
        subscriber(Subscriber::Fkeys(shown))
    }),
    show("subscriber triggers", "[pending|active]", "show triggers of subscribed tables", |args, _| {
        let shown = shown(args)?;
        subscriber(Subscriber::Triggers(shown))
    }),
    setup("subscriber restore-triggers", "TBL [TGNAME ...]", "create triggers again that wait for it", |args, _| {
        subscriber(Subscriber::RestoreTriggers { table: args.one("a table name")?, triggers: args.rest() })
    }),
    setup("subscriber register", "", "register the consumer on the provider's queue", |_, _| {
        subscriber(Subscriber::Register)
    }),
    setup("subscriber unregister", "", "unregister the consumer from the provider's queue", |_, _| {
        subscriber(Subscriber::Unregister)
    }),
    Spec {
        options: &["timeout"],
        pidfile: Suffix::None,
        ..setup("subscriber wait-sync", "[TBL ...]", "wait until tables are in sync", |args, options| {
            subscriber(Subscriber::WaitSync { tables: args.rest(), timeout: options.timeout })
        })
    },
    Spec {
        options: &["json", "tables", "watch"],
        ..show("subscriber status", "", "show lag and its causes, rate, states and the last error", |_, options| {
            subscriber(Subscriber::Status { tables: options.tables })
        })
    },
    Spec {
        options: &["provider", "timeout"],
        ..setup(
            "subscriber follow",
            "",
            "go over to the provider that a switchover has led to, without a copy",
            |args, options| {
                let Some(provider) = &options.provider else { return Err(args.wrong("it needs --provider DSN")) };
                let timeout = Duration::from_secs(options.timeout.unwrap_or(30).into());
                Ok(Command::Follow(provider.clone(), timeout))
            },
        )
    },
    setup("subscriber skip-event", "ID", "leave out one event that cannot be applied", |args, _| {
        let id = args.one("an event id")?;
        let id = id.parse().map_err(|_| args.wrong(&format!("\"{id}\" is no event id")))?;
        subscriber(Subscriber::SkipEvent(id))
    }),
    Spec {
        options: &["checksum", "exact", "force", "jobs", "json", "online"],
        ..comparison("compare", "compare the contents of tables on both sides", |args, options| {
            Ok(Command::Londiste(Londiste::Compare(Compare {
                tables: tables(args, options),
                checksum: options.checksum,
                online: options.online,
                jobs: options.jobs.unwrap_or(JOBS),
                exact: options.exact,
            })))
        })
    },
    Spec {
        options: &["apply", "dry-run", "force", "jobs", "json", "online", "output-dir"],
        ..comparison("repair", "write, or execute, what makes the subscriber's tables equal", |args, options| {
            Ok(Command::Londiste(Londiste::Repair(Repair {
                tables: tables(args, options),
                apply: options.apply,
                dry_run: options.dry_run,
                online: options.online,
                jobs: options.jobs.unwrap_or(JOBS),
                output_dir: options.output_dir.clone(),
            })))
        })
    },
    Spec {
        pidfile: Suffix::Text(".copy"),
        kind: Kind::Job,
        ..setup("copy", "", "only copy tables, and end when nothing is left to copy", |_, _| {
            Ok(Command::Londiste(Londiste::Copy))
        })
    },
    Spec { about: "let writers go over to the subscriber; finish: give up the way back", ..going_over("switchover") },
    Spec { about: "let writers go back to the provider", ..going_over("switchback") },
    DOCTOR,
    HEALTH,
];

fn doing(options: &Options) -> Doing {
    if options.plan { Doing::Planned } else { Doing::Done }
}

/// `switchover` and `switchback`.
const fn going_over(words: &'static str) -> Spec {
    Spec {
        options: &[
            "before-fence",
            "fence",
            "json",
            "max-lag",
            "on-open",
            "on-undo",
            "plan",
            "rehearse",
            "seq-gap",
            "timeout",
            "verify",
        ],
        pidfile: Suffix::Text(".switchover"),
        kind: Kind::Step,
        ..setup(words, "[status|finish]", "", |args, options| {
            let direction = match args.first_word() {
                "switchback" => Direction::Back,
                _ => Direction::There,
            };
            let action = match (args.maybe().as_deref(), options.plan, options.rehearse) {
                (None, false, false) => Action::Run,
                (None, true, _) => Action::Plan,
                (None, _, true) => Action::Rehearse,
                (Some("status"), false, false) => Action::Status,
                (Some("finish"), false, false) => Action::Finish,
                (Some(word), ..) => return Err(args.wrong(&format!("\"{word}\" cannot be used so"))),
            };
            let seconds = |given: Option<u32>, default: u32| Duration::from_secs(given.unwrap_or(default).into());
            Ok(Command::Switchover(switchover::Command {
                direction,
                action,
                timeout: seconds(options.timeout, 30),
                max_lag: seconds(options.max_lag, 10),
                verify: options.verify.unwrap_or(Verify::None),
                seq_gap: options.seq_gap.unwrap_or(0),
                fences_all: options.fence.as_deref() != Some("set"),
                hooks: Hooks {
                    before_fence: options.before_fence.clone(),
                    on_open: options.on_open.clone(),
                    on_undo: options.on_undo.clone(),
                },
            }))
        })
    }
}

/// How many ranges are hashed at a time where `--jobs` does not say.
const JOBS: u32 = 2;

const fn comparison(words: &'static str, about: &'static str, build: Build) -> Spec {
    Spec { pidfile: Suffix::Text(".repair"), kind: Kind::Step, ..setup(words, "[TBL ...]", about, build) }
}

#[expect(clippy::unnecessary_wraps, reason = "the form of Spec::build")]
fn provider(command: Provider) -> Result<Command, Failure> {
    Ok(Command::Londiste(Londiste::Provider(command)))
}

#[expect(clippy::unnecessary_wraps, reason = "the form of Spec::build")]
fn subscriber(command: Subscriber) -> Result<Command, Failure> {
    Ok(Command::Londiste(Londiste::Subscriber(command)))
}

fn selection(args: &mut Args, options: &Options) -> Selection {
    Selection { names: args.rest(), all: options.all }
}

fn tables(args: &mut Args, options: &Options) -> Tables {
    let lag = if options.force { Lag::WaitedFor } else { Lag::Limited };
    Tables { names: args.rest(), lag }
}

fn shown(args: &mut Args) -> Result<Vec<Shown>, Failure> {
    let words = args.rest();
    if words.is_empty() {
        return Ok(vec![Shown::Pending, Shown::Active]);
    }
    let shown = |word: &String| match word.as_str() {
        "pending" => Ok(Shown::Pending),
        "active" => Ok(Shown::Active),
        other => Err(args.wrong(&format!("\"{other}\" is neither pending nor active"))),
    };
    words.iter().map(shown).collect()
}
