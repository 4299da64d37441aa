//! Metadata comes back as the value that was sent, or is refused; over REST and over a socket alike.

use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::Value;

use crate::{answer::ask, people::text, server::Server};

#[tokio::test]
async fn metadata_that_cannot_be_kept_is_refused_and_all_other_comes_back_as_it_was_sent() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let mut socket = alice.socket().await;
    for (metadata, kept) in [
        (r#"{"n":18446744073709551615,"m":-9223372036854775808,"s":9007199254740993}"#, true),
        (r#"{"x":0.1,"y":1e22,"z":0.30000000000000004,"a":[1.50,-0.0,{"b":null}]}"#, true),
        (r#"{"n":18446744073709551616}"#, false),
        (r#"{"n":[{"deep":-9223372036854775809}]}"#, false),
        (r#"{"n":3.14159265358979323846}"#, false),
        (r#"{"n":1e400}"#, false),
        (r#"{"a":1,"a":2}"#, false),
        (r#"{"x":[{"a":1,"\u0061":1}]}"#, false),
    ] {
        let data = format!(r#"{{"thread_id":"{thread}","content":"x","metadata":{metadata}}}"#);
        let request = alice.request(Method::POST, "/api/messages").header(CONTENT_TYPE, "application/json");
        let by_rest = ask(request.body(data.clone())).await;
        let frame = format!(r#"{{"type":"message.send","id":1,"data":{data}}}"#);
        if kept {
            let sent: Value = serde_json::from_str(metadata).expect("JSON");
            assert_eq!(by_rest.json(201)["message"]["metadata"], sent);
            socket.send_text(&frame).await;
            assert_eq!(socket.next("ack").await["data"]["message"]["metadata"], sent);
        } else {
            by_rest.invalid("metadata");
            let refused = socket.refused(&frame).await;
            assert!(text(&refused, "message").starts_with("metadata: "), "{refused}");
        }
    }
    assert_eq!(alice.history(&thread).await.len(), 4);
}
