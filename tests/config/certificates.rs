//! Certificates made by openssl, in the ways that PostgreSQL's documentation teaches, and servers that use them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Cluster, Scratch, run_dir};

/// A certificate authority in a directory of its own.
pub struct Authority {
    dir: PathBuf,
    name: String,
}

impl Authority {
    pub fn new(scratch: &Scratch, name: &str) -> Self {
        let authority = Authority { dir: scratch.path().to_owned(), name: name.to_owned() };
        authority.openssl(&format!(
            "req -new -x509 -days 3650 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -subj /CN={name} \
             -keyout {name}.key -out {name}.crt"
        ));
        authority
    }

    pub fn cert(&self) -> PathBuf {
        self.dir.join(format!("{}.crt", self.name))
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }

    /// Makes `NAME.crt` and `NAME.key`, signed by this authority, with a subject alternative name.
    pub fn sign(&self, name: &str, common_name: &str, alternative_name: &str) {
        fs::write(self.path("ext"), format!("subjectAltName = {alternative_name}\n")).unwrap();
        self.sign_with(name, common_name, "-extfile ext");
    }

    /// The same with the name only in the common name; `extra` are options of `openssl x509`.
    pub fn sign_with(&self, name: &str, common_name: &str, extra: &str) {
        let ca = &self.name;
        self.openssl(&format!(
            "req -new -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -subj /CN={common_name} \
             -keyout {name}.key -out {name}.csr"
        ));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -days 3650 -CA {ca}.crt -CAkey {ca}.key -CAcreateserial -out {name}.crt {extra}"
        ));
        protect(&self.path(&format!("{name}.key")));
    }

    /// Makes `NAME.crt` and `NAME.key`, signed by itself.
    pub fn self_signed(&self, name: &str, common_name: &str) {
        self.openssl(&format!(
            "req -new -x509 -days 3650 -nodes -newkey rsa:2048 -subj /CN={common_name} -keyout {name}.key -out {name}.crt"
        ));
    }

    /// Makes `NAME.crl`, a revocation list with the given certificates.
    pub fn revoke(&self, name: &str, certificates: &[&str]) {
        let ca = &self.name;
        fs::write(
            self.path("ca.conf"),
            "[ca]\ndefault_ca = it\n[it]\ndatabase = index\ncrlnumber = number\ndefault_md = sha256\n\
             default_crl_days = 3650\n",
        )
        .unwrap();
        fs::write(self.path("index"), "").unwrap();
        fs::write(self.path("number"), "01\n").unwrap();
        for certificate in certificates {
            self.openssl(&format!("ca -config ca.conf -cert {ca}.crt -keyfile {ca}.key -revoke {certificate}.crt"));
        }
        self.openssl(&format!("ca -config ca.conf -cert {ca}.crt -keyfile {ca}.key -gencrl -out {name}.crl"));
    }

    #[track_caller]
    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl").current_dir(&self.dir).args(arguments.split_whitespace()).output();
        let output = output.expect("openssl is needed for the tests of TLS");
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Nobody else may read it.
pub fn protect(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Gives a server a certificate; it must be started or reloaded after that.
pub fn install(cluster: &Cluster, authority: &Authority, name: &str, client_ca: Option<&Authority>) {
    let files = [(format!("{name}.crt"), "server.crt"), (format!("{name}.key"), "server.key")];
    for (from, to) in files {
        give(&authority.path(&from), &cluster.data_dir().join(to));
    }
    cluster.append_conf("ssl = on");
    if let Some(ca) = client_ca {
        give(&ca.cert(), &cluster.data_dir().join("root.crt"));
        cluster.append_conf("ssl_ca_file = 'root.crt'");
    }
}

fn give(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
    protect(to);
    if let Some(user) = run_dir::server_user() {
        std::os::unix::fs::chown(to, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    }
}
