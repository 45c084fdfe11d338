//! The program `rlondiste`; see the library's documentation.

use std::process::ExitCode;

fn main() -> ExitCode {
    rlondiste::cli::main(std::env::args_os())
}
