//! Going to the background. The parent waits until the child reports that it has started, or why it could not.
//!
//! The process forks before any thread exists, so before the runtime is built: only the forking thread exists in the child.

use std::fs::OpenOptions;
use std::io::{self, PipeWriter, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use daemonize::{Daemonize, Outcome};
use nix::sys::stat::{Mode, umask};
use nix::unistd::dup2_stderr;

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

/// Where the child's standard error goes until it has started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    /// To `/dev/null`, as afterwards.
    Silent,
    /// To the standard error of the parent, for a start that takes a while.
    Aloud,
}

/// The child's end of the pipe to the parent. Dropping it without a report makes the parent say that the child died.
#[derive(Debug)]
pub(crate) struct Start(PipeWriter, Voice);

/// The start of this process in the background, which is reported once; nothing for a process in the foreground. Clones share the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Launch(Arc<Mutex<Option<Start>>>);

impl Launch {
    pub(crate) fn of(start: Start) -> Launch {
        Launch(Arc::new(Mutex::new(Some(start))))
    }

    /// Reports that the process has started: the parent exits with this code. Does nothing after a report.
    pub(crate) fn succeeded(&self, code: u8) {
        self.failed(code, String::new());
    }

    /// Reports that the process is about to end: the parent prints the text and exits with the code. Does nothing after a report.
    pub(crate) fn failed(&self, code: u8, text: String) {
        if let Some(start) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            start.failed(code, text);
        }
    }
}

impl Start {
    /// Reports how the start went: the parent prints the text and exits with the code.
    fn failed(self, code: u8, text: String) {
        self.report(&Verdict { code, text });
    }

    fn report(mut self, verdict: &Verdict) {
        let mut message = vec![verdict.code];
        message.extend_from_slice(verdict.text.as_bytes());
        if self.1 == Voice::Aloud {
            // The parent reads standard error to its end, and the report then.
            let null = OpenOptions::new().write(true).open("/dev/null");
            let _ = null.map(dup2_stderr);
        }
        // The parent may have been killed; the child goes on.
        let _ = self.0.write_all(&message);
    }
}

/// Forks, and in the parent waits for the child's report. As in SkyTools, working directory and umask stay as they are, so
/// that relative paths in the ini file keep their meaning. Fails with [`Error::System`].
pub(crate) fn daemonize(voice: Voice) -> Result<Side> {
    let failed = |source| Error::System { action: "go to the background", source };
    let directory = std::env::current_dir().map_err(failed)?;
    let (mut reader, writer) = io::pipe().map_err(failed)?;
    let (mut said, voice_of_child) = io::pipe().map_err(failed)?;
    let mask = umask(Mode::empty());
    umask(mask);
    match Daemonize::new().working_directory(directory).umask(mask.bits()).execute() {
        Outcome::Parent(Ok(_)) => {
            drop((writer, voice_of_child));
            // Where nobody can be told, the report counts all the same.
            let _ = io::copy(&mut said, &mut io::stderr().lock());
            let mut message = Vec::new();
            reader.read_to_end(&mut message).map_err(failed)?;
            Ok(Side::Parent(verdict(&message)))
        }
        Outcome::Parent(Err(error)) => Err(failed(io::Error::other(error))),
        Outcome::Child(Ok(_)) => {
            if voice == Voice::Aloud {
                dup2_stderr(&voice_of_child).map_err(|errno| failed(errno.into()))?;
            }
            Ok(Side::Child(Start(writer, voice)))
        }
        Outcome::Child(Err(error)) => {
            let error = failed(io::Error::other(error));
            Start(writer, Voice::Silent).failed(error.exit_code(), format!("{}\n", shown(&error)));
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
        Start(writer, Voice::Silent).failed(1, "Pidfile exists\n".to_owned());
        let mut message = Vec::new();
        reader.read_to_end(&mut message)?;
        assert_eq!(verdict(&message), Verdict { code: 1, text: "Pidfile exists\n".to_owned() });
        Ok(())
    }

    #[test]
    fn silence_means_that_the_child_died() -> anyhow::Result<()> {
        let (mut reader, writer) = io::pipe()?;
        drop(Start(writer, Voice::Silent));
        let mut message = Vec::new();
        reader.read_to_end(&mut message)?;
        assert_eq!(verdict(&message).code, 1);
        Ok(())
    }
}
