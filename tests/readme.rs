//! The README says what is true: its reference of keys is the program's own.

use std::fs;

use rlondiste::config::keys;

const START: &str = "<!-- keys: rendered from src/config/keys.rs, a test compares -->\n";
const END: &str = "<!-- end of keys -->";

#[test]
fn reference_of_keys_is_that_of_the_program() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = fs::read_to_string(path).unwrap();
    let start = readme.find(START).expect("the marker before the keys") + START.len();
    let end = readme.find(END).expect("the marker behind the keys");
    let expected = format!("\n{}\n", keys::reference());
    if std::env::var_os("RENDER_README").is_some() {
        fs::write(path, format!("{}{expected}{}", &readme[..start], &readme[end..])).unwrap();
        return;
    }
    pretty_assertions::assert_str_eq!(&readme[start..end], expected, "run the test with RENDER_README=1 to renew it");
}
