//! What `examples/` has for monitoring programs fits what the program serves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pretty_assertions::assert_eq;
use rlondiste::http::metrics;
use serde_json::{Value, json};

use super::{Client, Ticking, wait_for_metrics};
use crate::support::{Cluster, Replication, Scratch};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

fn read(path: &str) -> String {
    fs::read_to_string(examples().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The labels of each metric, by the program's own reference.
fn known() -> BTreeMap<String, BTreeSet<String>> {
    let reference = metrics::reference();
    let words = |text: &str| text.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').collect();
        Some((words(cells.get(1)?).first()?.clone(), words(cells.get(4)?).into_iter().collect()))
    };
    reference.lines().filter_map(row).collect()
}

/// The metrics of an expression, with the labels that it asks them for.
fn used(expression: &str) -> Vec<(String, Vec<String>)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for prefix in ["pgq_", "londiste_", "rlondiste_"] {
        for (at, _) in expression.match_indices(prefix) {
            if expression[..at].ends_with(is_word) {
                continue;
            }
            let rest = &expression[at..];
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let selector = rest[end..].strip_prefix('{').and_then(|rest| rest.split('}').next()).unwrap_or_default();
            // Of `a="x", b=~"y"` the names.
            let labels =
                selector.split(',').filter_map(|part| Some(part.split_once('=')?.0.trim_end_matches('!').trim()));
            found.push((rest[..end].to_owned(), labels.map(str::to_owned).collect()));
        }
    }
    found
}

/// The labels that a text for people names, as `{{queue}}` or `{{ $labels.queue }}`.
fn shown(text: &str) -> Vec<String> {
    let names = text.split("{{").skip(1).filter_map(|part| part.split("}}").next()).map(str::trim);
    let label = |name: &str| match name.strip_prefix("$labels.") {
        Some(label) => Some(label.to_owned()),
        None => (!name.starts_with('$')).then(|| name.to_owned()),
    };
    names.filter_map(label).collect()
}

/// Every metric exists, has the labels that it is asked for, and those that are shown of it.
#[track_caller]
fn assert_exists(expression: &str, texts: &[&str]) -> usize {
    let (known, used) = (known(), used(expression));
    let mut of_all = BTreeSet::from(["instance", "job"].map(str::to_owned));
    for (metric, labels) in &used {
        let has = known.get(metric).unwrap_or_else(|| panic!("there is no {metric}: {expression}"));
        for label in labels {
            assert!(has.contains(label) || of_all.contains(label), "{metric} has no label {label}: {expression}");
        }
        of_all.extend(has.iter().cloned());
    }
    for label in texts.iter().flat_map(|text| shown(text)) {
        assert!(of_all.contains(&label), "no label {label}: {expression}");
    }
    used.len()
}

#[test]
fn dashboard_asks_for_metrics_that_exist() {
    let dashboard: Value = serde_json::from_str(&read("grafana/rlondiste.json")).unwrap();
    let mut ids = BTreeSet::new();
    let mut count = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        for target in panel["targets"].as_array().into_iter().flatten() {
            count += assert_exists(target["expr"].as_str().unwrap(), &[target["legendFormat"].as_str().unwrap()]);
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        if let Some(query) = variable["definition"].as_str() {
            count += assert_exists(query, &[]);
        }
    }
    // Nearly all metrics are on it.
    assert!(count >= known().len() - 4, "{count}");
}

#[test]
fn rules_ask_for_metrics_that_exist() {
    let text = read("prometheus/rlondiste.rules.yml");
    let mut count = 0;
    for rule in text.split("- alert: ").skip(1) {
        let field = |name: &str| rule.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap_or_default();
        let expression = field("expr: ");
        let used = assert_exists(expression, &[field("summary: "), field("description: ")]);
        assert!(used > 0 || expression == "up{job=\"rlondiste\"} == 0", "{rule}");
        count += 1;
        // Each rule has a test.
        let name = rule.lines().next().unwrap();
        let tests = read("prometheus/rlondiste.test.yml");
        assert!(tests.contains(&format!("alertname: {name}\n        exp_alerts:\n")), "{name} has no test");
    }
    assert_eq!(count, text.matches("expr: ").count());
    assert!(count > 10, "{count}");
}

/// `promtool` of Debian's package `prometheus`, in the path or as `tests/install-peers.sh` unpacks it.
fn promtool() -> Option<PathBuf> {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/promtool/usr/bin/promtool");
    let found = [unpacked, PathBuf::from("promtool")]
        .into_iter()
        .find(|path| Command::new(path).arg("--version").output().is_ok());
    if found.is_none() {
        println!("no promtool: run tests/install-peers.sh");
    }
    found
}

/// Runs promtool and asserts that nothing is wrong with what it reads.
#[track_caller]
fn check(promtool: &Path, args: &[&str], input: &str) -> String {
    let mut child = Command::new(promtool)
        .args(args)
        .current_dir(examples().join("prometheus"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    assert!(output.status.success(), "{args:?}: {text}");
    text
}

#[test]
fn promtool_likes_the_rules_and_they_do_what_their_tests_say() {
    let Some(promtool) = promtool() else { return };
    let text = check(&promtool, &["check", "rules", "rlondiste.rules.yml"], "");
    assert!(text.contains("15 rules found"), "{text}");
    let text = check(&promtool, &["test", "rules", "rlondiste.test.yml"], "");
    assert!(text.contains("SUCCESS"), "{text}");
}

/// A program that does not answer has no values. No panel may show a number then: 0 tables that are not ok would be a lie.
#[test]
fn dashboard_shows_nothing_where_nothing_is_known() {
    let Some(promtool) = promtool() else { return };
    let dashboard: Value = serde_json::from_str(&read("grafana/rlondiste.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let expressions: Vec<Value> = targets
        .map(|target| {
            let expression = target["expr"].as_str().unwrap().replace("$__rate_interval", "1m");
            json!({"expr": expression, "eval_time": "0m", "exp_samples": []})
        })
        .collect();
    assert!(expressions.len() > 20, "{expressions:?}");
    let (scratch, tests) = (Scratch::new(), json!({"tests": [{"input_series": [], "promql_expr_test": expressions}]}));
    let file = scratch.path().join("dashboard.test.yml");
    fs::write(&file, tests.to_string()).unwrap();
    let text = check(&promtool, &["test", "rules", file.to_str().unwrap()], "");
    assert!(text.contains("SUCCESS"), "{text}");
}

#[test]
fn promtool_likes_the_metrics() {
    let Some(promtool) = promtool() else { return };
    let (ticker, replay) = (Client::new(), Client::new());
    let mut r = Replication::new().with_table("t", "id int primary key");
    r.ticker.configure("http_listen", &ticker.port_text());
    r.londiste.configure("http_listen", &replay.port_text());
    let _r = r.up();
    for http in [&ticker, &replay] {
        let text = http.send("GET /metrics HTTP/1.1\r\nhost: here\r\n\r\n").ok();
        assert_eq!(check(&promtool, &["check", "metrics"], &text), "");
    }
}

/// The user parameters of the Zabbix agent: names and commands.
fn user_parameters() -> Vec<(String, String)> {
    let text = read("zabbix/rlondiste.conf");
    let lines = text.lines().filter_map(|line| line.strip_prefix("UserParameter="));
    lines
        .map(|line| line.split_once(',').unwrap())
        .map(|(name, command)| (name.to_owned(), command.to_owned()))
        .collect()
}

/// Runs a user parameter as the agent does: the key's parameters replace `$1` and so on where the name ends in `[*]`.
fn item(ports: [u16; 2], key: &str, parameters: &[&str]) -> String {
    let (name, command) = user_parameters()
        .into_iter()
        .find(|(name, _)| name.trim_end_matches("[*]") == key)
        .unwrap_or_else(|| panic!("no user parameter {key}"));
    let mut command =
        command.replace(":9187/", &format!(":{}/", ports[0])).replace(":9188/", &format!(":{}/", ports[1]));
    if name.ends_with("[*]") {
        for number in 1..=9 {
            command = command.replace(&format!("${number}"), parameters.get(number - 1).unwrap_or(&""));
        }
    }
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn zabbix_items_are_the_values_of_the_metrics() {
    if Command::new("curl").arg("--version").output().is_err() {
        println!("no curl");
        return;
    }
    let (ticker, replay) = (Client::new(), Client::new());
    let mut r = Replication::new().with_table("t", "id int primary key");
    r.ticker.configure("http_listen", &ticker.port_text());
    r.londiste.configure("http_listen", &replay.port_text());
    let r = r.up();
    let ports = [ticker.port(), replay.port()];
    let (queue, consumer, database) = (crate::support::QUEUE, "db1-londiste", r.provider.name());
    for (key, _) in user_parameters() {
        let key = key.trim_end_matches("[*]");
        let value = match key {
            "pgq_queue_discovery" => {
                let expected = serde_json::json!([{"{#DATABASE}": database, "{#QUEUE}": queue}]);
                assert_eq!(serde_json::from_str::<Value>(&item(ports, key, &[])).unwrap(), expected);
                continue;
            }
            "pgq_consumer_discovery" => {
                let found: Value = serde_json::from_str(&item(ports, key, &[])).unwrap();
                let expected = serde_json::json!({"{#DATABASE}": database, "{#QUEUE}": queue, "{#CONSUMER}": consumer});
                assert!(found.as_array().unwrap().contains(&expected), "{found}");
                continue;
            }
            "rlondiste.health" => {
                assert_eq!(item(ports, key, &[&replay.port_text()]), "200");
                continue;
            }
            "pgq_database_up" => item(ports, key, &[database]),
            _ => item(ports, key, &[queue, consumer]),
        };
        let number: f64 = value.parse().unwrap_or_else(|_| panic!("{key} is {value:?}"));
        // A batch may have been finished after the transaction that reads its age began.
        assert!(number > -1.0, "{key}: {number}");
        match key {
            "londiste_tables_parked" | "londiste_tables_not_ok" => assert_eq!(number, 0.0, "{key}"),
            "pgq_database_up" => assert_eq!(number, 1.0),
            "pgq_queue_size_bytes" => assert!(number > 1000.0, "{number}"),
            _ => assert!(known().contains_key(key), "there is no {key}"),
        }
    }
    assert_eq!(item(ports, "pgq_consumer_lag_seconds", &[queue, "nobody"]), "");
}

#[test]
fn queries_of_the_exporter_give_the_names_of_the_ticker() {
    let ticking = Ticking::on(Cluster::provider());
    ticking.database.sql("select pgq.register_consumer('q', 'c')");
    ticking.job.start();
    let served =
        wait_for_metrics(&ticking.http, "the queue is read", |metrics| metrics.count("pgq_queue_size_bytes") == 1);
    let text = read("postgres_exporter/queries.yml");
    let known = known();
    let mut count = 0;
    for part in text.split("\npgq_").skip(1) {
        let (namespace, rest) = part.split_once(":\n").unwrap();
        let query = rest.split("query: \"").nth(1).unwrap().split("\"\n").next().unwrap();
        let metrics: Vec<&str> =
            rest.lines().filter_map(|line| line.trim().strip_prefix("- ")?.split(": {usage: ").next()).collect();
        for metric in metrics {
            let value = ticking.database.value(&format!("select {metric}::text from ({query}) q"));
            let is_label = rest.contains(&format!("- {metric}: {{usage: LABEL"));
            let name = format!("pgq_{namespace}_{metric}");
            assert_eq!(known.contains_key(&name), !is_label, "{name}");
            assert!(is_label || served.count(&name) == 1 || value.is_empty(), "{name} is {value}");
            count += 1;
        }
    }
    assert_eq!(count, 11);
}
