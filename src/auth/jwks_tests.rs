//! Key sets that are fetched, from a small server here: when it is asked, and what its answers and silence lead to.

use std::{
    net::SocketAddr,
    sync::{
        Mutex as Lock,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::Semaphore,
};

use super::{
    super::{
        forge::{NOW, Pair, body, ed, header, outside, secret, set},
        issuers::Issuers,
        token::Tokens,
    },
    *,
};
use crate::{
    domain::{Reading, Time},
    error::Code,
};

/// A server of key sets. It answers what it is told to, once for each turn that it is given.
struct Source {
    address: SocketAddr,
    answer: Lock<String>,
    asked: AtomicUsize,
    turns: Semaphore,
}

/// As many turns as nobody takes.
const ALL: usize = 1_000;

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

impl Source {
    async fn start(answer: String, turns: usize) -> Arc<Source> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let source = Arc::new(Source {
            address,
            answer: Lock::new(answer),
            asked: AtomicUsize::new(0),
            turns: Semaphore::new(turns),
        });
        let served = Arc::clone(&source);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                served.asked.fetch_add(1, Ordering::SeqCst);
                let served = Arc::clone(&served);
                tokio::spawn(async move {
                    served.turns.acquire().await.expect("open").forget();
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(stream.read_u8().await.expect("a request"));
                    }
                    let answer = served.answer.lock().expect("no panic").clone();
                    // A client that has had enough hangs up.
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        source
    }

    fn says(&self, answer: String) {
        *self.answer.lock().expect("no panic") = answer;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn tokens(&self) -> Tokens {
        trusting(&format!("http://{}/keys", self.address)).expect("an issuer")
    }
}

fn trusting(url: &str) -> Result<Tokens, Reason> {
    let mut issuers = Issuers::new(&Limits::default());
    issuers.add_remote(outside("corp", &["EdDSA"]), url, None)?;
    Ok(Tokens::of(issuers))
}

fn after(seconds: u64) -> Time {
    NOW.plus(Duration::from_secs(seconds))
}

/// What a token by this key and name gets so many seconds later. It lives as long as it must.
async fn verdict(tokens: &Tokens, pair: &Pair, kid: Option<&str>, seconds: u64) -> Result<(), Code> {
    let mut body = body("corp");
    let now = after(seconds);
    body["iat"] = now.seconds().into();
    body["exp"] = (now.seconds() + 60).into();
    let token = pair.forge(&header("EdDSA", kid), &body.to_string());
    tokens.verify(&token, now.into()).await.map(drop).map_err(|error| error.code)
}

/// Fetches what is due, and waits for it; how many fetches that were.
async fn refresh(tokens: &Tokens, seconds: u64) -> usize {
    let due: Vec<_> = tokens
        .issuers()
        .remotes()
        .filter_map(|remote| remote.refresh_if_due(Reading::from(after(seconds)).uptime))
        .collect();
    join_all(due).await.len()
}

const REFUSED: Result<(), Code> = Err(Code::BadCredentials);
const UNAVAILABLE: Result<(), Code> = Err(Code::IssuerUnavailable);

#[actix_web::test]
async fn an_unknown_key_is_looked_for_at_most_once_in_a_minute() {
    let (old, new, never) = (ed(), ed(), ed());
    let source = Source::start(ok(&set(&[old.jwk("old")])), ALL).await;
    let tokens = source.tokens();
    assert_eq!(verdict(&tokens, &old, Some("old"), 0).await, Ok(()), "the first token fetches the keys");
    source.says(ok(&set(&[old.jwk("old"), new.jwk("new")])));
    assert_eq!(verdict(&tokens, &new, Some("new"), 59).await, REFUSED);
    assert_eq!(source.asked(), 1);
    assert_eq!(verdict(&tokens, &new, Some("new"), 60).await, Ok(()), "the rotation is noticed");
    assert_eq!(verdict(&tokens, &never, Some("never"), 119).await, REFUSED);
    assert_eq!(source.asked(), 2);
    assert_eq!(verdict(&tokens, &never, Some("never"), 120).await, REFUSED);
    assert_eq!(source.asked(), 3);
    source.says(ok(&set(&[new.jwk("new")])));
    assert_eq!(refresh(&tokens, 720).await, 1, "in the background every ten minutes");
    assert_eq!(refresh(&tokens, 1_319).await, 0);
    assert_eq!(verdict(&tokens, &old, Some("old"), 721).await, REFUSED, "a key that is taken away is refused");
    assert_eq!(verdict(&tokens, &new, None, 721).await, Ok(()), "without a name the only key fits");
}

#[actix_web::test]
async fn keys_are_fetched_again_and_grow_too_old_in_time_although_the_clock_is_set_back() {
    let (old, new) = (ed(), ed());
    let source = Source::start(ok(&set(&[old.jwk("old")])), ALL).await;
    let tokens = source.tokens();
    assert_eq!(verdict(&tokens, &old, Some("old"), 7_200).await, Ok(()));
    source.says(ok(&set(&[new.jwk("new")])));
    let set_back = |uptime: u64| Reading { wall: after(0), uptime: Reading::from(after(uptime)).uptime };
    let token = |pair: &Pair, kid: &str| {
        let mut body = body("corp");
        (body["iat"], body["exp"]) = (after(0).seconds().into(), (after(0).seconds() + 60).into());
        pair.forge(&header("EdDSA", Some(kid)), &body.to_string())
    };
    let verify = async |pair: &Pair, kid: &str, uptime: u64| {
        tokens.verify(&token(pair, kid), set_back(uptime)).await.map(drop).map_err(|error| error.code)
    };
    assert_eq!(verify(&new, "new", 7_259).await, REFUSED);
    assert_eq!(verify(&new, "new", 7_260).await, Ok(()), "a minute later by the uptime");
    assert_eq!(verify(&old, "old", 7_260).await, REFUSED);
}

#[actix_web::test]
async fn a_hundred_unknown_keys_at_once_are_one_fetch() {
    let (old, new) = (ed(), ed());
    let source = Source::start(ok(&set(&[old.jwk("old")])), 1).await;
    let tokens = source.tokens();
    assert_eq!(verdict(&tokens, &old, Some("old"), 0).await, Ok(()));
    source.says(ok(&set(&[new.jwk("new")])));
    // Nobody is answered before all of them wait; the turn is given by the last.
    let waiting = (0..100).map(|_| verdict(&tokens, &new, Some("new"), 60));
    let (verdicts, ()) = tokio::join!(join_all(waiting), async { source.turns.add_permits(ALL) });
    assert_eq!(verdicts, vec![Ok(()); 100]);
    assert_eq!(source.asked(), 2);
}

#[actix_web::test]
async fn who_asks_and_leaves_does_not_take_the_keys_away_from_others() {
    let pair = ed();
    let source = Source::start(ok(&set(&[pair.jwk("k")])), 0).await;
    let tokens = source.tokens();
    let gone = futures_util::future::select(
        Box::pin(verdict(&tokens, &pair, Some("k"), 0)),
        Box::pin(async {
            while source.asked() == 0 {
                tokio::task::yield_now().await;
            }
        }),
    );
    drop(gone.await);
    source.turns.add_permits(ALL);
    assert_eq!(verdict(&tokens, &pair, Some("k"), 1).await, Ok(()));
    assert_eq!(source.asked(), 1);
}

#[actix_web::test]
async fn while_the_source_is_down_keys_are_believed_for_a_day_and_not_longer() {
    let pair = ed();
    let source = Source::start("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".to_owned(), ALL).await;
    let tokens = source.tokens();
    assert_eq!(verdict(&tokens, &pair, Some("k"), 0).await, UNAVAILABLE, "there is no key yet");
    assert_eq!(verdict(&tokens, &pair, Some("k"), 1).await, UNAVAILABLE);
    assert_eq!(source.asked(), 1, "those who come do not make it be asked more often");
    source.says(ok(&set(&[pair.jwk("k")])));
    assert_eq!((refresh(&tokens, 29).await, refresh(&tokens, 30).await), (0, 1), "after a failure it is tried again soon");
    assert_eq!(verdict(&tokens, &pair, Some("k"), 31).await, Ok(()));
    source.says("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n".to_owned());
    assert_eq!((refresh(&tokens, 629).await, refresh(&tokens, 630).await), (0, 1));
    let day = 24 * 60 * 60;
    assert_eq!(verdict(&tokens, &pair, Some("k"), 30 + day - 1).await, Ok(()));
    assert_eq!(verdict(&tokens, &pair, Some("k"), 30 + day).await, UNAVAILABLE);
    source.says(ok(&set(&[])));
    assert_eq!(refresh(&tokens, 60 + day).await, 1);
    assert_eq!(verdict(&tokens, &pair, Some("k"), 61 + day).await, REFUSED, "an empty set says that no key is good");
}

#[actix_web::test]
async fn a_source_that_cannot_be_reached_is_no_fault_of_the_token() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let tokens = trusting(&format!("http://{free}/keys")).expect("a server starts without it");
    assert_eq!(verdict(&tokens, &ed(), Some("k"), 0).await, UNAVAILABLE);
}

#[actix_web::test]
async fn redirects_and_answers_that_are_too_large_or_no_keys_are_refused() {
    let pair = ed();
    let good = Source::start(ok(&set(&[pair.jwk("k")])), ALL).await;
    let redirect = format!("HTTP/1.1 302 Found\r\nLocation: http://{}/\r\nContent-Length: 0\r\n\r\n", good.address);
    let large = ok(&format!("{}{}", set(&[pair.jwk("k")]), " ".repeat(1 << 20)));
    let endless = large.replacen("Content-Length", "X-Length", 1);
    for (what, answer) in [
        ("a redirect", redirect),
        ("over 1 MiB", large),
        ("over 1 MiB, without saying so", endless),
        ("too many keys", ok(&set(&vec![pair.jwk("k"); 65]))),
        ("a page", ok("<html>")),
        ("a private key", ok(&pair.private_pem())),
        ("not HTTP", "hello\r\n\r\n".to_owned()),
        ("nothing", String::new()),
    ] {
        let source = Source::start(answer, ALL).await;
        assert_eq!(verdict(&source.tokens(), &pair, Some("k"), 0).await, UNAVAILABLE, "{what}");
        assert_eq!((source.asked(), good.asked()), (1, 0), "{what}");
    }
    let secrets = Source::start(ok(&set(&[secret(&[1; 32]).jwk("k"), pair.jwk("good")])), ALL).await;
    assert_eq!(verdict(&secrets.tokens(), &pair, Some("good"), 0).await, Ok(()));
    assert_eq!(verdict(&secrets.tokens(), &secret(&[1; 32]), Some("k"), 0).await, REFUSED);
}

#[test]
fn keys_are_fetched_over_https_except_from_this_machine_and_secrets_never() {
    for good in ["https://idp.test/jwks", "http://127.0.0.1:8080/jwks", "http://[::1]/jwks", "http://localhost/jwks"] {
        assert!(trusting(good).is_ok(), "{good}");
    }
    for bad in [
        "http://idp.test/jwks",
        "http://localhost.evil.test/jwks",
        "http://127.0.0.1.evil.test/jwks",
        "http://10.0.0.1/jwks",
        "ftp://127.0.0.1/jwks",
        "file:///etc/passwd",
        "https://user:word@idp.test/jwks",
        "https://",
        "jwks",
    ] {
        assert!(trusting(bad).is_err(), "{bad}");
    }
    let mut issuers = Issuers::new(&Limits::default());
    assert!(issuers.add_remote(outside("corp", &["EdDSA", "HS256"]), "https://idp.test/jwks", None).is_err());
}

#[actix_web::test]
async fn keys_in_hand_outlive_a_reading_of_the_configuration_unless_the_entry_changed() {
    let pair = ed();
    let source = Source::start(ok(&set(&[pair.jwk("k")])), ALL).await;
    let (tokens, url) = (source.tokens(), format!("http://{}/keys", source.address));
    assert_eq!(verdict(&tokens, &pair, Some("k"), 0).await, Ok(()));
    let again = |algorithms: &[&str]| {
        let mut issuers = Issuers::new(&Limits::default());
        let added = issuers.add_remote(outside("corp", algorithms), &url, Some(&tokens.issuers()));
        added.expect("an issuer");
        issuers
    };
    tokens.replace(again(&["EdDSA"]));
    assert_eq!((verdict(&tokens, &pair, Some("k"), 1).await, source.asked()), (Ok(()), 1));
    tokens.replace(again(&["ES256"]));
    assert_eq!((verdict(&tokens, &pair, Some("k"), 2).await, source.asked()), (REFUSED, 2));
}
