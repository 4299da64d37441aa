//! Log lines on stderr: for people, or one JSON object a line.

use std::io::Write;

use env_logger::{Builder, Env, fmt::Formatter};
use log::{
    Record,
    kv::{self, VisitSource},
};

use crate::config::LogFormat;

/// What is logged where `RUST_LOG` says nothing. Every bad cookie of a stranger is worth no warning, and migrations
/// are told by their outcome.
const FILTER: &str = "info,actix_session=error,actix_identity=error,refinery_core=warn,actix_server=warn";

/// Starts logging; `RUST_LOG` sets the level.
pub fn start(format: LogFormat) {
    let mut builder = Builder::from_env(Env::default().default_filter_or(FILTER));
    match format {
        LogFormat::Text => _ = builder.format_target(false),
        LogFormat::Json => _ = builder.format(json),
    }
    builder.init();
}

fn json(out: &mut Formatter, record: &Record<'_>) -> std::io::Result<()> {
    let mut line = serde_json::Map::new();
    line.insert("time".to_owned(), out.timestamp_millis().to_string().into());
    line.insert("level".to_owned(), record.level().as_str().into());
    line.insert("target".to_owned(), record.target().into());
    line.insert("message".to_owned(), record.args().to_string().into());
    // Fields that cannot be written as JSON are left out; the message is still there.
    let _ = record.key_values().visit(&mut Fields(&mut line));
    writeln!(out, "{}", serde_json::Value::Object(line))
}

struct Fields<'a>(&'a mut serde_json::Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for Fields<'_> {
    fn visit_pair(&mut self, key: kv::Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        let value = serde_json::to_value(&value).unwrap_or_else(|_| value.to_string().into());
        self.0.insert(key.as_str().to_owned(), value);
        Ok(())
    }
}
