//! Encryption: every `sslmode` against servers with, without and with doubtful certificates.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use pretty_assertions::assert_eq;

use super::certificates::{Authority, install, protect};
use super::{connect, hint, refused, value};
use crate::support::{Cluster, Job, Scratch};

const ENCRYPTED: &str =
    "select case when ssl then version else 'plain' end from pg_stat_ssl where pid = pg_backend_pid()";

/// `localhost` as the name and 127.0.0.1 as the address, so that the name is fixed and the server found.
fn place(cluster: &Cluster) -> String {
    format!("host=localhost hostaddr=127.0.0.1 port={} user=postgres dbname=postgres", cluster.port())
}

/// Checks rows of (what is added to the connection string, how the session is encrypted or the end of the error).
#[track_caller]
fn check(cluster: &Cluster, rows: &[(&str, Result<&str, &str>)]) {
    for (rest, expected) in rows {
        let got = connect(&format!("{} {rest}", place(cluster))).map(|db| value(&db, ENCRYPTED));
        match (&got, expected) {
            (Err(message), Err(part)) => assert!(message.contains(part), "{rest}: {message}"),
            (got, expected) => assert_eq!(got.as_deref().map_err(String::as_str), *expected, "{rest}"),
        }
    }
}

#[test]
fn every_mode_does_what_it_says_on_a_server_with_a_good_certificate() {
    let scratch = Scratch::new();
    let (ours, others) = (Authority::new(&scratch, "ours"), Authority::new(&scratch, "others"));
    ours.sign("server", "whatever", "DNS:localhost");
    let cluster = Cluster::builder().name("tls").tcp().init();
    install(&cluster, &ours, "server", None);
    cluster.start();
    let root = format!("sslrootcert={}", ours.cert().display());
    let wrong_root = format!("sslrootcert={}", others.cert().display());
    let unknown = "the server's certificate is not signed by a certificate in sslrootcert";
    assert_eq!(hint(&format!("{} sslmode=verify-ca {wrong_root}", place(&cluster))), "");
    check(
        &cluster,
        &[
            ("sslmode=disable", Ok("plain")),
            ("sslmode=allow", Ok("plain")),
            ("sslmode=prefer", Ok("TLSv1.3")),
            ("sslmode=require", Ok("TLSv1.3")),
            ("", Ok("TLSv1.3")),
            ("sslmode=require ssl_max_protocol_version=TLSv1.2", Ok("TLSv1.2")),
            (&format!("sslmode=require {root}"), Ok("TLSv1.3")),
            (&format!("sslmode=verify-ca {root}"), Ok("TLSv1.3")),
            (&format!("sslmode=verify-full {root}"), Ok("TLSv1.3")),
            (&format!("sslmode=verify-full {root} ssl_max_protocol_version=TLSv1.2"), Ok("TLSv1.2")),
            (&format!("sslmode=verify-full {root} sslsni=0"), Ok("TLSv1.3")),
            (&format!("sslmode=require {wrong_root}"), Err(unknown)),
            (&format!("sslmode=verify-ca {wrong_root}"), Err(unknown)),
            (&format!("sslmode=prefer {wrong_root}"), Ok("plain")),
            (
                "sslmode=verify-ca sslrootcert=/nonexistent",
                Err("root certificate file \"/nonexistent\" does not exist"),
            ),
            ("sslmode=verify-full sslrootcert=system", Err(unknown)),
        ],
    );
    // Where the machine has no authorities, those of the program count, among which ours is not.
    let conninfo = format!("{} sslmode=verify-full sslrootcert=system", place(&cluster));
    let job = Job::ticker(scratch.path(), "rootless", &conninfo);
    let program = job.program(["status"]).env("SSL_CERT_FILE", "/nonexistent").env("SSL_CERT_DIR", "/nonexistent");
    let stderr = program.status(1).run().stderr;
    assert!(stderr.contains(unknown), "{stderr}");
    // The server's best version is too old.
    cluster.append_conf("ssl_max_protocol_version = 'TLSv1.2'");
    cluster.reload();
    check(
        &cluster,
        &[
            ("sslmode=require", Ok("TLSv1.2")),
            ("sslmode=require ssl_min_protocol_version=TLSv1.3", Err("ProtocolVersion")),
            (&format!("sslmode=verify-full {root} ssl_min_protocol_version=TLSv1.3"), Err("ProtocolVersion")),
        ],
    );
    // Another name than the certificate's.
    let by_address = format!("host=127.0.0.1 port={} user=postgres dbname=postgres {root}", cluster.port());
    assert_eq!(value(&connect(&format!("{by_address} sslmode=verify-ca")).unwrap(), ENCRYPTED), "TLSv1.2");
    let message = refused(&format!("{by_address} sslmode=verify-full"));
    let expected = "the server's certificate is not made for the host name \"127.0.0.1\" (sslmode=verify-full)";
    assert!(message.ends_with(expected), "{message}");
    // A name that no certificate can hold does no harm where names are not compared.
    let odd = format!("host=a!b hostaddr=127.0.0.1 port={} user=postgres dbname=postgres", cluster.port());
    assert_eq!(value(&connect(&format!("{odd} sslmode=verify-ca {root}")).unwrap(), ENCRYPTED), "TLSv1.2");
}

#[test]
fn certificates_of_the_documentation_are_accepted() {
    let scratch = Scratch::new();
    let ours = Authority::new(&scratch, "ours");
    ours.self_signed("self", "localhost");
    ours.sign_with("version1", "localhost", "");
    ours.sign_with("other", "elsewhere", "");
    fs::write(ours.path("ext"), "basicConstraints = critical, CA:true\n").unwrap();
    ours.sign_with("ca", "localhost", "-extfile ext");
    ours.revoke("none", &[]);
    let cluster = Cluster::builder().name("tls").tcp().init();
    install(&cluster, &ours, "self", None);
    cluster.start();
    let root = format!("sslrootcert={}", ours.path("self.crt").display());
    check(
        &cluster,
        &[
            (&format!("sslmode=verify-full {root}"), Ok("TLSv1.3")),
            (&format!("sslmode=verify-full {root} ssl_max_protocol_version=TLSv1.2"), Ok("TLSv1.2")),
            (
                &format!("sslmode=verify-ca sslrootcert={}", ours.cert().display()),
                Err("is not signed by a certificate"),
            ),
        ],
    );

    let text = openssl_text(&ours, "version1.crt");
    assert!(text.contains("Version: 1 "), "{text}");
    install(&cluster, &ours, "version1", None);
    cluster.restart();
    let root = format!("sslrootcert={}", ours.cert().display());
    let others = Authority::new(&scratch, "others");
    check(
        &cluster,
        &[
            ("sslmode=require", Ok("TLSv1.3")),
            ("sslmode=require ssl_max_protocol_version=TLSv1.2", Ok("TLSv1.2")),
            (&format!("sslmode=verify-full {root}"), Ok("TLSv1.3")),
            (&format!("sslmode=verify-full {root} ssl_max_protocol_version=TLSv1.2"), Ok("TLSv1.2")),
            (&format!("sslmode=verify-ca sslrootcert={}", others.cert().display()), Err("is not signed by")),
        ],
    );

    let crl = format!("sslcrl={}", ours.path("none.crl").display());
    check(&cluster, &[(&format!("sslmode=verify-ca {root} {crl}"), Err("revocation cannot be checked"))]);
    install(&cluster, &ours, "ca", None);
    cluster.restart();
    check(
        &cluster,
        &[
            (&format!("sslmode=verify-full {root}"), Ok("TLSv1.3")),
            (&format!("sslmode=verify-full {root} {crl}"), Err("revocation cannot be checked")),
            (&format!("sslmode=verify-ca sslrootcert={}", others.cert().display()), Err("is not signed by")),
        ],
    );

    install(&cluster, &ours, "other", None);
    cluster.restart();
    check(
        &cluster,
        &[
            (&format!("sslmode=verify-ca {root}"), Ok("TLSv1.3")),
            (&format!("sslmode=verify-full {root}"), Err("is not made for the host name \"localhost\"")),
        ],
    );
}

fn openssl_text(authority: &Authority, file: &str) -> String {
    let path = authority.path(file);
    let output = std::process::Command::new("openssl").args(["x509", "-noout", "-text", "-in"]).arg(path).output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

#[test]
fn revoked_and_expired_certificates_are_refused() {
    let scratch = Scratch::new();
    let ours = Authority::new(&scratch, "ours");
    ours.sign("server", "x", "DNS:localhost");
    ours.sign("expired", "x", "DNS:localhost");
    ours.sign_with("expired", "x", "-extfile ext -days -1");
    ours.revoke("none", &[]);
    ours.revoke("some", &["server"]);
    let cluster = Cluster::builder().name("tls").tcp().init();
    install(&cluster, &ours, "server", None);
    cluster.start();
    let root = format!("sslmode=verify-ca sslrootcert={}", ours.cert().display());
    check(
        &cluster,
        &[
            (&format!("{root} sslcrl={}", ours.path("none.crl").display()), Ok("TLSv1.3")),
            (&format!("{root} sslcrl={}", ours.path("some.crl").display()), Err("the server's certificate is revoked")),
            (
                &format!("{root} sslcrl=/nonexistent"),
                Err("cannot read certificate revocation list file \"/nonexistent\""),
            ),
        ],
    );
    install(&cluster, &ours, "expired", None);
    cluster.restart();
    check(&cluster, &[(&root, Err("the server's certificate cannot be trusted")), ("sslmode=require", Ok("TLSv1.3"))]);
}

#[test]
fn server_without_tls_is_refused_where_it_is_demanded() {
    let scratch = Scratch::new();
    let root = format!("sslrootcert={}", Authority::new(&scratch, "ours").cert().display());
    let cluster = Cluster::builder().name("plain").tcp().start();
    check(
        &cluster,
        &[
            (&format!("sslmode=verify-ca {root}"), Err("server does not support TLS")),
            (&format!("sslmode=verify-full {root}"), Err("server does not support TLS")),
            ("sslmode=verify-full sslrootcert=system", Err("server does not support TLS")),
            ("sslmode=allow", Ok("plain")),
            ("sslmode=prefer", Ok("plain")),
            ("sslmode=require", Err("server does not support TLS")),
            ("sslmode=prefer channel_binding=require", Err("channel binding")),
        ],
    );
    // A socket is never encrypted, and libpq ignores sslmode there.
    let db = connect(&format!("{} sslmode=require", cluster.socket_conninfo("postgres"))).unwrap();
    assert_eq!(value(&db, ENCRYPTED), "plain");
}

#[test]
fn the_other_way_is_tried_when_a_server_demands_it() {
    let scratch = Scratch::new();
    let ours = Authority::new(&scratch, "ours");
    ours.sign("server", "x", "DNS:localhost");
    let server = |line: &str| {
        let cluster = Cluster::builder().name("tls").tcp().hba(line).hba("host all all all reject").init();
        install(&cluster, &ours, "server", None);
        cluster.start();
        cluster
    };
    let only_tls = server("hostssl all all all trust");
    check(
        &only_tls,
        &[("sslmode=disable", Err("(28000)")), ("sslmode=allow", Ok("TLSv1.3")), ("sslmode=prefer", Ok("TLSv1.3"))],
    );
    let never_tls = server("hostnossl all all all trust");
    check(
        &never_tls,
        &[("sslmode=require", Err("(28000)")), ("sslmode=prefer", Ok("plain")), ("sslmode=allow", Ok("plain"))],
    );
    let neither = server("hostssl postgres nobody all trust");
    let message = refused(&format!("{} sslmode=prefer", place(&neither)));
    let place = format!("localhost (127.0.0.1) port {}", neither.port());
    assert!(message.contains(&format!(": {place} with TLS: ")), "{message}");
    assert!(message.contains(&format!("; {place} without TLS: ")), "{message}");
}

#[test]
fn scram_is_bound_to_the_channel() {
    let scratch = Scratch::new();
    let ours = Authority::new(&scratch, "ours");
    ours.sign("server", "x", "DNS:localhost");
    let cluster = Cluster::builder()
        .name("scram")
        .tcp()
        .hba("hostssl all scram all scram-sha-256")
        .hba("hostssl all plain all password")
        .init();
    install(&cluster, &ours, "server", None);
    cluster.start();
    cluster.sql("create role scram login password 'p'; create role plain login password 'p'");
    check(
        &cluster,
        &[
            ("user=scram password=p sslmode=require channel_binding=require", Ok("TLSv1.3")),
            ("user=scram password=p sslmode=require channel_binding=disable", Ok("TLSv1.3")),
            (
                "user=plain password=p sslmode=require channel_binding=require",
                Err("server did not use channel binding"),
            ),
            ("user=plain password=p sslmode=require", Ok("TLSv1.3")),
            ("user=scram password=x sslmode=require", Err("(28P01)")),
        ],
    );
}

#[test]
fn client_certificates_are_sent() {
    let scratch = Scratch::new();
    let ours = Authority::new(&scratch, "ours");
    ours.sign("server", "x", "DNS:localhost");
    ours.sign_with("joe", "joe", "");
    ours.sign_with("jim", "jim", "");
    let cluster = Cluster::builder().name("cert").tcp().hba("hostssl all joe all cert").init();
    install(&cluster, &ours, "server", Some(&ours));
    cluster.start();
    cluster.sql("create role joe login");
    let cert = |name: &str| {
        let [cert, key] = ["crt", "key"].map(|ext| ours.path(&format!("{name}.{ext}")).display().to_string());
        format!("user=joe sslmode=require sslcert={cert} sslkey={key}")
    };
    check(
        &cluster,
        &[
            (&cert("joe"), Ok("TLSv1.3")),
            (&format!("{} ssl_max_protocol_version=TLSv1.2", cert("joe")), Ok("TLSv1.2")),
            (&format!("{} sslcertmode=require", cert("joe")), Ok("TLSv1.3")),
            (&format!("{} sslcertmode=disable", cert("joe")), Err("(28000)")),
            (&cert("jim"), Err("(28000)")),
            ("user=joe sslmode=require sslcert=/nonexistent", Err("(28000)")),
            ("user=joe sslmode=require sslcertmode=require", Err("needs a client certificate")),
        ],
    );
    let key = ours.path("joe.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    check(&cluster, &[(&cert("joe"), Err("group or others have access to it"))]);
    fs::write(&key, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n").unwrap();
    protect(&key);
    check(&cluster, &[(&cert("joe"), Err("it is encrypted, which is not supported"))]);
    fs::remove_file(&key).unwrap();
    check(&cluster, &[(&cert("joe"), Err("but no private key"))]);
}
