//! The parameter of `/ready?lag=30s`.

/// Reads the query of the request. Returns the limit in seconds; `None` without one. Fails with a line for the client.
pub(super) fn limit(query: Option<&str>) -> Result<Option<f64>, String> {
    let mut limit = None;
    for parameter in query.unwrap_or_default().split('&').filter(|parameter| !parameter.is_empty()) {
        let Some(("lag", value)) = parameter.split_once('=') else {
            return Err("the only parameter is lag, as in /ready?lag=30s".to_owned());
        };
        let seconds = seconds(value).ok_or("lag is a time such as 500ms, 30s, 5m or 1h")?;
        if limit.replace(seconds).is_some() {
            return Err("lag is given twice".to_owned());
        }
    }
    Ok(limit)
}

/// A time as a number with a unit; without one, seconds.
fn seconds(text: &str) -> Option<f64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_has_a_unit() {
        for (query, expected) in [
            (None, Ok(None)),
            (Some(""), Ok(None)),
            (Some("lag=30s"), Ok(Some(30.0))),
            (Some("lag=30"), Ok(Some(30.0))),
            (Some("lag=1.5"), Ok(Some(1.5))),
            (Some("lag=500ms"), Ok(Some(0.5))),
            (Some("lag=5m"), Ok(Some(300.0))),
            (Some("lag=1h"), Ok(Some(3600.0))),
            (Some("lag=0"), Ok(Some(0.0))),
        ] {
            assert_eq!(limit(query), expected, "{query:?}");
        }
        for query in
            ["lag", "lag=", "lag=-1s", "lag=1d", "lag=s", "lag=1..2s", "max=3s", "lag=inf", "lag=nan", "lag=1s&lag=1h"]
        {
            assert!(limit(Some(query)).is_err(), "{query}");
        }
    }
}
