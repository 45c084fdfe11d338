//! Texts that are printed in place of a command.

use crate::config;

/// Whose sample ini file to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Sample {
    Pgqadm,
    Londiste,
}

impl Sample {
    /// The file that is shipped as an example.
    pub(super) fn text(self) -> &'static str {
        match self {
            Sample::Pgqadm => config::PGQADM_SAMPLE,
            Sample::Londiste => config::LONDISTE_SAMPLE,
        }
    }
}

/// A page of the manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Page {
    Rlondiste,
    Londiste,
    Pgqadm,
    #[value(name = "rlondiste.ini")]
    Ini,
}

/// A shell that completes command lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Shell {
    Bash,
    Zsh,
    Fish,
}
