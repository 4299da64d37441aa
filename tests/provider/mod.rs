//! A real OpenID Connect provider for the tests: `oidc-provider` on Node.js, installed by tests/run, started here on a
//! free port and ended with the test.

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::json;

/// The provider; it ends with this value, or with the tests' own process.
pub struct Provider {
    process: Child,
    pub issuer: String,
}

impl Provider {
    /// With the clients `chat`, which has this secret, and `other`, both sent back to this address. `None`, after saying
    /// so, where it is not installed; with `CI=true` that is a failure.
    pub fn start(secret: &str, back: &str) -> Option<Provider> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/provider/provider.mjs");
        let installed = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("provider");
        let client = |id: &str, secret: &str| json!({"client_id": id, "client_secret": secret, "redirect_uris": [back]});
        let settings = json!({"clients": [client("chat", secret), client("other", &secret.replace('a', "b"))]});
        let started = installed.join("node_modules/oidc-provider").is_dir().then(|| {
            let mut node = Command::new("node");
            node.arg(here).arg(&installed).arg(settings.to_string());
            node.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
        });
        let Some(Ok(mut process)) = started else {
            let why = "oidc-provider is not installed (tests/run does it) or there is no node in PATH";
            assert_ne!(env::var("CI").as_deref(), Ok("true"), "{why}");
            // Not `println!`, which a test that passes keeps to itself.
            let _ = writeln!(std::io::stdout(), "SKIPPED: {why}");
            return None;
        };
        let mut said = BufReader::new(process.stdout.take().expect("a pipe"));
        let issuer =
            said.by_ref().lines().map_while(Result::ok).find_map(|line| line.strip_prefix("issuer ").map(str::to_owned));
        // It must always find a reader, or it ends at a broken pipe.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Some(Provider { process, issuer: issuer.expect("the provider says where it is") })
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
