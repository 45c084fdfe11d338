//! A copy that fills the subscriber's disk: the old rows and indexes stay, and the copy goes on when there is room.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::support::{Cluster, Replication, run_dir, wait_until};

/// A file system of 8 MB. Dropped, it is unmounted.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, with the reason on standard error, where this process may not mount.
    fn mount(cluster: &Cluster) -> Option<SmallDisk> {
        let path = cluster.socket_dir().join("disk");
        run_dir::create_server_dir(&path);
        let output = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(&path).output().unwrap();
        if !output.status.success() {
            eprintln!("skipped, cannot mount a small file system: {}", String::from_utf8_lossy(&output.stderr).trim());
            return None;
        }
        run_dir::create_server_dir(&path.join("space"));
        Some(SmallDisk(path))
    }

    fn space(&self) -> String {
        self.0.join("space").display().to_string()
    }

    /// Takes the room away, down to 1 MB.
    fn fill(&self) {
        fs::write(self.0.join("ballast"), vec![1; 7 << 20]).unwrap();
    }

    fn free(&self) {
        fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// `table` and `index` are the tablespaces of both.
fn disk_fills(table: &str, index: &str) {
    let subscriber = Cluster::builder().name("full").start();
    let Some(disk) = SmallDisk::mount(&subscriber) else { return };
    subscriber.sql(&format!("create tablespace small location '{}'", disk.space()));
    let r = Replication::between(Cluster::provider(), &subscriber);
    r.provider.sql(
        "create table t (id int primary key, data text); create index t_data on t (data);
         insert into t select i, md5(i::text) || repeat('x', 90) from generate_series(1, 20000) i",
    );
    r.subscriber.sql(&format!(
        "create table t (id int primary key, data text) tablespace {table};
         create index t_data on t (data) tablespace {index};
         insert into t select i, 'old' from generate_series(1, 5) i"
    ));
    disk.fill();
    r.install();
    r.start();
    r.add("t");
    r.londiste.wait_for_log("(53100)");
    r.londiste.wait_for_log("copy of public.t failed, next try in 2 s");
    let old = "select count(*), min(data), (select count(*) from pg_index where indrelid = 't'::regclass and indisvalid) from t";
    assert_eq!(r.subscriber.rows(old), [["5", "old", "2"]]);
    disk.free();
    r.wait_until_ok();
    r.assert_in_sync();
    let spaces =
        "select coalesce(spcname, 'pg_default') from pg_class c left join pg_tablespace s on s.oid = reltablespace
                  where relname in ('t', 't_data') order by relname";
    assert_eq!(r.subscriber.column(spaces), [table, index]);
    wait_until("the copy's consumer is gone", || {
        match r.provider.value("select count(*) from pgq.subscription join pgq.consumer on co_id = sub_consumer where co_name like '%_copy'").as_str() {
            "0" => Ok(()),
            n => Err(n.to_owned()),
        }
    });
    // The tablespace must be empty before its file system goes.
    r.subscriber.sql("drop table t");
}

#[test]
fn disk_that_rows_fill_keeps_the_old_ones() {
    disk_fills("small", "pg_default");
}

#[test]
fn disk_that_an_index_fills_keeps_the_old_one() {
    disk_fills("pg_default", "small");
}
