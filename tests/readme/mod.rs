//! The documents say what is true: their references are the program's own, their links lead somewhere, and what they name is there.

mod blocks;
mod document;
mod words;

use std::fs;
use std::path::Path;

use rlondiste::config::keys;
use rlondiste::doctor;
use rlondiste::http::metrics;

use self::document::documents;

/// Lines of a README that a newcomer reads to its end.
const LONGEST_README: usize = 350;

#[test]
fn reference_of_keys_is_that_of_the_program() {
    assert_rendered("docs/configuration.md", "keys", "src/config/keys.rs", &keys::reference());
}

#[test]
fn reference_of_metrics_is_that_of_the_program() {
    assert_rendered("docs/metrics.md", "metrics", "src/http/metrics.rs", &metrics::reference());
}

#[test]
fn reference_of_checks_is_that_of_the_program() {
    assert_rendered("docs/doctor.md", "checks", "src/doctor/check.rs", &doctor::reference());
}

/// Compares what stands between the markers of a reference in a document with what the program renders.
#[track_caller]
fn assert_rendered(document: &str, what: &str, source: &str, reference: &str) {
    let (marker, behind) =
        (format!("<!-- {what}: rendered from {source}, a test compares -->\n"), format!("<!-- end of {what} -->"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let text = fs::read_to_string(&path).unwrap();
    let start = text.find(&marker).expect("the marker before the reference") + marker.len();
    let end = text.find(&behind).expect("the marker behind the reference");
    let expected = format!("\n{reference}\n");
    if std::env::var_os("RENDER_README").is_some() {
        fs::write(path, format!("{}{expected}{}", &text[..start], &text[end..])).unwrap();
        return;
    }
    pretty_assertions::assert_str_eq!(&text[start..end], expected, "run the test with RENDER_README=1 to renew it");
}

#[test]
fn links_lead_to_files_and_headings() {
    let documents = documents();
    let (mut followed, mut broken) = (0, Vec::new());
    for document in &documents {
        for link in document.links().iter().filter(|link| !link.contains("://")) {
            followed += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link.as_str(), ""));
            let target =
                if file.is_empty() { document.path.clone() } else { document.path.parent().unwrap().join(file) };
            let is_there = target.canonicalize().is_ok_and(|target| {
                let has =
                    |other: &document::Document| other.path == target && other.anchors().iter().any(|a| a == anchor);
                anchor.is_empty() || documents.iter().any(has)
            });
            if !is_there {
                broken.push(format!("{}: {link}", document.path.display()));
            }
        }
    }
    assert!(followed > 50, "{followed}");
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn readme_is_short_and_leads_to_every_document() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lines = fs::read_to_string(root.join("README.md")).unwrap().lines().count();
    assert!(lines <= LONGEST_README, "{lines} lines");
    let documents = documents();
    let links = documents[0].links();
    for entry in fs::read_dir(root.join("docs")).unwrap() {
        let name = format!("docs/{}", entry.unwrap().file_name().to_str().unwrap());
        assert!(links.contains(&name), "{name}");
    }
}
