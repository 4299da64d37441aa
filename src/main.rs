//! The `hailgate` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    hailgate::cli::main()
}
