use std::panic::catch_unwind;
use std::time::Duration;

use crate::support::{wait_until, wait_within};

#[test]
fn condition_is_asked_until_it_holds() {
    let mut asked = 0;
    let value = wait_until("asked thrice", || {
        asked += 1;
        if asked == 3 { Ok(asked) } else { Err("not yet") }
    });
    assert_eq!(value, 3);
}

#[test]
fn giving_up_tells_who_waited_for_what_and_the_last_status() {
    let outcome = catch_unwind(|| wait_within(Duration::ZERO, "pigs fly", || Err::<(), _>("grounded")));
    let message = outcome.unwrap_err().downcast::<String>().unwrap();
    assert!(message.starts_with("tests/harness/wait.rs:"), "{message}");
    assert!(message.ends_with(": waited 0 s until pigs fly; last status: grounded"), "{message}");
}
