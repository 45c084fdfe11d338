//! Core files, which would hold the passwords that are in the memory of the process.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Keeps the system from writing a core file when this process dies, whatever the limit of the shell that started it. Collectors of
/// core files, such as systemd-coredump, follow the same limit. The hard limit stays: an operator who needs a core file raises
/// the soft limit of the running process (`prlimit --core=unlimited --pid PID`).
pub(crate) fn forbid_core_files() {
    // Lowering the soft limit is always allowed.
    let lowered = getrlimit(Resource::RLIMIT_CORE).and_then(|(_, hard)| setrlimit(Resource::RLIMIT_CORE, 0, hard));
    debug_assert!(lowered.is_ok(), "{lowered:?}");
}
