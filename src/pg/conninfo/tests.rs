//! What connection strings mean, in environments that exist only in memory.

use pretty_assertions::assert_eq;

use super::*;

fn parse_with(variables: &[(&str, &str)], files: &[(&str, &str)], text: &str) -> Result<Conninfo> {
    Conninfo::parse_in(&Environment::in_memory(variables, files), Role::Provider, text, "job")
}

fn parse(text: &str) -> Conninfo {
    parse_with(&[], &[], text).expect(text)
}

fn message(text: &str) -> String {
    match parse_with(&[], &[], text) {
        Err(Error::Conninfo { message, .. }) => message,
        Err(error) => error.to_string(),
        Ok(_) => "no error".to_owned(),
    }
}

fn tcp(name: &str) -> Address {
    Address::Tcp { name: Some(name.to_owned()), ip: None }
}

#[test]
fn an_empty_string_means_the_local_server() {
    let conninfo = parse("");
    assert_eq!(conninfo.hosts.len(), 1);
    assert_eq!((&conninfo.hosts[0].address, conninfo.hosts[0].port), (&Address::UsualSocket, 5432));
    assert_eq!((conninfo.user.as_str(), conninfo.dbname.as_str()), ("me", "me"));
    assert_eq!(conninfo.application_name, "job");
    assert_eq!(conninfo.connect_timeout, Some(Duration::from_secs(15)));
    assert_eq!(conninfo.ssl.mode, SslMode::Prefer);
    assert_eq!(conninfo.to_string(), "");
}

#[test]
fn hosts_addresses_and_ports_go_together() {
    let hosts = |text: &str| parse(text).hosts.into_iter().map(|h| (h.address, h.port)).collect::<Vec<_>>();
    let ip = |name: Option<&str>, ip: &str| Address::Tcp { name: name.map(str::to_owned), ip: ip.parse().ok() };
    assert_eq!(hosts("host=a,b port=1"), [(tcp("a"), 1), (tcp("b"), 1)]);
    assert_eq!(
        hosts("host=a,,/s port=1,,3"),
        [(tcp("a"), 1), (Address::UsualSocket, 5432), (Address::Socket("/s".into()), 3)]
    );
    assert_eq!(hosts("hostaddr=10.0.0.1,::1"), [(ip(None, "10.0.0.1"), 5432), (ip(None, "::1"), 5432)]);
    assert_eq!(hosts("host=a hostaddr=10.0.0.1"), [(ip(Some("a"), "10.0.0.1"), 5432)]);
    assert_eq!(hosts("postgresql://a:1,b:2/d"), [(tcp("a"), 1), (tcp("b"), 2)]);
}

#[test]
fn only_place_and_user_are_shown() {
    for (text, expected) in [
        ("host=db1 dbname=shop password=secret", "host=db1 dbname=shop"),
        ("postgresql://u:secret@db1:6543/shop?sslmode=require", "host=db1 port=6543 dbname=shop user=u"),
        ("dbname='my shop'", "dbname='my shop'"),
    ] {
        assert_eq!(parse(text).to_string(), expected);
    }
}

/// Other drivers separate keywords by semicolons or commas.
#[test]
fn a_password_inside_of_another_value_is_refused_and_not_shown() {
    for (text, keyword, word) in [
        ("host=db1;dbname=shop;password=secret", "host", "password="),
        ("host=db1,password=secret", "host", "password="),
        ("dbname=shop;PWD=secret", "dbname", "pwd="),
        ("host=db1 user='u Passwd=secret'", "user", "passwd="),
        ("port=1;password=secret", "port", "password="),
        ("sslmode=require;password=secret", "sslmode", "password="),
        ("postgresql://h/d;password=secret", "dbname", "password="),
        ("postgresql://h?application_name=a;password%3Dsecret", "application_name", "password="),
        ("service=s;password=secret", "service", "password="),
    ] {
        let expected = format!("the value of \"{keyword}\" has \"{word}\" in it; keywords are separated by blanks");
        assert_eq!(message(text), expected, "{text}");
    }
    assert_eq!(message("password=password= options='-c my.password=x'"), "no error");
}

#[test]
fn the_string_wins_over_the_service_and_that_over_the_environment() {
    let files = [("/home/me/.pg_service.conf", "[s]\nhost=from-service\nport=7\nuser=from-service\n")];
    let variables = [("PGHOST", "from-env"), ("PGPORT", "8"), ("PGDATABASE", "from-env"), ("PGSERVICE", "s")];
    let conninfo = parse_with(&variables, &files, "user=from-string").expect("valid");
    assert_eq!(conninfo.to_string(), "host=from-service port=7 dbname=from-env user=from-string");
    let conninfo = parse_with(&variables, &files, "service='' host=x").expect("valid");
    assert_eq!(conninfo.to_string(), "host=x port=8 dbname=from-env");
    let conninfo = parse_with(&variables, &files, "host='' service=s").expect("valid");
    assert_eq!(conninfo.hosts[0].address, Address::UsualSocket);
}

#[test]
fn passwords_come_from_the_string_the_environment_or_the_file_per_host() {
    let files = [("/home/me/.pgpass", "a:*:*:*:pa\nlocalhost:5432:d:me:pl\n/s:*:*:*:ps\n"), ("/other", "*:*:*:*:po\n")];
    let passwords = |variables: &[(&str, &str)], text: &str| {
        let conninfo = parse_with(variables, &files, text).expect(text);
        conninfo.hosts.into_iter().map(|h| h.password.unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(passwords(&[], "host=a,b,/s,,/tmp dbname=d"), ["pa", "", "ps", "pl", "pl"]);
    assert_eq!(passwords(&[], "host=a,b password=x"), ["x", "x"]);
    assert_eq!(passwords(&[("PGPASSWORD", "e")], "host=a"), ["e"]);
    assert_eq!(passwords(&[("PGPASSFILE", "/other")], "host=a"), ["po"]);
    assert_eq!(passwords(&[], "host=a passfile=/other"), ["po"]);
    assert_eq!(passwords(&[], "host=a passfile=/none"), [""]);
}

#[test]
fn names_of_the_application_are_found_in_order() {
    for (variables, text, expected) in [
        (&[][..], "", "job"),
        (&[][..], "fallback_application_name=f", "f"),
        (&[("PGAPPNAME", "e")][..], "fallback_application_name=f", "e"),
        (&[("PGAPPNAME", "e")][..], "application_name=a", "a"),
    ] {
        assert_eq!(parse_with(variables, &[], text).expect(text).application_name, expected);
    }
}

#[test]
fn times_and_keepalives_are_read() {
    assert_eq!(parse("connect_timeout=3").connect_timeout, Some(Duration::from_secs(3)));
    assert_eq!(parse("connect_timeout=0").connect_timeout, None);
    assert_eq!(parse("connect_timeout=-1").connect_timeout, None);
    assert_eq!(parse("tcp_user_timeout=1500").tcp_user_timeout, Some(Duration::from_millis(1500)));
    let keepalives = parse("keepalives_idle=10 keepalives_count=3 keepalives_interval=0").keepalives;
    assert!(keepalives.on);
    assert_eq!((keepalives.idle, keepalives.interval), (Some(Duration::from_secs(10)), None));
    assert_eq!(keepalives.count, Some(3));
    assert!(!parse("keepalives=0").keepalives.on);
}

#[test]
fn encryption_is_read() {
    let ssl = parse("sslmode=verify-ca sslcert=/c sslsni=0").ssl;
    assert_eq!(ssl.mode, SslMode::VerifyCa);
    assert_eq!(ssl.cert, Some(TlsFile::Named("/c".into())));
    assert_eq!(ssl.root_cert, Some(TlsFile::Default("/home/me/.postgresql/root.crt".into())));
    assert!(!ssl.sni);
    assert_eq!(parse("sslrootcert=system").ssl.mode, SslMode::VerifyFull);
    assert_eq!(parse("sslrootcert=system").ssl.root_cert, None);
    assert_eq!(parse("requiressl=1").ssl.mode, SslMode::Require);
    assert_eq!(parse("ssl_min_protocol_version=TLSv1").ssl.min_version, TlsVersion::V1_2);
    assert_eq!(parse("channel_binding=require").channel_binding, ChannelBinding::Require);
    assert_eq!(parse("target_session_attrs=prefer-standby").target, Target::PreferStandby);
    for harmless in ["gssencmode=prefer", "krbsrvname=x", "client_encoding=auto", "sslcompression=1", "replication=off"]
    {
        assert_eq!(message(harmless), "no error");
    }
}

#[test]
fn wrong_values_are_named() {
    for (text, expected) in [
        ("hots=x", "unknown keyword \"hots\""),
        ("port=x", "\"x\" in \"port\" is not a port number from 1 to 65535"),
        ("port=0", "\"0\" in \"port\" is not a port number from 1 to 65535"),
        ("host=a,b port=1,2,3", "\"port\" has 3 numbers for 2 servers; give one, or one for each"),
        ("host=a,b hostaddr=1.2.3.4", "\"host\" names 2 servers, but \"hostaddr\" has 1 addresses"),
        ("hostaddr=db1", "\"db1\" in \"hostaddr\" is not an IP address"),
        ("host=@x", "sockets without a file are not supported (host \"@x\"); use the directory of a socket file"),
        ("connect_timeout=soon", "the value \"soon\" of \"connect_timeout\" is not a number in its range"),
        (
            "sslmode=yes",
            "the value \"yes\" of \"sslmode\" is not one of disable, allow, prefer, require, verify-ca, verify-full",
        ),
        ("sslrootcert=system sslmode=require", "sslrootcert=system needs sslmode=verify-full"),
        ("sslnegotiation=direct", "sslnegotiation=direct needs sslmode=require or stronger"),
        ("gssencmode=require", "gssencmode=require is not supported; use sslmode=require"),
        (
            "ssl_max_protocol_version=TLSv1.1",
            "the value \"TLSv1.1\" of \"ssl_max_protocol_version\" is not one of TLSv1.2, TLSv1.3",
        ),
    ] {
        assert_eq!(message(text), expected, "{text}");
    }
    for refused in ["require_auth=none", "replication=database", "min_protocol_version=3.2", "scram_client_key=x"] {
        assert!(message(refused).contains("support") || message(refused).contains("leave it out"), "{refused}");
    }
}
