//! The commands of `--before-fence`, `--on-open` and `--on-undo`.

use std::process::Stdio;

use tokio::process::Command;

use super::way::Way;

/// Runs a command of the shell and waits for its end. Its environment has `RLONDISTE_PHASE` (the name of the option),
/// `RLONDISTE_DIRECTION` (`switchover`, `switchback`), `RLONDISTE_OLD_DSN` and `RLONDISTE_NEW_DSN`. Fails with a line.
pub(super) async fn run(phase: &'static str, command: Option<&str>, way: &Way) -> Result<(), String> {
    let Some(command) = command else { return Ok(()) };
    tracing::info!("Running --{phase}: {command}");
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", command])
        .stdin(Stdio::null())
        .env("RLONDISTE_PHASE", phase)
        .env("RLONDISTE_DIRECTION", way.direction.word())
        .env("RLONDISTE_OLD_DSN", &way.running.provider_db)
        .env("RLONDISTE_NEW_DSN", &way.running.subscriber_db);
    match shell.status().await {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the command of --{phase} failed: {status}")),
        Err(error) => Err(format!("the command of --{phase} could not be run: {error}")),
    }
}
