//! rlondiste.
fn main() {}
