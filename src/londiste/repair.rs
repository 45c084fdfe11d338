//! `repair`: finds the rows that differ at a moment when both sides must be equal, and writes the statements that would
//! make the subscriber's rows those of the provider into `fix.<schema>.<table>.sql`. Executes nothing.
//!
//! Both sides are walked in the order of the key's text, with a cursor each, and merged: neither side is held in memory.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use crate::config;
use crate::error::{Error, Result};
use crate::job::{Control, Output};
use crate::pg::name::{quote_ident, quote_literal};
use crate::pg::{Db, FqName, catalog, text_array};

use super::Comparison;
use super::compare::comparable;
use super::sync_point::SyncPoints;

/// Rows that are fetched at a time.
const FETCH: usize = 1000;

/// One row: key columns first, then the others; values as text.
type Values = Vec<Option<String>>;

/// Writes the fixes of the tables. The output is failed when a table could not be compared.
pub(super) async fn run(wanted: &Comparison, config: &config::Londiste, control: &Control) -> Result<Output> {
    let points = SyncPoints::open(config, control, wanted.force).await?;
    let mut failed = false;
    for table in comparable(wanted, config, &points, &mut failed).await? {
        let shape = Shape::of(points.provider(), points.subscriber(), &table).await?;
        let point = points.reach(&table).await?;
        tracing::info!("Checking {table}");
        let mut fix = Fix::new(Path::new(""), &table)?;
        let counts = merge(&shape, &point.provider, &point.subscriber, &mut fix).await?;
        fix.close()?;
        tracing::info!("finished {table}: {counts}");
    }
    Ok(Output::none().failed(failed))
}

/// The columns that are compared, and how they are read and written.
struct Shape {
    table: FqName,
    /// The key's columns, then the others that both sides have, in the provider's order.
    columns: Vec<String>,
    /// The same as they are written in SQL: quoted only where needed.
    quoted: Vec<String>,
    quoted_table: String,
    key_len: usize,
}

impl Shape {
    async fn of(provider: &Db, subscriber: &Db, table: &FqName) -> Result<Shape> {
        let key = catalog::key_columns(provider, table).await?;
        if key.is_empty() || key != catalog::key_columns(subscriber, table).await? {
            return Err(Error::refused(
                format!("{table}: pkeys do not match"),
                "Give the table the same primary key on both sides.",
            ));
        }
        let ours = catalog::columns(subscriber, table).await?;
        let mut columns = key.clone();
        for column in catalog::columns(provider, table).await? {
            let common = ours.iter().any(|our| our.name == column.name && !our.generated);
            if !key.contains(&column.name) && !column.generated && common {
                columns.push(column.name);
            }
        }
        let mut names = vec![table.schema.clone(), table.name.clone()];
        names.extend(columns.iter().cloned());
        let rows = provider
            .query(
                "quote names",
                "select quote_ident(name) from unnest($1) with ordinality as u(name, nr) order by nr",
                &[text_array(&names)],
            )
            .await?;
        let mut quoted: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let rest = quoted.split_off(2);
        Ok(Shape { table: table.clone(), columns, quoted: rest, quoted_table: quoted.join("."), key_len: key.len() })
    }

    /// All rows in the order of the key's text, byte by byte: the same order on both sides, whatever their collations.
    fn declare_sql(&self) -> String {
        let values: Vec<String> = self.columns.iter().map(|c| format!("{}::text", quote_ident(c))).collect();
        let order: Vec<String> =
            values[..self.key_len].iter().map(|value| format!("({value}) collate \"C\"")).collect();
        format!(
            "declare repair_rows no scroll cursor for select {} from only {} order by {}",
            values.join(", "),
            self.table.quoted(),
            order.join(", ")
        )
    }

    fn insert_sql(&self, row: &Values) -> String {
        let values: Vec<String> = row.iter().map(|v| literal(v.as_deref())).collect();
        format!("insert into {} ({}) values ({});", self.quoted_table, self.quoted.join(", "), values.join(", "))
    }

    fn delete_sql(&self, row: &Values) -> String {
        format!("delete from only {} where {};", self.quoted_table, self.conditions(row, 0..self.key_len))
    }

    /// Sets the columns that differ; the condition names their old values too, so that the statement does nothing when
    /// the row has changed meanwhile.
    fn update_sql(&self, provider: &Values, subscriber: &Values) -> String {
        let changed: Vec<usize> =
            (self.key_len..self.columns.len()).filter(|i| provider[*i] != subscriber[*i]).collect();
        let mut set = String::new();
        for i in &changed {
            let comma = if set.is_empty() { "" } else { ", " };
            let _ = write!(set, "{comma}{} = {}", self.quoted[*i], literal(provider[*i].as_deref()));
        }
        let condition = self.conditions(subscriber, (0..self.key_len).chain(changed));
        format!("update only {} set {set} where {condition};", self.quoted_table)
    }

    fn conditions(&self, row: &Values, columns: impl IntoIterator<Item = usize>) -> String {
        let conditions: Vec<String> = columns
            .into_iter()
            .map(|i| match &row[i] {
                Some(value) => format!("{} = {}", self.quoted[i], quote_literal(value)),
                None => format!("{} is null", self.quoted[i]),
            })
            .collect();
        conditions.join(" and ")
    }
}

fn literal(value: Option<&str>) -> String {
    value.map_or_else(|| "null".to_owned(), quote_literal)
}

/// What a comparison found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    provider: u64,
    subscriber: u64,
    inserts: u64,
    updates: u64,
    deletes: u64,
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "src: {} rows, dst: {} rows, missed: {} inserts, {} updates, {} deletes",
            self.provider, self.subscriber, self.inserts, self.updates, self.deletes
        )
    }
}

async fn merge(shape: &Shape, provider: &Db, subscriber: &Db, fix: &mut Fix) -> Result<Counts> {
    let mut theirs = Walk::start(provider, shape).await?;
    let mut ours = Walk::start(subscriber, shape).await?;
    let (mut their, mut our) = (theirs.next().await?, ours.next().await?);
    let mut counts = Counts::default();
    loop {
        let order = match (&their, &our) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a[..shape.key_len].cmp(&b[..shape.key_len]),
        };
        match (order, &their, &our) {
            (Ordering::Less, Some(row), _) => {
                counts.inserts += 1;
                fix.write(&shape.insert_sql(row))?;
            }
            (Ordering::Greater, _, Some(row)) => {
                counts.deletes += 1;
                fix.write(&shape.delete_sql(row))?;
            }
            (Ordering::Equal, Some(a), Some(b)) if a != b => {
                counts.updates += 1;
                fix.write(&shape.update_sql(a, b))?;
            }
            _ => {}
        }
        if order != Ordering::Greater {
            counts.provider += 1;
            their = theirs.next().await?;
        }
        if order != Ordering::Less {
            counts.subscriber += 1;
            our = ours.next().await?;
        }
    }
    Ok(counts)
}

/// The rows of one side, fetched as they are needed.
struct Walk<'a> {
    db: &'a Db,
    fetched: std::vec::IntoIter<Values>,
}

impl<'a> Walk<'a> {
    async fn start(db: &'a Db, shape: &Shape) -> Result<Walk<'a>> {
        db.batch("read a table", &shape.declare_sql()).await.map_err(|e| e.about(format!("table {}", shape.table)))?;
        Ok(Walk { db, fetched: Vec::new().into_iter() })
    }

    async fn next(&mut self) -> Result<Option<Values>> {
        if self.fetched.len() == 0 {
            let rows = self.db.query("read a table", &format!("fetch {FETCH} from repair_rows"), &[]).await?;
            let values = |row: &tokio_postgres::Row| (0..row.len()).map(|i| row.get(i)).collect();
            self.fetched = rows.iter().map(values).collect::<Vec<Values>>().into_iter();
        }
        Ok(self.fetched.next())
    }
}

/// The file of fixes, made when there is something to write. An old one of the same table goes first: a file that is
/// there means differences.
struct Fix {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Fix {
    fn new(dir: &Path, table: &FqName) -> Result<Fix> {
        let path = dir.join(format!("fix.{table}.sql"));
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::Io { action: "remove the old file of fixes", path, source })
            }
            _ => Ok(Fix { path, file: None }),
        }
    }

    fn write(&mut self, sql: &str) -> Result<()> {
        let failed = |source| Error::Io { action: "write the file of fixes", path: self.path.clone(), source };
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(BufWriter::new(File::create(&self.path).map_err(failed)?)),
        };
        writeln!(file, "{sql}").map_err(failed)
    }

    fn close(self) -> Result<()> {
        let Some(mut file) = self.file else { return Ok(()) };
        file.flush().map_err(|source| Error::Io { action: "write the file of fixes", path: self.path, source })
    }
}
