//! Parts of the help that follow from tables: the variables that each command looks at, and the exit codes.

use clap::{Arg, Command};

use crate::{
    config::{CONFIG_VARIABLE, LIMIT_PREFIX, OF_A_DEMO, SETTINGS, Setting},
    domain::Limits,
};

/// Exit codes and their meaning, numbered as in sysexits.h.
const EXIT_CODES: &[(u8, &str)] = &[
    (0, "done"),
    (1, "the command failed, stderr says why"),
    (2, "wrong arguments"),
    (
        69,
        "the store, the port or the server to check cannot be used; another process serves the database; or the store took \
         too long to write what was queued at the end",
    ),
    (70, "an internal failure: restart it; or a second signal came and the end took longer than 10 s"),
    (78, "the configuration is refused, or a probe or check failed"),
];

/// Which variables a command looks at.
enum Variables {
    All,
    /// Every limit, and what a demo's directory has no value of its own for.
    BesideADemo,
    /// Those of these settings.
    Of(&'static [&'static str]),
    None,
}

/// What each command looks at; nested commands look at the same.
fn variables_of(command: &str) -> Variables {
    match command {
        "serve" | "check" | "config" | "bench" => Variables::All,
        "demo" => Variables::BesideADemo,
        "token" => {
            Variables::Of(&["database_url", "jwt_secret", "jwt_private_key", "jwt_issuer", "jwt_audience", "create_users"])
        }
        "backup" | "user" => Variables::Of(&["database_url"]),
        _ => Variables::None,
    }
}

/// The command line with these parts.
pub fn completed(command: Command) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let complete = |command: Command, name: &String| command.mut_subcommand(name, |command| with(command, name));
    names.iter().fold(command, complete).after_help(exit_codes())
}

/// A command and those below it, with the variables of `top`.
fn with(command: Command, top: &str) -> Command {
    let variables = variables_of(top);
    let looks_at = |setting: &Setting| match &variables {
        Variables::All => true,
        Variables::BesideADemo => !OF_A_DEMO.contains(&setting.variable),
        Variables::Of(keys) => keys.contains(&setting.key),
        Variables::None => false,
    };
    let mut command = command;
    if !matches!(variables, Variables::None) {
        let configured = !matches!(variables, Variables::BesideADemo);
        command = command.mut_args(|arg| named(arg, configured));
    }
    let own = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let mut parts: Vec<String> = Vec::new();
    if let Some(list) = list(&variables, looks_at) {
        parts.push(list);
    }
    if !own.is_empty() {
        parts.push(own.clone());
    }
    // Commands that explain their own codes need no more.
    if !own.contains("Exit code") {
        parts.push(exit_codes());
    }
    let names: Vec<String> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let below = |command: Command, name: &String| command.mut_subcommand(name, |command| with(command, top));
    names.iter().fold(command, below).after_long_help(parts.join("\n\n"))
}

/// An argument with the variable that says the same.
fn named(arg: Arg, configured: bool) -> Arg {
    let variable = match arg.get_id().as_str() {
        "config" => Some(CONFIG_VARIABLE),
        id => SETTINGS.iter().find(|setting| setting.key == id).map(|setting| setting.variable),
    };
    match (variable.filter(|_| configured), arg.get_help().cloned()) {
        (Some(variable), Some(help)) => arg.help(format!("{help} [env: {variable}]")),
        _ => arg,
    }
}

/// The variables, a line each.
fn list(variables: &Variables, looks_at: impl Fn(&Setting) -> bool) -> Option<String> {
    let mut rows: Vec<(String, String)> = Vec::new();
    match variables {
        Variables::None => return None,
        Variables::BesideADemo => {}
        Variables::All | Variables::Of(_) => {
            rows.push((CONFIG_VARIABLE.to_owned(), "configuration file, a TOML file; --config wins over it".to_owned()));
        }
    }
    rows.extend(SETTINGS.iter().filter(|setting| looks_at(setting)).map(|setting| {
        let default = if setting.default.is_empty() { String::new() } else { format!(" [default: {}]", setting.default) };
        (setting.variable.to_owned(), format!("{}{default}", setting.meaning))
    }));
    let example = Limits::TABLE.first().map_or("", |(name, ..)| name).to_uppercase();
    rows.push((
        format!("{LIMIT_PREFIX}<NAME>"),
        format!("a limit, like {LIMIT_PREFIX}{example}; `hailgate config` lists all"),
    ));
    if matches!(variables, Variables::All | Variables::BesideADemo) {
        rows.push(("RUST_LOG".to_owned(), "log level of the server, like debug [default: info]".to_owned()));
    }
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines: Vec<String> = rows.iter().map(|(name, meaning)| format!("  {name:<width$}  {meaning}")).collect();
    let order = match variables {
        Variables::BesideADemo => "All others are passed over: the directory of a demo has its own values.",
        _ => "A variable wins over the configuration file, and a flag over the variable.",
    };
    Some(format!("Environment variables:\n{}\n{order}", lines.join("\n")))
}

/// The exit codes, a line each.
fn exit_codes() -> String {
    let lines: Vec<String> = EXIT_CODES.iter().map(|(code, meaning)| format!("  {code:>2}  {meaning}")).collect();
    format!("Exit codes:\n{}", lines.join("\n"))
}
