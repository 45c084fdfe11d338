//! Commands of the documents that move a database, run by a shell as they stand: `<!-- NAME: a test runs these commands -->` stands
//! before them.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::londiste::majors::servers;
use crate::support::{Cluster, Database, Scratch, assert_same_rows, compare_tables, shop, wait_until};
use crate::switchover::assert_open;
use crate::up::{can_dump, catalog};

/// The hooks that the documents name.
const HOOKS: [&str; 2] = ["point-application-to-new.sh", "point-application-to-old.sh"];

/// Two databases, and a directory in which the commands are run.
struct Reader {
    provider: Database,
    subscriber: Database,
    scratch: Scratch,
}

impl Reader {
    fn new(provider: Database, subscriber: Database) -> Reader {
        shop::open(&provider);
        let scratch = Scratch::new();
        for hook in HOOKS {
            let path = scratch.write(hook, "#!/bin/sh\necho \"$0 $RLONDISTE_DIRECTION\" >> hooks\n");
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Reader { provider, subscriber, scratch }
    }

    /// On shared servers.
    fn shared() -> Reader {
        Reader::new(Cluster::provider().database(), Cluster::subscriber().database())
    }

    /// Runs the commands of a block, each of which must succeed. Returns what they printed on standard output.
    #[track_caller]
    fn run(&self, document: &str, block: &str) -> Vec<String> {
        let commands = commands(document, block);
        assert!(commands.len() > 2, "{document}, {block}: {commands:?}");
        commands.iter().map(|command| self.run_one(command)).collect()
    }

    #[track_caller]
    fn run_one(&self, command: &str) -> String {
        let command = command
            .replace("dbname=shop host=old", self.provider.conninfo())
            .replace("dbname=shop host=new", self.subscriber.conninfo())
            .replace("shop.ini", &format!("{}.ini", self.provider.name()));
        let [stdout, stderr] = ["stdout", "stderr"].map(|name| self.scratch.path().join(name));
        let mut child = Command::new("sh")
            .args(["-c", &format!("exec {command}")])
            .current_dir(self.scratch.path())
            .env("PATH", path())
            .stdin(Stdio::null())
            .stdout(File::create(&stdout).unwrap())
            .stderr(File::create(&stderr).unwrap())
            .spawn()
            .unwrap();
        let printed = || [&stdout, &stderr].map(|file| fs::read_to_string(file).unwrap());
        // The one that goes on until Ctrl-C.
        let is_endless = command.contains("--watch");
        if is_endless {
            wait_until("the command prints", || {
                if printed()[0].contains("Lag:") { Ok(()) } else { Err(printed().concat()) }
            });
            kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
        }
        let status = child.wait().unwrap();
        let [stdout, stderr] = printed();
        assert!(is_endless || status.success(), "{command}: {status}\n{stdout}{stderr}");
        stdout
    }

    /// The hooks that were run.
    fn hooks(&self) -> String {
        fs::read_to_string(self.scratch.path().join("hooks")).unwrap_or_default()
    }

    fn assert_equal(&self) {
        let tables = compare_tables(&self.provider);
        let sums = |database: &Database| -> Vec<String> {
            let sum = |table| format!("select count(*) || ' ' || coalesce(sum(hashtext(t::text)), 0) from {table} t");
            tables.iter().map(|table| database.value(&sum(table))).collect()
        };
        wait_until("both sides are equal", || {
            let (ours, theirs) = (sums(&self.provider), sums(&self.subscriber));
            if ours == theirs { Ok(()) } else { Err(format!("{ours:?} {theirs:?}")) }
        });
        assert_same_rows(&self.provider, &self.subscriber, &tables);
    }
}

impl Drop for Reader {
    /// Ends the daemons, before the databases go.
    fn drop(&mut self) {
        for entry in fs::read_dir(self.scratch.path()).unwrap().flatten() {
            let Some(pid) = pid_of(&entry.path()) else { continue };
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            wait_until("the daemon is gone", || {
                if Path::new(&format!("/proc/{pid}")).exists() { Err("it is alive") } else { Ok(()) }
            });
        }
    }
}

fn pid_of(path: &Path) -> Option<i32> {
    (path.extension()? == "pid").then(|| fs::read_to_string(path).ok()?.trim().parse().ok())?
}

/// The program of this build first.
fn path() -> OsString {
    let program = Path::new(env!("CARGO_BIN_EXE_rlondiste")).parent().unwrap().to_owned();
    let rest = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths([program].into_iter().chain(std::env::split_paths(&rest))).unwrap()
}

/// The lines between the markers of a block.
fn commands(document: &str, block: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).unwrap();
    let start = format!("<!-- {block}: a test runs these commands -->\n");
    let inside = text.split(&start).nth(1).unwrap_or_else(|| panic!("{document} has no {start}"));
    let inside = inside.split(&format!("<!-- end of {block} -->")).next().unwrap();
    inside
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("```"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn commands_of_the_readme_move_a_database_and_leave_nothing_but_rows() {
    if !can_dump(Cluster::provider()) {
        return;
    }
    let reader = Reader::shared();
    let before = catalog(&reader.provider);
    reader.run("README.md", "up");
    assert_eq!(catalog(&reader.provider), before);
    assert_same_rows(&reader.provider, &reader.subscriber, &compare_tables(&reader.provider));
}

#[test]
fn commands_of_the_readme_let_writers_go_over_and_back() {
    if !can_dump(Cluster::provider()) {
        return;
    }
    let reader = Reader::shared();
    let load = shop::crowd(&reader.provider);
    reader.run_one(&commands("README.md", "up")[1]);
    reader.run("README.md", "look");
    assert!(load.stop() > 0);
    reader.run("README.md", "over");
    assert_open(&reader.subscriber, &reader.provider);
    let load = shop::crowd(&reader.subscriber);
    assert!(load.stop() > 0);
    reader.assert_equal();
    let printed = reader.run("README.md", "back");
    assert!(printed[1].starts_with("switchback: done\n"), "{printed:?}");
    reader.provider.sql("insert into customers (name) values ('Back')");
    reader.assert_equal();
    assert_eq!(reader.hooks(), "./point-application-to-new.sh switchover\n");
}

#[test]
fn commands_of_the_upgrade_lead_to_a_new_major_and_back() {
    let Some((provider, subscriber)) = servers(10, 18) else { return };
    if !can_dump(&provider) {
        return;
    }
    let [provider, subscriber] = [&provider, &subscriber].map(|cluster| {
        cluster.sql("create database shop");
        Database::existing(cluster, "shop")
    });
    let reader = Reader::new(provider, subscriber);
    let load = shop::crowd(&reader.provider);
    reader.run_one(&commands("docs/upgrade.md", "upgrade")[0]);
    assert!(load.stop() > 0);
    reader.run("docs/upgrade.md", "upgrade");
    assert_open(&reader.subscriber, &reader.provider);
    let load = shop::crowd(&reader.subscriber);
    assert!(load.stop() > 0);
    reader.assert_equal();
    let printed = reader.run("docs/upgrade.md", "upgraded");
    assert!(printed[3].starts_with("switchover: done\n"), "{printed:?}");
    assert_open(&reader.subscriber, &reader.provider);
    assert_same_rows(&reader.provider, &reader.subscriber, &compare_tables(&reader.provider));
    let [new, old] = HOOKS;
    assert_eq!(reader.hooks(), format!("./{new} switchover\n./{old} switchback\n./{new} switchover\n"));
}
