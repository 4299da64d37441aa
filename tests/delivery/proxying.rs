//! The proxy itself: it cuts where it was told to, withholds, and lets through everything else as it was.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    proxy::{Course, End, Leg, Proxy},
    soon,
};

/// Bytes that a server here sends to whoever connects.
const SAYS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// A proxy in front of a listener.
async fn before() -> (Proxy, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    (Proxy::calm(listener.local_addr().expect("an address").port()), listener)
}

/// Everything until the end, and whether that was a reset.
async fn rest(stream: &mut TcpStream) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let end = soon("the end", stream.read_to_end(&mut bytes)).await;
    (bytes, end.is_err())
}

async fn both(course: Course) -> (Proxy, TcpStream, TcpStream) {
    let (proxy, listener) = before().await;
    let client = proxy.connect(course).await.expect("a connection");
    let server = soon("a connection", listener.accept()).await.expect("a connection").0;
    (proxy, client, server)
}

fn cut(at: u64, end: End) -> Leg {
    Leg { cut: Some((at, end)), ..Leg::default() }
}

#[tokio::test]
async fn a_cut_downwards_passes_exactly_so_many_bytes() {
    for at in 0..SAYS.len() {
        let (_proxy, mut client, mut server) = both(Course { down: cut(at as u64, End::Finish), ..Course::default() }).await;
        server.write_all(SAYS).await.expect("sent");
        assert_eq!(rest(&mut client).await, (SAYS[..at].to_vec(), false));
        assert_eq!(rest(&mut server).await.0, b"", "the other side is told too");
    }
}

#[tokio::test]
async fn a_cut_upwards_passes_exactly_so_many_bytes() {
    for at in 0..SAYS.len() {
        let (_proxy, mut client, mut server) = both(Course { up: cut(at as u64, End::Finish), ..Course::default() }).await;
        client.write_all(SAYS).await.expect("sent");
        assert_eq!(rest(&mut server).await, (SAYS[..at].to_vec(), false));
        assert_eq!(rest(&mut client).await.0, b"");
    }
}

#[tokio::test]
async fn a_reset_is_a_reset_on_both_sides() {
    let (_proxy, mut client, mut server) = both(Course { up: cut(3, End::Reset), ..Course::default() }).await;
    client.write_all(SAYS).await.expect("sent");
    let ((up, server_reset), (down, client_reset)) = (rest(&mut server).await, rest(&mut client).await);
    assert!(server_reset && client_reset && SAYS.starts_with(&up) && up.len() <= 3 && down.is_empty(), "{up:?}");
}

#[tokio::test]
async fn bytes_one_by_one_and_late_are_the_same_bytes() {
    let slow = Leg { single: 20, delay: Some(Duration::from_millis(1)), ..Leg::default() };
    let (_proxy, mut client, mut server) = both(Course { up: slow.clone(), down: slow }).await;
    client.write_all(SAYS).await.expect("sent");
    client.shutdown().await.expect("half an end");
    assert_eq!(rest(&mut server).await, (SAYS.to_vec(), false));
    server.write_all(SAYS).await.expect("sent: only one direction has ended");
    drop(server);
    assert_eq!(rest(&mut client).await, (SAYS.to_vec(), false));
}

#[tokio::test]
async fn a_hole_withholds_until_it_heals_and_then_everything_comes() {
    for by_connections in [false, true] {
        let hole = Leg { hole: Some((10, 2)), ..Leg::default() };
        let (proxy, mut client, mut server) = both(Course { down: hole, ..Course::default() }).await;
        server.write_all(SAYS).await.expect("sent");
        let mut first = [0; 10];
        soon("what passes before it", client.read_exact(&mut first)).await.expect("ten bytes");
        assert_eq!(first, SAYS[..10]);
        // The other direction is open all the while, so that the proxy has had time for what it withholds.
        client.write_all(b"x").await.expect("sent");
        assert_eq!(soon("a byte", server.read_u8()).await.expect("a byte"), b'x');
        let more = client.try_read(&mut [0; 1]);
        assert!(more.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "{more:?}");
        if by_connections {
            for _ in 0..2 {
                proxy.connect(Course::default()).await.expect("a connection");
            }
        } else {
            proxy.heal();
        }
        drop(server);
        assert_eq!(rest(&mut client).await, (SAYS[10..].to_vec(), false));
    }
}

#[tokio::test]
async fn a_connection_waits_while_the_proxy_leads_nowhere() {
    let (proxy, old) = before().await;
    proxy.lead_to(None);
    let mut client = proxy.connect(Course::default()).await.expect("a connection");
    drop(old);
    let new = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    proxy.lead_to(Some(new.local_addr().expect("an address").port()));
    let (mut server, _) = soon("the connection", new.accept()).await.expect("a connection");
    server.write_all(SAYS).await.expect("sent");
    drop(server);
    assert_eq!(rest(&mut client).await.0, SAYS);
    assert_eq!(proxy.accepted(), 1);
}
