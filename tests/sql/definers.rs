//! Functions that run with the rights of their owner look nothing up where a caller could have put something.

use crate::support::{QUEUE, Replication};

const PINNED: &str = "search_path=pg_catalog, pg_temp";

/// A captured database: tables whose columns do and do not look at settings, captured in each way, with partitions.
fn captured() -> Replication {
    let r = Replication::new();
    let plain = "(id int primary key, v text, n numeric)";
    r.provider.sql(&format!(
        "create table plain {plain}; create table rows {plain}; create table urlenc {plain}; create table json {plain};
         create table early {plain};
         create table known (id date primary key, t timestamptz, f float8, i interval, b bytea, m money);
         create table unknown (id int primary key, r int4range);
         create function f() returns trigger language plpgsql as 'begin return null; end';
         create trigger f after insert or update or delete on early for each row execute procedure f()"
    ));
    r.install();
    let add = |table: &str, capture: &str, format: &str| {
        r.provider.sql(&format!(
            "select londiste.provider_add_table_as('{QUEUE}', 'public.{table}', '{capture}', '{format}', null)"
        ));
    };
    for (table, capture, format) in [
        ("plain", "statement", "sql"),
        ("rows", "row", "sql"),
        ("urlenc", "statement", "urlenc"),
        ("json", "row", "json"),
        ("early", "statement", "sql"),
        ("known", "statement", "sql"),
        ("unknown", "statement", "sql"),
    ] {
        add(table, capture, format);
    }
    if r.provider.major() >= 11 {
        r.provider.sql(&format!(
            "create table parts {plain} partition by range (id);
             create table part partition of parts for values from (0) to (100)"
        ));
        add("parts", "statement", "sql");
    }
    r
}

/// The exceptions are generated capture functions, on purpose: a set clause costs up to a tenth of the capture of a row, and
/// they name the schema of everything, which the next test looks at.
#[test]
fn every_definer_function_but_generated_ones_pins_its_search_path() {
    let r = captured();
    let without = r.provider.column(&format!(
        "select p.oid::regproc from pg_proc p
         where p.pronamespace in ('pgq'::regnamespace, 'londiste'::regnamespace) and p.prosecdef
           and not coalesce('{PINNED}' = any (p.proconfig), false)
         order by 1"
    ));
    let (generated, written): (Vec<_>, Vec<_>) = without
        .iter()
        .partition(|name| name.trim_start_matches("londiste.capture_").starts_with(|c: char| c.is_ascii_digit()));
    assert_eq!(written, Vec::<&String>::new());
    assert!(!generated.is_empty(), "an exception that nothing needs");
    // A column type that is not known gets all settings.
    let unknown = r.provider.column(
        "select p.proconfig::text from pg_proc p join pg_trigger t on t.tgfoid = p.oid and t.tgrelid = 'unknown'::regclass",
    );
    assert_eq!(unknown.len(), 4);
    assert!(unknown.iter().all(|config| config.contains(PINNED)), "{unknown:?}");
}

#[test]
fn generated_functions_name_the_schema_of_everything() {
    let r = captured();
    let sources =
        r.provider.rows("select oid::regproc, prosrc from pg_proc where proname ~ '^capture_[0-9]+_' order by 1");
    assert!(sources.len() > 20, "{}", sources.len());
    for row in &sources {
        assert_eq!(unqualified(&row[1]), Vec::<String>::new(), "{}:\n{}", row[0], row[1]);
    }
    // The generic way, which a generated function executes under the writer's search_path.
    for (operation, level) in
        [("i", "statement"), ("u", "statement"), ("d", "statement"), ("u", "dynamic"), ("d", "table")]
    {
        for table in ["plain", "urlenc", "json", "known", "unknown"] {
            let statement = r.provider.value(&format!(
                "set search_path = pg_catalog, pg_temp;
                 select londiste.capture_statement('{QUEUE}', 'public.{table}', 'public.{table}'::regclass, '{operation}', '{level}')"
            ));
            assert_eq!(unqualified(&statement), Vec::<String>::new(), "{table}, {operation}, {level}:\n{statement}");
        }
    }
    for bad in ["a = b", "now()", "x::text", "pg_catalog.concat(format('%s', 1))", "a operator(=) b", "v_x text;"] {
        assert_eq!(unqualified(bad).len(), 1, "{bad}");
    }
}

/// Words that stand before a parenthesis and are no functions: keywords, and the aliases with columns of the generator.
const NO_FUNCTIONS: &str = "coalesce row exists values operator in and or not when where if elsif from lateral join as on using \
                            over conflict then select else array u r t";

/// Functions, operators and types of a source that stand there without their schema.
fn unqualified(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let tokens = tokens(source);
    let text = |nr: usize| tokens.get(nr).map_or("", String::as_str);
    for nr in 0..tokens.len() {
        let (before, token, after) = (if nr == 0 { "" } else { text(nr - 1) }, text(nr), text(nr + 1));
        let is_name = token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '"');
        let is_function =
            is_name && after == "(" && before != "." && !NO_FUNCTIONS.split(' ').any(|word| word == token);
        let is_operator = token.starts_with(|c| "=<>+-*/~!@#%^&|?".contains(c))
            && !(token == "*" && (before == "." || before == "select"))
            && !(token == "=" && nr >= 2 && text(nr - 2) == "set")
            // The sign of a number.
            && !(token == "-" && after.starts_with(|c: char| c.is_ascii_digit()))
            && !(before == "." && nr >= 4 && text(nr - 2) == "pg_catalog" && text(nr - 4) == "operator");
        let is_cast = before == "::" && token != "pg_catalog";
        // A declaration: name, type, semicolon.
        let is_declared = before.starts_with("v_") && is_name && after == ";" && text(nr.wrapping_sub(2)) != ":=";
        if is_function || is_operator || is_cast || is_declared {
            found.push(format!("{before} {token} {after}"));
        }
    }
    found
}

/// Names, operators and punctuation; literals and comments are left out.
fn tokens(source: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let chars: Vec<char> = source.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        let start = at;
        match chars[at] {
            '-' if chars.get(at + 1) == Some(&'-') => {
                at += chars[at..].iter().position(|c| *c == '\n').unwrap_or(chars.len() - at);
                continue;
            }
            'E' if chars.get(at + 1) == Some(&'\'') => {
                at += 2;
                while chars[at] != '\'' || chars.get(at + 1) == Some(&'\'') {
                    at += if chars[at] == '\\' || chars[at] == '\'' { 2 } else { 1 };
                }
                at += 1;
                continue;
            }
            quote @ ('\'' | '"') => {
                at += 1;
                while chars[at] != quote || chars.get(at + 1) == Some(&quote) {
                    at += if chars[at] == quote { 2 } else { 1 };
                }
                at += 1;
                if quote == '\'' {
                    continue;
                }
            }
            c if c.is_alphanumeric() || c == '_' => {
                while at < chars.len() && (chars[at].is_alphanumeric() || chars[at] == '_') {
                    at += 1;
                }
            }
            ':' => at += if matches!(chars.get(at + 1), Some(':' | '=')) { 2 } else { 1 },
            c if "=<>+-*/~!@#%^&|?".contains(c) => {
                while at < chars.len() && "=<>+-*/~!@#%^&|?".contains(chars[at]) {
                    at += 1;
                }
            }
            c => {
                at += 1;
                if c.is_whitespace() {
                    continue;
                }
            }
        }
        tokens.push(chars[start..at].iter().collect());
    }
    tokens
}
