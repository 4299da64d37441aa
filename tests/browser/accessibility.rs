//! The rules of axe-core, run on what a window shows. tests/run installs them; without them the tests say SKIPPED once and
//! check the rest, and with `CI=true` they fail.

use std::{env, fs, io::Write, path::Path, sync::OnceLock};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::window::Window;

/// Its own world: the page's globals stay as they are, and its policies (no inline scripts, Trusted Types) bind the page
/// alone.
const WORLD: &str = "accessibility";
/// What breaks one of the rules, but not those whose impact is minor.
const RUN: &str = "axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations
    .filter(({ impact }) => impact !== 'minor')
    .map(({ id, impact, help, nodes }) => ({ id, impact, help, targets: nodes.map(({ target, failureSummary }) => `${target.join(' ')}: ${failureSummary}`) })))";

/// A rule that is broken, and where.
#[derive(Debug, Deserialize)]
struct Violation {
    id: String,
    impact: String,
    help: String,
    targets: Vec<String>,
}

/// The source of axe-core; `None`, after saying so, where it is not installed.
fn axe() -> Option<&'static str> {
    static AXE: OnceLock<Option<String>> = OnceLock::new();
    AXE.get_or_init(|| {
        let installed = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("axe");
        let source = fs::read_to_string(installed.join("node_modules/axe-core/axe.min.js")).ok();
        if source.is_none() {
            let why = "axe-core is not installed (tests/run does it): accessibility is not checked";
            assert_ne!(env::var("CI").as_deref(), Ok("true"), "{why}");
            // Not `println!`, which a test that passes keeps to itself.
            let _ = writeln!(std::io::stdout(), "SKIPPED: {why}");
        }
        source
    })
    .as_deref()
}

impl Window {
    /// What it shows now breaks no rule of moderate, serious or critical impact.
    pub async fn is_accessible(&self, state: &str) {
        let broken = self.broken_rules().await;
        assert!(broken.is_empty(), "{state} is not accessible:\n{}", broken.join("\n"));
    }

    /// The rules that what it shows now breaks, and where.
    pub async fn broken_rules(&self) -> Vec<String> {
        let Some(source) = axe() else { return Vec::new() };
        let frame = self.devtools("Page.getFrameTree", json!({})).await["frameTree"]["frame"]["id"].clone();
        let world = json!({ "frameId": frame, "worldName": WORLD });
        let context = self.devtools("Page.createIsolatedWorld", world).await["executionContextId"].clone();
        let evaluate = async |expression: &str| {
            let asked =
                json!({ "contextId": context, "expression": expression, "awaitPromise": true, "returnByValue": true });
            let told = self.devtools("Runtime.evaluate", asked).await;
            assert!(told["exceptionDetails"].is_null(), "{told:#}");
            told["result"]["value"].clone()
        };
        if evaluate("typeof axe").await == "undefined" {
            evaluate(&format!("{source};null")).await;
        }
        let told: Value = evaluate(RUN).await;
        let violations: Vec<Violation> =
            serde_json::from_value(told.clone()).unwrap_or_else(|error| panic!("{error}: {told}"));
        let line = |Violation { id, impact, help, targets }: Violation| {
            format!("{id} ({impact}): {help}\n  {}", targets.join("\n  "))
        };
        violations.into_iter().map(line).collect()
    }
}
