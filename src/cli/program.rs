//! The two programs, and the names that they are called by.

/// One of the two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// The ticker and the administration of queues.
    Pgqadm,
    /// Replication.
    Londiste,
}

impl Program {
    /// The program that the name of a symbolic link stands for.
    pub(super) fn of_name(name: &str) -> Option<Program> {
        match name {
            "pgqadm" | "pgqadm.py" | "pgqd" => Some(Program::Pgqadm),
            "londiste" | "londiste.py" => Some(Program::Londiste),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_decides() {
        assert_eq!(Program::of_name("pgqadm.py"), Some(Program::Pgqadm));
        assert_eq!(Program::of_name("londiste"), Some(Program::Londiste));
        assert_eq!(Program::of_name("rlondiste"), None);
    }
}
