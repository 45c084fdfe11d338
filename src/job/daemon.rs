//! Going to the background. The parent waits until the child reports that it has started, or why it could not.
//!
//! The process forks before any thread exists, so before the runtime is built: only the forking thread exists in the child.

use std::io::{self, PipeWriter, Read, Write};

use daemonize::{Daemonize, Outcome};
use nix::sys::stat::{Mode, umask};

use crate::error::{Error, Result};
use crate::text::shown;

/// Which of the two processes this is after the fork.
#[derive(Debug)]
pub(crate) enum Side {
    /// The called process; the child has started or failed by now.
    Parent(Verdict),
    /// The process in the background, with standard input, output and error on `/dev/null`.
    Child(Start),
}

/// The outcome of the child's start, for the parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The exit status of the parent.
    pub(crate) code: u8,
    /// The text for standard error; may be empty.
    pub(crate) text: String,
}

/// The child's end of the pipe to the parent. Dropping it without a report makes the parent say that the child died.
#[derive(Debug)]
pub(crate) struct Start(PipeWriter);

impl Start {
    /// Reports that the child has started: the parent exits with 0.
    pub(crate) fn succeeded(self) {
        self.report(&Verdict { code: 0, text: String::new() });
    }

    /// Reports that the child is about to end: the parent prints the text and exits with the code.
    pub(crate) fn failed(self, code: u8, text: String) {
        self.report(&Verdict { code, text });
    }

    fn report(mut self, verdict: &Verdict) {
        let mut message = vec![verdict.code];
        message.extend_from_slice(verdict.text.as_bytes());
        // The parent may have been killed; the child goes on.
        let _ = self.0.write_all(&message);
    }
}

/// Forks, and in the parent waits for the child's report. As in SkyTools, working directory and umask stay as they are, so
/// that relative paths in the ini file keep their meaning. Fails with [`Error::System`].
pub(crate) fn daemonize() -> Result<Side> {
    let failed = |source| Error::System { action: "go to the background", source };
    let directory = std::env::current_dir().map_err(failed)?;
    let (mut reader, writer) = io::pipe().map_err(failed)?;
    let mask = umask(Mode::empty());
    umask(mask);
    match Daemonize::new().working_directory(directory).umask(mask.bits()).execute() {
        Outcome::Parent(Ok(_)) => {
            drop(writer);
            let mut message = Vec::new();
            reader.read_to_end(&mut message).map_err(failed)?;
            Ok(Side::Parent(verdict(&message)))
        }
        Outcome::Parent(Err(error)) => Err(failed(io::Error::other(error))),
        Outcome::Child(Ok(_)) => Ok(Side::Child(Start(writer))),
        Outcome::Child(Err(error)) => {
            let error = failed(io::Error::other(error));
            Start(writer).failed(error.exit_code(), format!("{}\n", shown(&error)));
            Err(error)
        }
    }
}

fn verdict(message: &[u8]) -> Verdict {
    match message.split_first() {
        Some((code, text)) => Verdict { code: *code, text: String::from_utf8_lossy(text).into_owned() },
        None => Verdict { code: 1, text: "the process in the background died before it had started\n".to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_reaches_the_parent() -> anyhow::Result<()> {
        let (mut reader, writer) = io::pipe()?;
        Start(writer).failed(1, "Pidfile exists\n".to_owned());
        let mut message = Vec::new();
        reader.read_to_end(&mut message)?;
        assert_eq!(verdict(&message), Verdict { code: 1, text: "Pidfile exists\n".to_owned() });
        Ok(())
    }

    #[test]
    fn silence_means_that_the_child_died() -> anyhow::Result<()> {
        let (mut reader, writer) = io::pipe()?;
        drop(Start(writer));
        let mut message = Vec::new();
        reader.read_to_end(&mut message)?;
        assert_eq!(verdict(&message).code, 1);
        Ok(())
    }
}
