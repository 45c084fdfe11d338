//! Connection strings mean what libpq says they mean: the same strings, variables and files are given to `psql`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rlondiste::pg::conninfo::Environment;

use super::{connect_in, value};
use crate::support::{Cluster, Scratch};

/// Who is connected to what, and how.
const WHERE: &str = "select concat_ws(' ', current_user, current_database(), current_setting('port'),
    coalesce(host(inet_server_addr()), 'socket'), current_setting('work_mem'), coalesce(current_setting('test.words', true), '-'))";

/// A server on socket and 127.0.0.1, where user `pw` has a password on the latter, with service and password files.
struct Server {
    cluster: Cluster,
    scratch: Scratch,
    differences: Vec<String>,
}

impl Server {
    fn start() -> Server {
        let cluster = Cluster::builder().name("libpq").tcp().hba("host all pw all scram-sha-256").start();
        let port = cluster.port();
        cluster.sql(r"create role pw login superuser password 'se:c\ret'");
        cluster.sql("create database \"Other Db\"");
        let scratch = Scratch::new();
        scratch.write(
            "services",
            &format!(
                "# a comment\n[mine]\nhost=127.0.0.1\nport={port}\nuser=postgres\n\n[other]\nhost=127.0.0.1\n\
                 port={port}\nuser=pw\ndbname=Other Db\n[odd]\nbogus=1\n"
            ),
        );
        let passfile = scratch.write(
            "pgpass",
            &format!(
                "# 127.0.0.1:*:*:pw:comment\n127.0.0.1:1:*:pw:wrong port\n127.0.0.1:{port}:nope:*:wrong database\n\
                 127.0.0.1:{port}:*:pw:se\\:c\\\\ret\n*:*:*:*:a later line\n"
            ),
        );
        fs::set_permissions(passfile, fs::Permissions::from_mode(0o600)).unwrap();
        Server { cluster, scratch, differences: Vec::new() }
    }

    fn fill(&self, text: &str) -> String {
        let dir = self.cluster.socket_dir().display().to_string();
        let text = text.replace("{dir}", &dir).replace("{uridir}", &dir.replace('/', "%2F"));
        text.replace("{port}", &self.cluster.port().to_string())
            .replace("{files}", &self.scratch.path().display().to_string())
    }

    /// Compares both. `None` stands for "refused".
    fn check(&mut self, conninfo: &str, variables: &[(&str, &str)]) {
        let filled = self.fill(conninfo);
        let mut psql = Command::new("psql");
        psql.args(["-XAtw", "-c", WHERE, "-d", &filled]);
        let mut environment = Environment::of_process();
        for (name, value) in variables {
            let value = self.fill(value);
            psql.env(name, &value);
            environment = environment.with(name, &value);
        }
        let output = psql.output().unwrap();
        let theirs = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let theirs = if output.status.success() {
            Ok(theirs)
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        };
        let ours = connect_in(&environment, &filled).map(|db| value(&db, WHERE));
        if ours.clone().ok() != theirs.clone().ok() {
            self.differences.push(format!("{conninfo:?} {variables:?}\n  libpq: {theirs:?}\n  ours:  {ours:?}"));
        }
    }

    fn check_all(&mut self, conninfos: &[&str]) {
        for conninfo in conninfos {
            self.check(conninfo, &[]);
        }
    }

    fn assert_no_difference(&self) {
        assert!(self.differences.is_empty(), "{}", self.differences.join("\n"));
    }
}

#[test]
fn keywords_are_read_as_libpq_reads_them() {
    let mut server = Server::start();
    server.check_all(&[
        "host={dir} port={port} user=postgres dbname=postgres",
        "host={dir} port={port} user=postgres",
        "  host = {dir}\n\tport ={port}  user= 'postgres'   dbname = 'Other Db'  ",
        r"host={dir} port={port} user=p\ostgre\s dbname=Other\ Db",
        r"host={dir} port={port} user=postgres dbname='Oth\er \D\b'",
        "host={dir} port={port} user=postgres dbname=nope dbname=postgres",
        "host={dir} port={port} user=postgres dbname=''",
        "host={dir} port={port} user=postgres dbname='post''gres'",
        "host={dir} port={port} user=postgres dbname='postgres",
        "host={dir} port={port} user=postgres dbname",
        "host={dir} port={port} user=postgres =x",
        "host={dir} port={port} user=postgres bogus=1",
        "HOST={dir} port={port} user=postgres",
        "host={dir} port='{port} ' user=postgres",
        "host={dir} port={port}x user=postgres",
        "host={dir} port=0 user=postgres",
        "host={dir} port=65536 user=postgres",
        "hostaddr=127.0.0.1 port={port} user=postgres",
        "host=no-such-host.invalid hostaddr=127.0.0.1 port={port} user=postgres",
        "hostaddr=localhost port={port} user=postgres",
        "host=127.0.0.1,{dir} port=1,{port} user=postgres",
        "host=127.0.0.1,{dir} port={port} user=postgres",
        "host=,{dir} port=1,{port} user=postgres",
        "host=127.0.0.1,{dir} port=1,2,{port} user=postgres",
        "host=127.0.0.1,127.0.0.1 hostaddr=127.0.0.1 port={port} user=postgres",
        "host=localhost port={port} user=postgres sslmode=disable",
        "host=127.0.0.1 port={port} user=postgres sslmode=allow",
        "host=127.0.0.1 port={port} user=postgres sslmode=prefer",
        "host=127.0.0.1 port={port} user=postgres sslmode=require",
        "host={dir} port={port} user=postgres sslmode=require",
        "host=127.0.0.1 port={port} user=postgres sslmode=maybe",
        "host=127.0.0.1 port={port} user=postgres channel_binding=require",
        "host={dir} port={port} user=postgres options='-c work_mem=5MB -c test.words=a\\\\ b'",
        "host={dir} port={port} user=postgres options=-cwork_mem=bad",
        "host={dir} port={port} user=postgres connect_timeout=' 5 '",
        "host={dir} port={port} user=postgres connect_timeout=soon",
        "host=127.0.0.1 port={port} user=postgres keepalives=0 keepalives_idle=5 tcp_user_timeout=1000",
        "host=127.0.0.1 port={port} user=postgres keepalives_idle=x",
        "host={dir} port={port} user=postgres target_session_attrs=read-write",
        "host={dir} port={port} user=postgres target_session_attrs=standby",
        "host={dir} port={port} user=postgres target_session_attrs=master",
        "host={dir} port={port} user=postgres gssencmode=disable krbsrvname=x sslcompression=1",
        "host={dir} port={port} user=postgres requirepeer=postgres",
        "host={dir} port={port} user=postgres requirepeer=somebody",
        r"host=127.0.0.1 port={port} user=pw password='se:c\\ret' dbname=postgres",
        "host=127.0.0.1 port={port} user=pw password=wrong dbname=postgres",
    ]);
    server.assert_no_difference();
}

#[test]
fn uris_are_read_as_libpq_reads_them() {
    let mut server = Server::start();
    server.check_all(&[
        "postgresql://postgres@127.0.0.1:{port}/postgres",
        "postgres://postgres@localhost:{port}/Other%20Db",
        "postgresql://postgres@127.0.0.1:{port}",
        "postgresql://postgres@127.0.0.1:{port}/",
        "postgresql://postgres@127.0.0.1:{port}/?",
        "postgresql://postgres@127.0.0.1:{port}?dbname=Other%20Db",
        "postgresql:///postgres?host={dir}&port={port}&user=postgres",
        "postgresql://postgres@{uridir}:{port}/postgres",
        "postgresql://{uridir}:{port}/postgres?user=postgres",
        "postgresql://127.0.0.1:1,127.0.0.1:{port}/postgres?user=postgres",
        "postgresql://127.0.0.1,127.0.0.1/postgres?user=postgres&port={port}",
        "postgresql://[::1]:{port}/postgres?user=postgres",
        "postgresql://[127.0.0.1]:{port}/postgres?user=postgres",
        "postgresql://[::1:{port}/postgres?user=postgres",
        "postgresql://post%67res@127.0.0.1:{port}/postgres",
        "postgresql://postgres@127.0.0.1:{port}/post%zzgres",
        "postgresql://postgres@127.0.0.1:{port}/post%00gres",
        "postgresql://postgres@127.0.0.1:{port}/postgres?options=-c%20work_mem%3D6MB",
        "postgresql://postgres@127.0.0.1:{port}/postgres?options=-c work_mem=6MB",
        "postgresql://postgres@127.0.0.1:{port}/postgres?application_name",
        "postgresql://postgres@127.0.0.1:{port}/postgres?bogus=1",
        "postgresql://postgres@127.0.0.1:{port}/postgres?connect_timeout=5&",
        "postgresql://postgres@127.0.0.1:{port}/postgres?connect_timeout=5&&sslmode=disable",
        "postgresql://postgres@127.0.0.1:{port}/postgres?ssl=true",
        "postgresql://postgres@127.0.0.1:{port}/postgres?ssl=false",
        "postgresql://pw:se%3Ac%5Cret@127.0.0.1:{port}/postgres",
        "postgresql://pw:wrong@127.0.0.1:{port}/postgres",
        "postgresql://postgres:@127.0.0.1:{port}/postgres",
        "postgresql://postgres@127.0.0.1:{port}x/postgres",
        "postgresql:/postgres@127.0.0.1:{port}/postgres",
    ]);
    server.assert_no_difference();
}

#[test]
fn variables_and_files_are_read_as_libpq_reads_them() {
    let mut server = Server::start();
    let place = [("PGHOST", "{dir}"), ("PGPORT", "{port}"), ("PGUSER", "postgres")];
    let with = |more: &[(&'static str, &'static str)]| [&place[..], more].concat();
    for (conninfo, more) in [
        ("", &[][..]),
        ("", &[("PGDATABASE", "Other Db")]),
        ("dbname=postgres", &[("PGDATABASE", "Other Db")]),
        ("dbname=postgres", &[("PGOPTIONS", "-c work_mem=7MB")]),
        ("dbname=postgres options='-c test.words=x'", &[("PGOPTIONS", "-c work_mem=7MB")]),
        ("dbname=postgres", &[("PGHOSTADDR", "127.0.0.1")]),
        ("dbname=postgres", &[("PGHOST", "127.0.0.1"), ("PGSSLMODE", "require")]),
        ("dbname=postgres", &[("PGSSLMODE", "maybe")]),
        ("dbname=postgres", &[("PGPORT", "x")]),
        ("dbname=postgres", &[("PGPORT", "")]),
        ("dbname=postgres", &[("PGCONNECT_TIMEOUT", "5"), ("PGTARGETSESSIONATTRS", "primary")]),
        ("dbname=postgres", &[("PGTARGETSESSIONATTRS", "standby")]),
        ("postgresql:///postgres", &[]),
        ("dbname=postgres host=127.0.0.1 user=pw", &[("PGPASSWORD", "se:c\\ret")]),
        ("dbname=postgres host=127.0.0.1 user=pw", &[("PGPASSFILE", "{files}/pgpass")]),
        ("dbname=nope host=127.0.0.1 user=pw", &[("PGPASSFILE", "{files}/pgpass")]),
        ("dbname=postgres host=127.0.0.1 user=pw passfile={files}/pgpass", &[("PGPASSWORD", "wrong")]),
        ("dbname=postgres host=127.0.0.1 user=pw passfile={files}/nowhere", &[]),
        ("dbname=postgres host=localhost user=pw passfile={files}/pgpass", &[]),
        ("dbname=postgres host=x hostaddr=127.0.0.1 user=pw passfile={files}/pgpass", &[]),
        ("dbname=postgres hostaddr=127.0.0.1 user=pw passfile={files}/pgpass", &[]),
        ("service=mine", &[("PGSERVICEFILE", "{files}/services"), ("PGPORT", "1")]),
        ("service=mine dbname='Other Db'", &[("PGSERVICEFILE", "{files}/services")]),
        ("", &[("PGSERVICEFILE", "{files}/services"), ("PGSERVICE", "mine"), ("PGDATABASE", "Other Db")]),
        ("passfile={files}/pgpass", &[("PGSERVICEFILE", "{files}/services"), ("PGSERVICE", "other")]),
        ("service=nope", &[("PGSERVICEFILE", "{files}/services")]),
        ("service=odd", &[("PGSERVICEFILE", "{files}/services")]),
        ("service=mine", &[("PGSERVICEFILE", "{files}/nowhere")]),
        ("service=mine", &[("PGSYSCONFDIR", "{files}")]),
        ("postgresql://?service=mine", &[("PGSERVICEFILE", "{files}/services")]),
    ] {
        server.check(conninfo, &with(more));
    }
    server.assert_no_difference();
}
