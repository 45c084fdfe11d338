//! The two spellings of a connection string, `keyword = value` and URI, split into keywords and values. Pure.
//!
//! Messages name keywords and never show values, because any stray word may be a piece of a password.

use super::keyword;

/// Keywords with their values, in order. Of a repeated keyword the last counts.
pub(super) type Pairs = Vec<(&'static str, String)>;

/// Splits a connection string. The error says what is wrong, without any value.
pub(super) fn split(text: &str) -> Result<Pairs, String> {
    match text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://")) {
        Some(rest) => split_uri(rest),
        None => split_pairs(text),
    }
}

fn unknown(name: &str) -> String {
    format!("unknown keyword \"{name}\"")
}

/// Splits `keyword = value` pairs. As in libpq, a quote or backslash inside of a value is written with a backslash before it;
/// two quotes do not stand for one.
fn split_pairs(text: &str) -> Result<Pairs, String> {
    let mut settings = Pairs::new();
    let mut rest = text.trim_start_matches(is_space);
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || is_space(c)).unwrap_or(rest.len());
        let name = &rest[..end];
        let Some(value) = rest[end..].trim_start_matches(is_space).strip_prefix('=') else {
            return Err(match settings.last() {
                Some((before, _)) => format!(
                    "the word after the value of \"{before}\" is not followed by \"=\"; a value with blanks is written \
                     in single quotes"
                ),
                None => "the first word is not followed by \"=\"; write for example dbname=shop host=db1".to_owned(),
            });
        };
        let name = keyword::known(name).ok_or_else(|| match settings.last() {
            // The rest of a password with blanks.
            Some((before, _)) if before.contains("password") => format!(
                "the text after the value of \"{before}\" does not begin with a keyword; a value with blanks is written in \
                 single quotes"
            ),
            _ => unknown(name),
        })?;
        let (value, after) = take_value(name, value.trim_start_matches(is_space))?;
        settings.push((name, value));
        rest = after.trim_start_matches(is_space);
    }
    Ok(settings)
}

/// Reads the value at the beginning of `text`, in quotes or not. Returns the value and the text behind it.
fn take_value<'a>(name: &str, text: &'a str) -> Result<(String, &'a str), String> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            c if !quoted && is_space(c) => return Ok((value, &text[at..])),
            c => value.push(c),
        }
    }
    if quoted { Err(format!("the quoted value of \"{name}\" has no closing quote")) } else { Ok((value, "")) }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// The part of a URI after `postgresql://`: `user:password@host:port,host:port/dbname?keyword=value&...`.
fn split_uri(text: &str) -> Result<Pairs, String> {
    let mut settings = Pairs::new();
    let mut add = |name: &'static str, value: &str| -> Result<(), String> {
        if !value.is_empty() {
            settings.push((name, decode(name, value)?));
        }
        Ok(())
    };
    let mut rest = text;
    // The first "@" before any "/" ends user and password, even when a "?" stands before it.
    if let Some(at) = text.find(['@', '/']).filter(|at| text[*at..].starts_with('@')) {
        let (user, password) = text[..at].split_once(':').unwrap_or((&text[..at], ""));
        add("user", user)?;
        add("password", password)?;
        rest = &text[at + 1..];
    }
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let (hosts, dbname) = rest.split_once('/').unwrap_or((rest, ""));
    let (hosts, ports) = split_hosts(hosts)?;
    // What stands there instead may be a password.
    if !ports.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b',' | b'%')) {
        return Err(
            "the port in the URI is not a number; \"@\" ends user and password, and a \"/\" inside of them is \
                    written %2F"
                .to_owned(),
        );
    }
    add("host", &hosts)?;
    add("port", &ports)?;
    add("dbname", dbname)?;
    for pair in query.into_iter().flat_map(|query| query.split_terminator('&')) {
        settings.push(split_parameter(pair)?);
    }
    Ok(settings)
}

/// The hosts and the ports of `a:1,[::1],b:2`, each as a list separated by commas, or empty when none is given.
fn split_hosts(text: &str) -> Result<(String, String), String> {
    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    for item in text.split(',') {
        let (host, after) = match item.strip_prefix('[') {
            Some(inner) => {
                let (address, after) =
                    inner.split_once(']').ok_or("an IPv6 address in the URI has no closing bracket")?;
                if address.is_empty() {
                    return Err("an IPv6 address in the URI is empty".to_owned());
                }
                (address, after)
            }
            None => item.split_at(item.find(':').unwrap_or(item.len())),
        };
        hosts.push(host);
        ports.push(match after.strip_prefix(':') {
            Some(port) => port,
            None if after.is_empty() => "",
            None => return Err("an IPv6 address in the URI is followed by something that is not \":PORT\"".to_owned()),
        });
    }
    let join = |list: Vec<&str>| if list.iter().all(|item| item.is_empty()) { String::new() } else { list.join(",") };
    // Several empty hosts are several default sockets, told apart by their ports.
    let ports_text = if ports.len() == 1 { ports[0].to_owned() } else { join(ports) };
    let hosts_text = if hosts.len() == 1 { hosts[0].to_owned() } else { hosts.join(",") };
    Ok((hosts_text, ports_text))
}

fn split_parameter(pair: &str) -> Result<(&'static str, String), String> {
    let Some((name, value)) = pair.split_once('=') else {
        return Err("a parameter after \"?\" in the URI has no \"=\"".to_owned());
    };
    let name = decode("parameter name", name)?;
    if value.contains('=') {
        return Err(format!("parameter \"{name}\" in the URI has more than one \"=\"; write %3D inside of a value"));
    }
    // The spelling of the JDBC driver, which libpq accepts too.
    if name == "ssl" && value == "true" {
        return Ok(("sslmode", "require".to_owned()));
    }
    let name = keyword::known(&name).ok_or_else(|| unknown(&name))?;
    Ok((name, decode(name, value)?))
}

/// Replaces `%XX`.
fn decode(name: &str, text: &str) -> Result<String, String> {
    let wrong = |what: &str| format!("the value of \"{name}\" in the URI {what}");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        match byte.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(0) => return Err(wrong("has a zero byte, %00")),
            Some(byte) => bytes.push(byte),
            None => return Err(wrong("has a \"%\" without two hexadecimal digits; a single % is written %25")),
        }
        rest = &after[2..];
    }
    String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8 after decoding"))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: Result<&[(&str, &str)], &str>) {
        let got = split(text);
        match expected {
            Ok(pairs) => {
                let pairs: Vec<_> = pairs.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
                assert_eq!(got, Ok(pairs), "{text}");
            }
            Err(part) => assert!(got.as_ref().is_err_and(|e| e.contains(part)), "{text}: {got:?}"),
        }
    }

    #[test]
    fn keyword_value_strings_are_split_as_libpq_does() {
        check("", Ok(&[]));
        check("  \n ", Ok(&[]));
        check("dbname=a host=b", Ok(&[("dbname", "a"), ("host", "b")]));
        check("dbname = a\nhost\t=\tb\n", Ok(&[("dbname", "a"), ("host", "b")]));
        check("password='a b' user=u", Ok(&[("password", "a b"), ("user", "u")]));
        check(r"password='it\'s \\ here'", Ok(&[("password", r"it's \ here")]));
        check(r"password=a\ b\'c", Ok(&[("password", "a b'c")]));
        check("password=it's", Ok(&[("password", "it's")]));
        check("dbname='' host=b", Ok(&[("dbname", ""), ("host", "b")]));
        check("dbname= host=b", Ok(&[("dbname", "host=b")]));
        check("dbname='a'host=b", Ok(&[("dbname", "a"), ("host", "b")]));
        check("dbname=a\\", Ok(&[("dbname", "a")]));
        check("dbname", Err("the first word is not followed"));
        check("password=my secret", Err("the word after the value of \"password\""));
        check("password='secret", Err("the quoted value of \"password\" has no closing quote"));
        check("hots=b", Err("unknown keyword \"hots\""));
        check("=b", Err("unknown keyword \"\""));
    }

    #[test]
    fn uris_are_split_as_libpq_does() {
        check("postgresql://", Ok(&[]));
        check("postgres://localhost", Ok(&[("host", "localhost")]));
        check("postgresql:///mydb", Ok(&[("dbname", "mydb")]));
        check("postgresql://u@h:1/d", Ok(&[("user", "u"), ("host", "h"), ("port", "1"), ("dbname", "d")]));
        check(
            "postgresql://u:p%40%2F%25@h/d%20e?application_name=a%26b&sslmode=require",
            Ok(&[
                ("user", "u"),
                ("password", "p@/%"),
                ("host", "h"),
                ("dbname", "d e"),
                ("application_name", "a&b"),
                ("sslmode", "require"),
            ]),
        );
        check("postgresql://h1:1,h2,h3:3/d", Ok(&[("host", "h1,h2,h3"), ("port", "1,,3"), ("dbname", "d")]));
        check("postgresql://h1,h2/d", Ok(&[("host", "h1,h2"), ("dbname", "d")]));
        check("postgresql://:1,:2/d", Ok(&[("host", ","), ("port", "1,2"), ("dbname", "d")]));
        check("postgresql://[::1]:5/d", Ok(&[("host", "::1"), ("port", "5"), ("dbname", "d")]));
        check("postgresql://%2Fvar%2Frun/d", Ok(&[("host", "/var/run"), ("dbname", "d")]));
        check("postgresql://h?ssl=true", Ok(&[("host", "h"), ("sslmode", "require")]));
        check("postgresql:///d?host=/tmp&port=7", Ok(&[("dbname", "d"), ("host", "/tmp"), ("port", "7")]));
        check(
            "postgresql://u:a?b@h?user=x@y",
            Ok(&[("user", "u"), ("password", "a?b"), ("host", "h"), ("user", "x@y")]),
        );
        check("postgresql://[::1", Err("no closing bracket"));
        check("postgresql://[]", Err("is empty"));
        check("postgresql://[::1]x", Err("followed by something"));
        check("postgresql://u:100%@h", Err("the value of \"password\" in the URI has a \"%\""));
        check("postgresql://h/%00", Err("zero byte"));
        check("postgresql://h/%ff", Err("not UTF-8"));
        check("postgresql://h?sslmode", Err("has no \"=\""));
        check("postgresql://h?options=a=b", Err("more than one \"=\""));
        check("postgresql://h?colour=red", Err("unknown keyword \"colour\""));
    }

    #[test]
    fn messages_show_no_values() {
        for text in [
            "password=my secret",
            "password=my secret=word",
            "sslpassword=my secret = word",
            "password='secret",
            "postgresql://u:secret%@h",
            "postgresql://u:s@h?secret",
            "postgresql://u:secret/word@h/d",
            "postgresql://u:secret/d",
        ] {
            let message = split(text).expect_err(text);
            assert!(!message.contains("secret"), "{message}");
        }
    }

    proptest! {
        #[test]
        fn splitting_never_panics(text in "\\PC*", uri in "[a-z:@/?,%0-9=&\\[\\]é]*") {
            let _ = split(&text);
            let _ = split(&format!("postgresql://{uri}"));
        }

        #[test]
        fn a_quoted_value_comes_back(value in "[ -~\n]*") {
            let text = format!("password='{}' user=u", value.replace('\\', r"\\").replace('\'', r"\'"));
            prop_assert_eq!(split(&text), Ok(vec![("password", value), ("user", "u".to_owned())]));
        }

        #[test]
        fn an_encoded_value_comes_back(value in "\\PC+") {
            let encoded = value.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"));
            prop_assert_eq!(split(&format!("postgresql:///{encoded}")), Ok(vec![("dbname", value)]));
        }
    }
}
