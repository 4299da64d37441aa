//! What this program is: version, commit, compiler, features.

/// `hailgate version`.
pub const LINES: &str = concat!(
    "hailgate ",
    env!("CARGO_PKG_VERSION"),
    "\ncommit    ",
    env!("HAILGATE_GIT_COMMIT"),
    "\nrustc     ",
    env!("HAILGATE_RUSTC"),
    "\ntarget    ",
    env!("HAILGATE_TARGET"),
    "\nprofile   ",
    env!("HAILGATE_PROFILE"),
    "\nfeatures  ",
    env!("HAILGATE_FEATURES"),
);

/// `hailgate --version`: clap writes the name.
pub const LONG: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("HAILGATE_GIT_COMMIT"), ")");
