use std::panic::catch_unwind;

use crate::support::{Program, mask_log_lines};

#[test]
fn time_and_pid_of_log_lines_are_masked() {
    let text = "2026-11-22 06:57:52,294 16105 INFO Resetting\nplain 2026\n2026-11-22 06:57:52,294 x INFO\n";
    assert_eq!(mask_log_lines(text), "DATE PID INFO Resetting\nplain 2026\n2026-11-22 06:57:52,294 x INFO\n");
    assert_eq!(mask_log_lines("no newline at the end"), "no newline at the end");
}

#[test]
fn wrong_expectation_shows_all_that_the_program_printed() {
    let outcome = catch_unwind(|| Program::new(["--no-such-option"]).stdout("surprise\n").status(77).run());
    let message = outcome.unwrap_err().downcast::<String>().unwrap();
    assert!(message.starts_with("rlondiste --no-such-option\nstatus (expected < > got)"), "{message}");
    assert!(message.contains("surprise") && message.contains("--- stderr:"), "{message}");
}
