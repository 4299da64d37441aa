//! Server-sent events: frames as the lines of an event stream (HTML Standard, section 9.2).

use std::fmt::Write;

use bytes::Bytes;

/// The media type of a stream.
pub const MEDIA_TYPE: &str = "text/event-stream";

/// A comment: clients skip it, and what lies between keeps the connection.
pub const BEAT: Bytes = Bytes::from_static(b": beat\n\n");

/// One event of a stream.
#[derive(Debug, Clone, Copy, Default)]
pub struct Event<'a> {
    /// Its name; an event without one is a frame.
    pub name: Option<&'a str>,
    /// What a client sends as `Last-Event-ID` to go on behind this event: a cursor.
    pub id: Option<&'a str>,
    /// When to come back, in milliseconds.
    pub retry_ms: Option<u64>,
    /// JSON.
    pub data: &'a str,
}

impl Event<'_> {
    /// The event's lines.
    pub fn bytes(&self) -> Bytes {
        let mut lines = String::with_capacity(self.data.len() + 128);
        // Writing into text cannot fail.
        if let Some(name) = self.name {
            let _ = writeln!(lines, "event: {name}");
        }
        if let Some(id) = self.id {
            let _ = writeln!(lines, "id: {id}");
        }
        if let Some(retry) = self.retry_ms {
            let _ = writeln!(lines, "retry: {retry}");
        }
        // A line break in the data would end the line: the client puts the lines together again.
        for line in self.data.split(['\r', '\n']) {
            let _ = writeln!(lines, "data: {line}");
        }
        lines.push('\n');
        lines.into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A client as the standard says: name, id and data of each event.
    fn read(stream: &str) -> Vec<(String, String, String)> {
        let (mut events, mut name, mut id, mut data) = (Vec::new(), String::new(), String::new(), Vec::new());
        for line in stream.replace("\r\n", "\n").split(['\r', '\n']) {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" if line.is_empty() => {
                    if !data.is_empty() {
                        events.push((std::mem::take(&mut name), id.clone(), data.join("\n")));
                    }
                    data = Vec::new();
                }
                "event" => value.clone_into(&mut name),
                "id" => value.clone_into(&mut id),
                "data" => data.push(value.to_owned()),
                _ => {}
            }
        }
        events
    }

    proptest! {
        #[test]
        fn a_client_reads_what_was_written(frames in prop::collection::vec(("[a-z]{0,8}", "[A-Za-z0-9_-]{1,75}", "(\\PC|\n){0,60}"), 0..5)) {
            let mut stream = String::new();
            for (name, id, data) in &frames {
                let name = Some(name.as_str()).filter(|name| !name.is_empty());
                let event = Event { name, id: Some(id), retry_ms: Some(5), data };
                stream.push_str(std::str::from_utf8(&BEAT).expect("text"));
                stream.push_str(std::str::from_utf8(&event.bytes()).expect("text"));
            }
            prop_assert_eq!(read(&stream), frames);
        }
    }

    #[test]
    fn a_carriage_return_ends_no_line_early() {
        let event = Event { data: "{\r\n}", ..Event::default() };
        assert_eq!(event.bytes(), "data: {\ndata: \ndata: }\n\n");
    }
}
