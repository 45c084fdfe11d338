//! What a trial tries: a value of each axis, and steps with a value of each of their axes.

use crate::support::statements::Dice;
use crate::support::types::Wrap;

/// How a table is captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capture {
    /// By generated functions: level and format of events.
    Generated(&'static str, &'static str),
    /// By a trigger function of PgQ.
    Generic(&'static str),
}

impl Capture {
    /// Whether events of this kind can say that a key changes.
    pub fn moves_keys(self) -> bool {
        matches!(self, Capture::Generated(_, "sql") | Capture::Generic("sqltriga" | "logtriga"))
    }
}

/// What the table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plain,
    Partitioned,
    Inherited,
    /// With triggers that write to it and to another captured table.
    Triggers,
    Rules,
    /// Referenced by another table, with cascades and deferrable.
    Referenced,
    /// With generated and identity columns.
    Generated,
    /// Whose key has a column of one of the types.
    TypedKey,
    /// Whose key is a unique index.
    UniqueKey,
    Unlogged,
    /// With row security, and a writer who has no other rights.
    Guarded,
}

impl Kind {
    pub const ALL: [Kind; 11] = [
        Kind::Plain,
        Kind::Partitioned,
        Kind::Inherited,
        Kind::Triggers,
        Kind::Rules,
        Kind::Referenced,
        Kind::Generated,
        Kind::TypedKey,
        Kind::UniqueKey,
        Kind::Unlogged,
        Kind::Guarded,
    ];
}

pub const ISOLATIONS: [&str; 3] = ["read committed", "repeatable read", "serializable"];

/// What is around the statements of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nothing: each is a transaction.
    Alone,
    Transaction,
    /// The transaction has read the table before.
    AfterReading,
    Savepoint,
    /// Undone by a savepoint, and done again.
    Again,
    /// Undone by an exception of PL/pgSQL, and done again.
    Exception,
    Rollback,
}

impl Shape {
    pub const ALL: [Shape; 7] = [
        Shape::Alone,
        Shape::Transaction,
        Shape::AfterReading,
        Shape::Savepoint,
        Shape::Again,
        Shape::Exception,
        Shape::Rollback,
    ];
}

/// The statements of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Statement {
    InsertValues,
    InsertMany,
    InsertSelect,
    InsertDefault,
    InsertReturning,
    UpsertNothing,
    UpsertUpdate,
    UpdateSame,
    UpdateOne,
    ToNull,
    FromNull,
    UpdateKey,
    UpdateFrom,
    UpdateCurrent,
    Delete,
    DeleteUsing,
    Merge,
    MergeReturning,
    CopyText,
    CopyBinary,
    Truncate,
    TruncateBoth,
    CteBoth,
    CteUpdate,
    View,
    Function,
    Block,
    Prepared,
    ManyRows,
    Move,
    Child,
    SilentRole,
    Refused,
    Deferred,
    OddColumns,
}

impl Statement {
    pub const ALL: [Statement; 35] = [
        Statement::InsertValues,
        Statement::InsertMany,
        Statement::InsertSelect,
        Statement::InsertDefault,
        Statement::InsertReturning,
        Statement::UpsertNothing,
        Statement::UpsertUpdate,
        Statement::UpdateSame,
        Statement::UpdateOne,
        Statement::ToNull,
        Statement::FromNull,
        Statement::UpdateKey,
        Statement::UpdateFrom,
        Statement::UpdateCurrent,
        Statement::Delete,
        Statement::DeleteUsing,
        Statement::Merge,
        Statement::MergeReturning,
        Statement::CopyText,
        Statement::CopyBinary,
        Statement::Truncate,
        Statement::TruncateBoth,
        Statement::CteBoth,
        Statement::CteUpdate,
        Statement::View,
        Statement::Function,
        Statement::Block,
        Statement::Prepared,
        Statement::ManyRows,
        Statement::Move,
        Statement::Child,
        Statement::SilentRole,
        Statement::Refused,
        Statement::Deferred,
        Statement::OddColumns,
    ];
}

/// DDL of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    AddColumn,
    AddDomainColumn,
    DropColumn,
    RenameColumn,
    NumberType,
    ColumnToText,
    DomainCheck,
    DomainNotNull,
    DomainNullable,
    DomainDefault,
    EnumValue,
    Attribute,
    ReplicaIdentity,
    RenameTable,
    Check,
    Index,
    Options,
    Rewrite,
    Partition,
    UserTrigger,
    KeyAgain,
    Maintain,
}

impl Change {
    pub const ALL: [Change; 22] = [
        Change::AddColumn,
        Change::AddDomainColumn,
        Change::DropColumn,
        Change::RenameColumn,
        Change::NumberType,
        Change::ColumnToText,
        Change::DomainCheck,
        Change::DomainNotNull,
        Change::DomainNullable,
        Change::DomainDefault,
        Change::EnumValue,
        Change::Attribute,
        Change::ReplicaIdentity,
        Change::RenameTable,
        Change::Check,
        Change::Index,
        Change::Options,
        Change::Rewrite,
        Change::Partition,
        Change::UserTrigger,
        Change::KeyAgain,
        Change::Maintain,
    ];
}

/// Who runs the DDL, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Another session, before the step.
    Before,
    /// Another session, after the step's transaction has taken its first snapshot.
    UnderSnapshot,
    /// The writer, in the step's transaction before its statements.
    Inside,
    /// The writer, in the step's transaction between its statements and the same once more.
    Between,
}

impl Place {
    pub const ALL: [Place; 4] = [Place::Before, Place::UnderSnapshot, Place::Inside, Place::Between];
}

/// Settings of the writer's session, beside the search_path.
pub const SETTINGS: [&str; 8] = [
    "set plan_cache_mode = force_generic_plan",
    "set datestyle = 'SQL, DMY'; set timezone = 'Asia/Kolkata'; set extra_float_digits = -15",
    "set datestyle = 'German'; set timezone = 'America/New_York'; set intervalstyle = 'sql_standard'",
    "set bytea_output = 'escape'; set intervalstyle = 'iso_8601'; set plan_cache_mode = force_custom_plan",
    "set datestyle = 'Postgres, MDY'; set intervalstyle = 'postgres_verbose'; set xmlbinary = hex; set xmloption = document",
    "set escape_string_warning = off; set quote_all_identifiers = on; set lc_numeric = 'C'; set lc_monetary = 'C.UTF-8'",
    "set array_nulls = off; set jit = off; set enable_nestloop = off",
    "set standard_conforming_strings = on; set jit = off; set plpgsql.variable_conflict = use_variable",
];

/// Where the writer's session looks names up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    Usual,
    /// Functions and operators that fail come before those of the server.
    Traps,
}

/// Whether the database has event triggers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventTriggers {
    None,
    Unqualified,
}

#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub statement: Statement,
    pub isolation: &'static str,
    pub shape: Shape,
    pub change: Option<(Change, Place)>,
}

#[derive(Debug)]
pub struct Plan {
    /// Of the details.
    pub seed: u64,
    pub capture: Capture,
    pub kind: Kind,
    pub settings: &'static str,
    pub path: Path,
    pub event_triggers: EventTriggers,
    /// Which of all pairs of a type and what is made of it the table has columns of.
    pub columns: Columns,
    pub steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug)]
pub enum Columns {
    /// The share of a cover's trial.
    Share(usize),
    /// So many, by the seed.
    Random(usize),
}

/// The number of trials in a cover.
pub const COVER: usize = 36;

/// The number of steps of each of them.
const STEPS: usize = 8;

/// The capture and the kind of each trial of a cover.
pub fn cover() -> Vec<(Capture, Kind)> {
    let sql = ["statement", "row"]
        .into_iter()
        .flat_map(|level| Kind::ALL.into_iter().map(move |kind| (Capture::Generated(level, "sql"), kind)));
    let others = [
        (Capture::Generated("statement", "urlenc"), Kind::Plain),
        (Capture::Generated("statement", "urlenc"), Kind::Generated),
        (Capture::Generated("statement", "urlenc"), Kind::Triggers),
        (Capture::Generated("row", "urlenc"), Kind::UniqueKey),
        (Capture::Generated("row", "urlenc"), Kind::Partitioned),
        (Capture::Generated("statement", "json"), Kind::Plain),
        (Capture::Generated("statement", "json"), Kind::TypedKey),
        (Capture::Generated("statement", "json"), Kind::Referenced),
        (Capture::Generated("row", "json"), Kind::Inherited),
        (Capture::Generated("row", "json"), Kind::Guarded),
        (Capture::Generic("sqltriga"), Kind::Plain),
        (Capture::Generic("logutriga"), Kind::Plain),
        (Capture::Generic("jsontriga"), Kind::Generated),
        (Capture::Generic("logtriga"), Kind::Plain),
    ];
    sql.chain(others).collect()
}

impl Plan {
    /// The plan of a cover's trial: its place decides each axis, so that all plans together have every pair of
    /// values that a test of this module's parent counts.
    pub fn of_cover(nr: usize) -> Plan {
        let (capture, kind) = cover()[nr];
        let (statements, changes) = (Statement::ALL.len(), Change::ALL.len());
        let steps = (nr * STEPS..(nr + 1) * STEPS)
            .map(|step| {
                // Each round goes through all statements, and gives each of them another shape.
                let (statement, round) = ((step * 13 + 7) % statements, step / statements);
                let has_change = step % 2 == 1;
                Step {
                    statement: Statement::ALL[statement],
                    isolation: ISOLATIONS[step % ISOLATIONS.len()],
                    shape: Shape::ALL[(statement + round) % Shape::ALL.len()],
                    change: has_change.then(|| {
                        // The same of changes and places. The levels of capture do not have the same changes of a kind of table.
                        let (change, round) = (step / 2 * 7 + nr / Kind::ALL.len() * 5, step / 2 / changes);
                        let change = change % changes;
                        (Change::ALL[change], Place::ALL[(change + round) % Place::ALL.len()])
                    }),
                }
            })
            .collect();
        Plan {
            seed: nr as u64,
            capture,
            kind,
            settings: SETTINGS[nr % SETTINGS.len()],
            path: if nr % 3 == 1 { Path::Traps } else { Path::Usual },
            event_triggers: if nr % 2 == 1 { EventTriggers::Unqualified } else { EventTriggers::None },
            columns: Columns::Share(nr),
            steps,
        }
    }

    /// A plan with everything by chance, but the capture.
    pub fn random(seed: u64, captures: &[(Capture, Kind)]) -> Plan {
        let mut dice = Dice::new(seed);
        let mut pick = |count: usize| usize::try_from(dice.below(count as u64)).unwrap();
        let (capture, mut kind) = captures[pick(captures.len())];
        if matches!(capture, Capture::Generated(..)) {
            kind = Kind::ALL[pick(Kind::ALL.len())];
        }
        let steps = (0..30)
            .map(|_| Step {
                statement: Statement::ALL[pick(Statement::ALL.len())],
                isolation: ISOLATIONS[pick(3)],
                shape: Shape::ALL[pick(Shape::ALL.len())],
                change: (pick(2) == 0).then(|| (Change::ALL[pick(Change::ALL.len())], Place::ALL[pick(4)])),
            })
            .collect();
        Plan {
            seed,
            capture,
            kind,
            settings: SETTINGS[pick(SETTINGS.len())],
            path: [Path::Usual, Path::Traps][pick(2)],
            event_triggers: [EventTriggers::None, EventTriggers::Unqualified][pick(2)],
            columns: Columns::Random(1 + pick(24)),
            steps,
        }
    }
}

impl Columns {
    /// The chosen pairs of the number of a type and what is made of it. All shares of a cover together are all pairs.
    pub fn pairs(self, types: usize, seed: u64) -> Vec<(usize, Wrap)> {
        let mut all: Vec<(usize, Wrap)> =
            (0..types).flat_map(|base| Wrap::ALL.into_iter().map(move |wrap| (base, wrap))).collect();
        match self {
            Columns::Share(trial) => {
                all.retain(|(base, wrap)| (base * 7 + *wrap as usize * 3) % COVER == trial);
            }
            Columns::Random(count) => {
                let mut dice = Dice::new(seed ^ 0x5eed);
                all = (0..count).map(|_| all[usize::try_from(dice.below(all.len() as u64)).unwrap()]).collect();
            }
        }
        all
    }
}
