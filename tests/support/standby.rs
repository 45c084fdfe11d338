//! A cluster as the standby of another one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::{Cluster, Shutdown, run_dir, wait_until};

impl Cluster {
    /// Replaces the data directory by a copy of the primary's, with the own `postgresql.conf`, and starts as a standby that
    /// streams. Both clusters are made from the same server programs. The primary is stopped while it is copied, and runs
    /// afterwards; this cluster does not run before.
    #[track_caller]
    pub fn start_as_standby_of(&self, primary: &Cluster) {
        let conf = fs::read_to_string(self.data_dir().join("postgresql.conf")).unwrap();
        primary.stop(Shutdown::Fast);
        fs::remove_dir_all(self.data_dir()).unwrap();
        let copied = Command::new("cp").arg("-a").args([primary.data_dir(), self.data_dir()]).status().unwrap();
        assert!(copied.success(), "could not copy {}", primary.data_dir().display());
        primary.start();
        fs::write(self.data_dir().join("postgresql.conf"), conf).unwrap();
        let host = primary.socket_dir().display();
        let source = format!("primary_conninfo = 'host={host} port={} user=postgres'", primary.port());
        if primary.binaries().major() < 12 {
            let recovery = format!("standby_mode = on\n{source}\nrecovery_target_timeline = 'latest'\n");
            let path = self.data_dir().join("recovery.conf");
            fs::write(&path, recovery).unwrap();
            // The server opens it for writing, and has another owner where the tests run as root.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        } else {
            self.append_conf(&source);
            fs::write(self.data_dir().join("standby.signal"), "").unwrap();
        }
        self.start();
    }

    /// Promotes a standby, which is a server of its own when this returns.
    #[track_caller]
    pub fn promote(&self) {
        let mut command = run_dir::server_command(&self.binaries().program("pg_ctl"));
        let done = command.args(["promote", "-W", "-D"]).arg(self.data_dir()).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        wait_until("the standby is promoted", || match self.value("select pg_is_in_recovery()") {
            still if still == "t" => Err("not yet"),
            _ => Ok(()),
        });
    }

    /// Lets commits on this primary wait until its standby has their WAL, until this is stopped: a standby made from it
    /// later is without the setting.
    #[track_caller]
    pub fn wait_for_standby_at_commit(&self) {
        self.sql("alter system set synchronous_standby_names = '*'");
        self.reload();
        wait_until("the standby is synchronous", || {
            let state = self.rows("select sync_state from pg_stat_replication").concat();
            if state == ["sync"] { Ok(()) } else { Err(format!("{state:?}")) }
        });
    }
}
