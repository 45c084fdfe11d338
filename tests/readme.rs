//! The README says what is true: its references of keys, metrics and checks are the program's own.

use std::fs;

use rlondiste::config::keys;
use rlondiste::doctor;
use rlondiste::http::metrics;

#[test]
fn reference_of_keys_is_that_of_the_program() {
    assert_rendered("keys", "src/config/keys.rs", &keys::reference());
}

#[test]
fn reference_of_metrics_is_that_of_the_program() {
    assert_rendered("metrics", "src/http/metrics.rs", &metrics::reference());
}

#[test]
fn reference_of_checks_is_that_of_the_program() {
    assert_rendered("checks", "src/doctor/check.rs", &doctor::reference());
}

/// Compares what stands between the markers of a reference with what the program renders.
#[track_caller]
fn assert_rendered(what: &str, source: &str, reference: &str) {
    let (marker, behind) =
        (format!("<!-- {what}: rendered from {source}, a test compares -->\n"), format!("<!-- end of {what} -->"));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = fs::read_to_string(path).unwrap();
    let start = readme.find(&marker).expect("the marker before the reference") + marker.len();
    let end = readme.find(&behind).expect("the marker behind the reference");
    let expected = format!("\n{reference}\n");
    if std::env::var_os("RENDER_README").is_some() {
        fs::write(path, format!("{}{expected}{}", &readme[..start], &readme[end..])).unwrap();
        return;
    }
    pretty_assertions::assert_str_eq!(&readme[start..end], expected, "run the test with RENDER_README=1 to renew it");
}
