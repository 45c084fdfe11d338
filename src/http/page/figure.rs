//! Numbers as people read them.

/// A duration: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub(super) fn duration(seconds: f64) -> String {
    // Of two clocks one may be ahead by a little.
    let negative = if seconds <= -0.05 { "\u{2212}" } else { "" };
    let seconds = seconds.abs();
    let text = if seconds < 9.95 {
        if seconds < 0.05 { "0 s".to_owned() } else { format!("{seconds:.1} s") }
    } else if seconds < 59.5 {
        format!("{seconds:.0} s")
    } else if seconds < 3599.5 {
        two(seconds, 1.0, (60.0, "min"), "s")
    } else if seconds < 86_370.0 {
        two(seconds, 60.0, (60.0, "h"), "min")
    } else {
        two(seconds, 3600.0, (24.0, "d"), "h")
    };
    format!("{negative}{text}")
}

/// `seconds` in two units: the smaller one of `small` seconds, of which `count` are a greater one.
fn two(seconds: f64, small: f64, (count, great): (f64, &str), name: &str) -> String {
    let all = (seconds / small).round();
    let (whole, rest) = ((all / count).floor(), all % count);
    if rest == 0.0 { format!("{whole} {great}") } else { format!("{whole} {great} {rest} {name}") }
}

/// A number: `0`, `0.25`, `12.5`, `1,234`, `1.23 million`.
pub(super) fn count(number: f64) -> String {
    match number.abs() {
        0.0 => "0".to_owned(),
        size if size < 9.95 && number.fract() != 0.0 => trimmed(&format!("{number:.1}")),
        size if size < 999_999.5 => grouped(&format!("{number:.0}")),
        size if size < 999.5e6 => format!("{:.2} million", number / 1e6),
        _ => format!("{} million", grouped(&format!("{:.0}", number / 1e6))),
    }
}

fn trimmed(text: &str) -> String {
    text.trim_end_matches(".0").to_owned()
}

fn grouped(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("\u{2212}", digits));
    let mut text = String::from(sign);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size: `512 B`, `1.5 kB`, `23 MB`, `4.1 GB`.
pub(super) fn size(bytes: f64) -> String {
    let mut value = bytes;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 999.5 {
            let digits = usize::from(value < 9.95 && unit != "B");
            return format!("{value:.digits$} {unit}");
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

/// A rate: `0 events/s`, `0.5 rows/s`.
pub(super) fn rate(number: f64, what: &str) -> String {
    format!("{} {what}/s", count(number))
}

/// `1 table`, `2 tables`.
pub(super) fn counted(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn numbers_are_short_and_have_units() {
        for (seconds, text) in [
            (0.0, "0 s"),
            (0.04, "0 s"),
            (-0.04, "0 s"),
            (0.44, "0.4 s"),
            (9.94, "9.9 s"),
            (9.96, "10 s"),
            (59.6, "1 min"),
            (200.4, "3 min 20 s"),
            (3599.6, "1 h"),
            (7500.0, "2 h 5 min"),
            (86_399.0, "1 d"),
            (277_000.0, "3 d 5 h"),
            (-5.0, "\u{2212}5.0 s"),
        ] {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
        for (number, text) in [
            (0.0, "0"),
            (0.25, "0.2"),
            (2.0, "2"),
            (12.4, "12"),
            (1234.0, "1,234"),
            (999_999.0, "999,999"),
            (1_234_567.0, "1.23 million"),
            (12_345_678_901.0, "12,346 million"),
            (-1234.0, "\u{2212}1,234"),
        ] {
            assert_eq!(count(number), text, "{number}");
        }
        for (bytes, text) in [
            (0.0, "0 B"),
            (512.0, "512 B"),
            (1500.0, "1.5 kB"),
            (24_576.0, "25 kB"),
            (4.14e9, "4.1 GB"),
            (5.5e15, "5500.0 TB"),
        ] {
            assert_eq!(size(bytes), text, "{bytes}");
        }
        assert_eq!(rate(1234.0, "rows"), "1,234 rows/s");
        assert_eq!([0, 1, 2].map(|number| counted(number, "table")), ["0 tables", "1 table", "2 tables"]);
    }
}
