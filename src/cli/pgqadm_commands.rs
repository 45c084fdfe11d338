//! The commands of the ticker program.

use super::failure::Failure;
use super::options::Options;
use super::spec::{Args, Command, DOCTOR, HEALTH, Kind, Spec, Suffix};
use crate::pgqadm::{Command as Pgqadm, Consumers, FailedAction, Right};

const ADMIN: Suffix = Suffix::Text(".admin");

pub(super) static SPECS: [Spec; 15] = [
    Spec {
        words: "ticker",
        args: "",
        about: "make ticks and do the maintenance, until stopped",
        options: &[],
        pidfile: Suffix::Text(""),
        kind: Kind::Job,
        build: |_, _| Ok(Command::Pgqadm(Pgqadm::Ticker)),
    },
    Spec {
        words: "status",
        args: "",
        about: "show queues and consumers with their lag",
        options: &["json"],
        pidfile: Suffix::None,
        kind: Kind::Setup,
        build: |_, _| Ok(Command::Pgqadm(Pgqadm::Status)),
    },
    Spec {
        words: "install",
        args: "",
        about: "install schema pgq into the database",
        options: &[],
        pidfile: ADMIN,
        kind: Kind::Step,
        build: |_, _| Ok(Command::Pgqadm(Pgqadm::Install)),
    },
    Spec {
        words: "create",
        args: "QNAME",
        about: "create a queue",
        options: &[],
        pidfile: ADMIN,
        kind: Kind::Step,
        build: |args, _| Ok(Command::Pgqadm(Pgqadm::Create { queue: queue(args)? })),
    },
    Spec {
        words: "drop",
        args: "QNAME",
        about: "drop a queue; with --force also one that has consumers",
        options: &["force"],
        pidfile: ADMIN,
        kind: Kind::Step,
        build: |args, options| {
            let consumers = if options.force { Consumers::Unregister } else { Consumers::Refuse };
            Ok(Command::Pgqadm(Pgqadm::Drop { queue: queue(args)?, consumers }))
        },
    },
    Spec {
        words: "register",
        args: "QNAME CONS",
        about: "register a consumer on a queue",
        options: &[],
        pidfile: ADMIN,
        kind: Kind::Step,
        build: |args, _| Ok(Command::Pgqadm(Pgqadm::Register { queue: queue(args)?, consumer: consumer(args)? })),
    },
    Spec {
        words: "unregister",
        args: "QNAME CONS",
        about: "unregister a consumer from a queue",
        options: &[],
        pidfile: ADMIN,
        kind: Kind::Step,
        build: |args, _| Ok(Command::Pgqadm(Pgqadm::Unregister { queue: queue(args)?, consumer: consumer(args)? })),
    },
    Spec {
        words: "grant",
        args: "ROLE reader|writer|admin",
        about: "let a role consume, insert events, or administer queues",
        options: &[],
        pidfile: ADMIN,
        kind: Kind::Step,
        build: |args, _| Ok(Command::Pgqadm(Pgqadm::Grant { role: role(args)?, right: right(args)? })),
    },
    Spec {
        words: "revoke",
        args: "ROLE reader|writer|admin",
        about: "take a right back from a role, or from \"public\"",
        options: &[],
        pidfile: ADMIN,
        kind: Kind::Step,
        build: |args, _| Ok(Command::Pgqadm(Pgqadm::Revoke { role: role(args)?, right: right(args)? })),
    },
    Spec {
        words: "config",
        args: "[QNAME [VAR=VAL ...]]",
        about: "show or change the settings of queues",
        options: &["json"],
        pidfile: ADMIN,
        kind: Kind::Step,
        build: |args, _| Ok(Command::Pgqadm(Pgqadm::Config { queue: args.maybe(), changes: args.rest() })),
    },
    Spec {
        words: "rebase",
        args: "QNAME",
        about: "reset a queue that was restored into a younger cluster",
        options: &[],
        pidfile: ADMIN,
        kind: Kind::Step,
        build: |args, _| Ok(Command::Pgqadm(Pgqadm::Rebase { queue: queue(args)? })),
    },
    Spec {
        words: "events",
        args: "QNAME",
        about: "show stored events, or those pending for --consumer",
        options: &["consumer", "json", "limit"],
        pidfile: Suffix::None,
        kind: Kind::Setup,
        build: |args, options| {
            let (consumer, limit) = (options.consumer.clone(), options.limit);
            Ok(Command::Pgqadm(Pgqadm::Events { queue: queue(args)?, consumer, limit }))
        },
    },
    Spec {
        words: "failed",
        args: "QNAME CONS",
        about: "show failed events; --retry or --delete one",
        options: &["delete", "json", "retry"],
        pidfile: ADMIN,
        kind: Kind::Setup,
        build: failed,
    },
    DOCTOR,
    HEALTH,
];

fn queue(args: &mut Args) -> Result<String, Failure> {
    args.one("a queue name")
}

fn consumer(args: &mut Args) -> Result<String, Failure> {
    args.one("a consumer name")
}

fn role(args: &mut Args) -> Result<String, Failure> {
    args.one("a role")
}

fn right(args: &mut Args) -> Result<Right, Failure> {
    let word = args.one("a right")?;
    Right::of_name(&word).ok_or_else(|| args.wrong(&format!("there is no right \"{word}\"")))
}

fn failed(args: &mut Args, options: &Options) -> Result<Command, Failure> {
    let action = match (options.retry, options.delete) {
        (Some(_), Some(_)) => return Err(args.wrong("--retry and --delete cannot be used together")),
        (Some(event), None) => Some(FailedAction::Retry(event)),
        (None, Some(event)) => Some(FailedAction::Delete(event)),
        (None, None) => None,
    };
    Ok(Command::Pgqadm(Pgqadm::Failed { queue: queue(args)?, consumer: consumer(args)?, action }))
}
