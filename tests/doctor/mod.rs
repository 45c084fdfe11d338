//! `doctor`: a healthy pair has nothing but ok, each fault is named by its check and by no other, and what is advised mends it.

mod health;
mod healthy;
mod machine;
mod provider;
mod rights;
mod servers;
mod subscriber;
mod tickers;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{Cluster, Database, Job, Output, Replication, wait_until};

/// One finding of the JSON document.
#[derive(Clone, Debug)]
struct Finding {
    check: String,
    level: String,
    object: String,
    fact: String,
    fix: Option<String>,
}

/// Runs `doctor --json`; checks that exit status, `ok` and levels fit.
#[track_caller]
fn examine(job: &Job) -> Vec<Finding> {
    let Output { stdout, stderr, status } = job.program(["doctor", "--json"]).output();
    let document: Value = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}\n{stdout}{stderr}"));
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_else(|| panic!("{finding}")).to_owned();
    let findings: Vec<Finding> = document["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| Finding {
            check: text(finding, "check"),
            level: text(finding, "level"),
            object: text(finding, "object"),
            fact: text(finding, "fact"),
            fix: finding["fix"].as_str().map(ToOwned::to_owned),
        })
        .collect();
    assert_eq!(document["schema_version"], 1);
    let has = |level: &str| findings.iter().any(|finding| finding.level == level);
    let expected = match (has("error"), has("unknown"), has("warning")) {
        (true, ..) => 2,
        (_, true, _) => 3,
        (_, _, true) => 1,
        _ => 0,
    };
    assert_eq!(status, expected, "{findings:#?}");
    assert_eq!(document["ok"], status == 0, "{stdout}");
    let fixes: BTreeSet<&str> = findings.iter().filter_map(|finding| finding.fix.as_deref()).collect();
    let steps = document["next_steps"].as_array().unwrap();
    assert_eq!(steps.iter().map(|step| step.as_str().unwrap()).collect::<BTreeSet<_>>(), fixes);
    findings
}

/// The findings that are not ok.
fn bad(findings: &[Finding]) -> Vec<Finding> {
    findings.iter().filter(|finding| finding.level != "ok").cloned().collect()
}

/// Waits until exactly these checks are not ok; returns their findings. What was broken or mended may need a moment to be seen:
/// statistics are sent after a while, daemons take a round.
#[track_caller]
fn wait_for(job: &Job, checks: &[&str]) -> Vec<Finding> {
    let expected: BTreeSet<&str> = checks.iter().copied().collect();
    wait_until(&format!("doctor names {expected:?} and nothing else"), || {
        let found = bad(&examine(job));
        let named: BTreeSet<&str> = found.iter().map(|finding| finding.check.as_str()).collect();
        if named == expected { Ok(found) } else { Err(format!("{found:#?}")) }
    })
}

/// Provider and subscriber on servers of their own, so that nobody else's sessions are found.
struct Clinic {
    // Dropped in this order: daemons and databases go before their servers.
    r: Replication,
    provider: Cluster,
    subscriber: Cluster,
}

/// Tables of the tests beside the shop.
const PLAIN: &str = "create table plain (id int primary key, v text, ref int)";

impl Clinic {
    /// The shop and a plain table, replicated and in sync, with all sequences. Only the tests run maintenance, so that no fault is
    /// mended before it is found.
    #[track_caller]
    fn open() -> Self {
        let [provider, subscriber] = ["doctor-provider", "doctor-subscriber"]
            .map(|name| Cluster::builder().name(name).conf("max_prepared_transactions = 5").start());
        let mut r = Replication::between(&provider, &subscriber).with_shop().with_schema(PLAIN);
        r.ticker.configure("maint_delay", "600");
        let r = r.up();
        r.provider.sql("insert into plain select i, 'v', null from generate_series(1, 10) i");
        r.londiste.run("provider add-seq --all");
        r.londiste.run("subscriber add-seq --all");
        r.replay_until_in_sync();
        let clinic = Clinic { r, provider, subscriber };
        clinic.wait_for(&[]);
        clinic
    }

    #[track_caller]
    fn wait_for(&self, checks: &[&str]) -> Vec<Finding> {
        wait_for(&self.r.londiste, checks)
    }

    /// Runs what the finding advises, on the side or in the shell that it names.
    #[track_caller]
    fn mend(&self, finding: &Finding) {
        let fix = finding.fix.as_deref().unwrap_or_else(|| panic!("no fix: {finding:?}"));
        if let Some(statement) = fix.strip_prefix("on provider: ") {
            psql(&self.provider, &self.r.provider, statement);
        } else if let Some(statement) = fix.strip_prefix("on subscriber: ") {
            psql(&self.subscriber, &self.r.subscriber, statement);
        } else {
            let ticker = self.r.ticker.ini();
            shell(&fix.replace("TICKER-INI", &ticker.display().to_string()), self.r.scratch().path());
        }
    }

    /// A fault is named by this check alone, and its fix mends it.
    #[track_caller]
    fn finds_and_mends(&self, check: &str) -> Finding {
        let found = self.wait_for(&[check]);
        let [finding] = &found[..] else { panic!("{found:#?}") };
        self.mend(finding);
        self.wait_for(&[]);
        finding.clone()
    }
}

#[track_caller]
fn psql(cluster: &Cluster, database: &Database, statements: &str) {
    let mut child = Command::new(cluster.binaries().client("psql"))
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database.conninfo()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(statements.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{statements}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs a command line in which `rlondiste` is the program.
#[track_caller]
fn shell(line: &str, directory: &Path) {
    let link = directory.join("rlondiste");
    if !link.is_symlink() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_rlondiste"), &link).unwrap();
    }
    let path = format!("{}:{}", directory.display(), std::env::var("PATH").unwrap_or_default());
    let stderr = std::fs::File::create(directory.join("shell.stderr")).unwrap();
    let status = Command::new("sh")
        .args(["-c", line])
        .current_dir(directory)
        .env("PATH", path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .status()
        .unwrap();
    let stderr = std::fs::read_to_string(directory.join("shell.stderr")).unwrap();
    assert!(status.success(), "{line}\n{stderr}");
}
