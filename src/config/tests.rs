//! What ini and TOML files mean.

use std::path::Path;

use pretty_assertions::assert_eq;

use super::*;
use crate::error::{Error, Report};

const LONDISTE: &str = "[londiste]\nprovider_db = dbname=a\nsubscriber_db = dbname=b\npgq_queue_name = q\n";

fn ini(text: &str) -> Result<File> {
    File::parse(Path::new("x.ini"), text.as_bytes(), "box")
}

fn londiste(lines: &str) -> Result<Londiste> {
    Londiste::load(&ini(&format!("{LONDISTE}{lines}\n"))?)
}

fn text_of(error: &Error) -> String {
    Report(error).to_string()
}

#[test]
fn defaults_are_those_of_the_original() {
    let config = londiste("").expect("valid");
    assert_eq!(config.common.job_name, "londiste");
    assert_eq!(config.pgq_consumer_id, "londiste");
    assert_eq!(config.common.pidfile, None);
    assert_eq!(config.common.log_size, 10_485_760);
    assert_eq!(config.common.log_count, 3);
    assert_eq!(config.common.loop_delay, Duration::from_secs(1));
    assert_eq!(config.common.connection_lifetime, Some(Duration::from_mins(20)));
    assert_eq!(config.lock_timeout, Some(Duration::from_secs(10)));
    assert_eq!(config.compare_sql, "select count(1) from only _TABLE_");
    assert_eq!(config.apply_memory, 64 << 20);
    assert_eq!(config.parallel_copies, 2);
    assert_eq!((config.capture, config.apply), (Capture::Auto, Apply::Set));
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn every_key_of_the_table_has_a_field_and_the_reverse() {
    let common: Vec<_> = fields(&Common::default());
    for (program, own, hidden) in [
        (Program::Pgqadm, fields(&pgqadm("").expect("valid")), vec!["db"]),
        (Program::Londiste, fields(&londiste("").expect("valid")), vec!["provider_db", "subscriber_db"]),
        (Program::Pgqd, fields(&pgqd("").expect("valid")), vec!["base_connstr"]),
    ] {
        let mut fields = [common.clone(), own, hidden.into_iter().map(str::to_owned).collect()].concat();
        let mut keys: Vec<_> = program.keys().map(|key| key.name.to_owned()).collect();
        fields.sort();
        keys.sort();
        assert_eq!(fields, keys, "{program:?}");
    }
}

fn fields(config: &impl Serialize) -> Vec<String> {
    let value = serde_json::to_value(config).expect("plain data");
    value.as_object().expect("a struct").keys().cloned().collect()
}

fn pgqadm(lines: &str) -> Result<Pgqadm> {
    Pgqadm::load(&ini(&format!("[pgqadm]\ndb = dbname=a\n{lines}\n"))?)
}

fn pgqd(lines: &str) -> Result<Pgqd> {
    Pgqd::load(&ini(&format!("[pgqd]\n{lines}\n"))?)
}

#[test]
fn values_become_typed() {
    let config = londiste(
        "job_name = j\nlogfile = /var/log/%(job_name)s.log\nloop_delay = 0.5\nconnection_lifetime = 0\n\
         lock_timeout = 0\napply_memory = 1GB\ncapture = row\nfake = 1\nparallel_copies = 4\n\
         copy_condition =\n  public.t: id > 5\n  public.u: x = 'a:b'\nmirror_queue =",
    );
    let config = config.expect("valid");
    assert_eq!(config.common.logfile, Some(PathBuf::from("/var/log/j.log")));
    assert_eq!(config.common.loop_delay, Duration::from_millis(500));
    assert_eq!(config.common.connection_lifetime, None);
    assert_eq!(config.lock_timeout, None);
    assert_eq!(config.apply_memory, 1 << 30);
    assert_eq!(config.capture, Capture::Row);
    assert!(config.fake);
    assert_eq!(config.pgq_consumer_id, "j");
    assert_eq!(config.copy_condition["public.u"], "x = 'a:b'");
    assert_eq!(config.mirror_queue, None);
}

#[test]
fn built_in_names_and_defaults_are_found_in_order() {
    let file =
        ini("[DEFAULT]\njob_name = d\nx = 1\n[s]\na = %(job_name)s %(service_name)s %(host_name)s %(x)s\nx = 2\n");
    let value = file.expect("valid").value("s", "a").expect("valid").expect("set");
    assert_eq!((value.text.as_str(), value.line), ("d s box 2", 5));
}

#[test]
fn the_old_spelling_of_maint_delay_counts_minutes() {
    for (lines, expected) in [
        ("", 300),
        ("maint_delay_min = 2", 120),
        ("maint_delay_min = -1", 300),
        ("maint_delay_min = 2\nmaint_delay = 7", 7),
    ] {
        assert_eq!(pgqadm(lines).expect("valid").maint_delay, Duration::from_secs(expected), "{lines:?}");
    }
}

#[test]
fn wrong_values_name_their_place_and_what_is_allowed() {
    for (line, expected) in [
        ("loop_delay = abc", "\"abc\" is not a number of seconds; write for example 30, 0.5 or 5min"),
        ("loop_delay = -1", "\"-1\" is not a number of seconds; write for example 30, 0.5 or 5min"),
        ("loop_delay = nan", "\"nan\" is not a number of seconds; write for example 30, 0.5 or 5min"),
        ("loop_delay =", "\"\" is not a number of seconds; write for example 30, 0.5 or 5min"),
        ("log_count = 1.5", "\"1.5\" is not a whole number, 0 or greater"),
        ("parallel_copies = 5000000000", "\"5000000000\" is not a number in the allowed range"),
        ("log_size = big", "\"big\" is not a number of bytes; write for example 65536, 512kB, 64MB or 1GB"),
        ("capture = both", "\"both\" is not allowed here; write \"auto\" or \"statement\" or \"row\""),
        ("method = file_write", "\"file_write\" is not allowed here; write \"direct\""),
        ("fake = maybe", "\"maybe\" is not 0 or 1"),
        ("job_name = %(nope)s", "it refers to %(nope)s, but no key \"nope\" is set in this section"),
    ] {
        let error = londiste(line).expect_err(line);
        let key = line.split(' ').next().expect("a key");
        assert_eq!(text_of(&error), format!("x.ini:5: section [londiste], key \"{key}\": {expected}"));
    }
}

#[test]
fn missing_things_name_what_to_write() {
    let missing = Londiste::load(&ini("[londiste]\nprovider_db = a\nsubscriber_db = b\n").expect("valid"));
    assert_eq!(
        text_of(&missing.expect_err("no queue name")),
        "x.ini: section [londiste], key \"pgq_queue_name\": not set; add a line such as \"pgq_queue_name = shop-queue\""
    );
    let missing = Londiste::load(&ini("[Londiste]\n").expect("valid"));
    assert_eq!(
        text_of(&missing.expect_err("no section")),
        "x.ini: Wrong config file, no section 'londiste': it has [Londiste]; put the keys below a line [londiste]"
    );
    let missing = File::read(Path::new("/nonexistent/nofile.ini")).expect_err("no file");
    assert!(text_of(&missing).starts_with("Config file not found: /nonexistent/nofile.ini\nHINT: "));
}

#[test]
fn unknown_keys_are_remarks_unless_a_value_refers_to_them() {
    let config = londiste("log_file = x\ncolour = red\nbase = /tmp\npidfile = %(base)s/p").expect("valid");
    assert_eq!(
        config.warnings,
        [
            "x.ini:5: section [londiste]: unknown key \"log_file\" is ignored; did you mean \"logfile\"?",
            "x.ini:6: section [londiste]: unknown key \"colour\" is ignored",
        ]
    );
    assert!(londiste("use_skylog = 1").expect("valid").warnings[0].contains("use_skylog is not supported"));
    assert!(londiste("http_listen =").expect("valid").common.http_listen.is_none());
}

#[test]
fn a_value_that_is_not_utf8_is_refused_and_a_comment_is_not() {
    let read = |bytes: &[u8]| File::parse(Path::new("x.ini"), &[LONDISTE.as_bytes(), bytes].concat(), "box");
    assert!(Londiste::load(&read(b"# gr\xfc\xdfe\n").expect("valid")).is_ok());
    let error = Londiste::load(&read(b"job_name = gr\xfcn\n").expect("valid")).expect_err("not UTF-8");
    assert!(text_of(&error).contains("not valid UTF-8"), "{error}");
}

#[test]
fn toml_has_the_same_sections_and_keys() {
    let text = "[DEFAULT]\nbase = '/var'\n[londiste]\nprovider_db = 'dbname=a'\nsubscriber_db = \"dbname=b\"\n\
                pgq_queue_name = 'q'\nlogfile = '%(base)s/%(job_name)s-100%.log'\nloop_delay = 0.25\nlog_size = 0x10\n\
                fake = true\n[londiste.copy_condition]\n'public.t' = 'id > 5'\n";
    let file = File::parse(Path::new("x.toml"), text.as_bytes(), "box").expect("valid");
    let config = Londiste::load(&file).expect("valid");
    assert_eq!(config.common.logfile, Some(PathBuf::from("/var/londiste-100%.log")));
    assert_eq!(config.common.loop_delay, Duration::from_millis(250));
    assert_eq!(config.common.log_size, 16);
    assert!(config.fake);
    assert_eq!(config.copy_condition["public.t"], "id > 5");
    for (text, expected) in [
        ("x = 1\n", "x.toml:1: key \"x\" stands outside of a section such as [londiste]"),
        ("[s]\nd = 2020-01-01\n", "x.toml:2: key \"d\" cannot be a date or time; use a string, a number or a boolean"),
    ] {
        let error = File::parse(Path::new("x.toml"), text.as_bytes(), "box").expect_err(text);
        assert_eq!(text_of(&error), expected);
    }
    let error = File::parse(Path::new("x.toml"), b"[s]\na = \n", "box").expect_err("no value");
    assert!(text_of(&error).starts_with("x.toml:2: not valid TOML: "), "{error}");
}

/// The sample with its commented keys taken as set.
fn uncommented(sample: &str) -> String {
    let is_key = |line: &str| line.split_once(" =").is_some_and(|(key, _)| keys::KEYS.iter().any(|k| k.name == key));
    let lines = sample.lines().map(|line| line.strip_prefix('#').filter(|rest| is_key(rest)).unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn samples_load_and_show_every_key_with_its_default() {
    let sample = Pgqadm::load(&ini(PGQADM_SAMPLE).expect("valid")).expect("valid");
    assert_eq!((sample.warnings.len(), sample.common.job_name.as_str()), (0, "ticker"));
    let sample = Londiste::load(&ini(LONDISTE_SAMPLE).expect("valid")).expect("valid");
    assert_eq!((sample.warnings.len(), sample.pgq_consumer_id.as_str()), (0, "shop_to_reports"));
    for (program, sample) in [(Program::Pgqadm, PGQADM_SAMPLE), (Program::Londiste, LONDISTE_SAMPLE)] {
        let file = ini(&uncommented(sample)).expect("valid");
        for key in program.keys() {
            let value = file.value(program.section(), key.name).expect("valid").map(|value| value.text);
            match (key.default, value) {
                (keys::Default::Is(default), Some(value)) => assert_eq!(value, default, "{}", key.name),
                (_, value) => assert!(value.is_some(), "{program:?} lacks {}", key.name),
            }
        }
    }
}

#[test]
fn databases_of_pgqd_are_split() {
    let config = pgqd("database_list = a, b\n  c").expect("valid");
    assert_eq!(config.databases().collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn references_do_not_multiply_without_bound() {
    let many = |name: &str| format!("%({name})s").repeat(100);
    let text = format!("[s]\na = {}\nb = {}\nc = {}\nd = 0123456789\n", many("b"), many("c"), many("d"));
    let value = ini(&text).expect("valid").value("s", "a").map(|value| value.map(|value| value.text.len()));
    let error = value.expect_err("10 MB");
    assert!(
        text_of(&error).contains("with its %(name)s references filled in it is longer than 65536 bytes"),
        "{error}"
    );
    // Values that come to nothing take time.
    let text = format!("[s]\na = {}\nb = {}\nc = {}\nd =\n", many("b"), many("c"), many("d"));
    let error = ini(&text).expect("valid").value("s", "a").map(drop).expect_err("a million references");
    assert!(text_of(&error).contains("it comes to more than 10000 %(name)s references"), "{error}");
    // TOML has the same references.
    let text = format!("[s]\na = '{}'\nb = '{}'\nc = '{}'\nd = '0123456789'\n", many("b"), many("c"), many("d"));
    let file = File::parse(Path::new("x.toml"), text.as_bytes(), "box").expect("valid");
    file.value("s", "a").map(drop).expect_err("10 MB");
    // What does without references may be as long as it likes.
    let long = "x".repeat(100_000);
    let file = ini(&format!("[s]\na = {long}\n")).expect("valid");
    assert_eq!(file.value("s", "a").expect("valid").expect("set").text, long);
}
