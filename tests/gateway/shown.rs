//! What the matrix shows: every fault made real, with accounts, logins and tokens to which it has happened.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{
    answer::{Answer, ask},
    jwt::{changed, claims, header, now, sign},
    people::{Person, Proof, client, text, upgrade},
    refusals::{Fault, Place, Way},
    server::{ORIGIN, Server, random},
};

const COOKIE: &str = "__Host-hailgate";
pub const FOREIGN: &str = "https://evil.test";

/// A key that anybody may know; the server has no use for it.
const PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA5RWM+2zGwxgjh9cwFqSC
fiLlAUsrRQpRObg3MboxWWM8KxbcmcO8Ch7g2wf2MzWTgqkg6voDFjlr/mv5JH7j
O+Bg2H5uk/4Yj/eLV/o3qX2gDpLZWVP46MwsysULYeUE6weuhTo+ayIHFIYyPz2j
M/GbwENkfx2RYOpJIJqc0S5LJckjqSK+k94jnBHryhECwS+pxTejwn/k7m6lppkG
q9/J4NQE5OsyykJ1XLGJdkz8j/wD9TY63NZmd5moaVALvtHCssTEhqvbD32Kllbs
XNuUDnC9wTguaeqMNw3U1BNmhKncO+hJh5K7sepj1PuUurazLKjw28meHvIURJbR
RQIDAQAB
-----END PUBLIC KEY-----
";

/// So many characters of a secret are too many.
pub const ENOUGH: usize = 20;

/// The part of a request that says who it is.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    pub headers: Vec<(&'static str, String)>,
    pub query: String,
    /// What no answer and no log line may hold.
    pub secrets: Vec<String>,
}

impl Shown {
    /// And this origin.
    pub fn from(mut self, origin: &str) -> Shown {
        self.headers.push(("Origin", origin.to_owned()));
        self
    }

    /// And a name and a password for a proxy in front of the server.
    fn in_another_scheme(mut self) -> Shown {
        self.headers.push(("Authorization", "Basic YWxpY2U6c2VzYW1l".to_owned()));
        self
    }

    /// And this cookie, token or ticket in its place.
    pub fn by(mut self, way: Way, text: &str) -> Shown {
        match way {
            Way::Session => self.headers.push(("Cookie", format!("{COOKIE}={text}"))),
            Way::Bearer => self.headers.push(("Authorization", format!("Bearer {text}"))),
            Way::Subprotocol => {
                let encoded = URL_SAFE_NO_PAD.encode(text);
                self.secrets.extend(ends(&encoded));
                self.headers.push(("Sec-WebSocket-Protocol", format!("jwt-auth, jwt.{encoded}")));
            }
            Way::QueryToken => self.query.extend(["&token=", text]),
            Way::Ticket => self.query.extend(["&ticket=", text]),
        }
        self.secrets.extend(text.split('.').flat_map(ends));
        self
    }
}

/// The first and the last characters of a secret: who repeats a part of it repeats one of these.
fn ends(secret: &str) -> Vec<String> {
    let at = secret.len().saturating_sub(ENOUGH);
    if at == 0 { Vec::new() } else { vec![secret[..ENOUGH].to_owned(), secret[at..].to_owned()] }
}

/// A cookie, a token and a ticket of one login.
struct Login {
    person: Person,
    cookie: String,
    token: String,
    ticket: String,
}

impl Login {
    async fn new(server: &Server) -> Login {
        Login::of(server.browser().await).await
    }

    async fn of(person: Person) -> Login {
        let tokens = person.post("/api/auth/token", json!({})).await.json(200);
        let (_, cookie) = person.cookie().split_once('=').expect("a value");
        let (cookie, token) = (cookie.to_owned(), text(&tokens, "access_token").to_owned());
        let ticket = ticket(&person).await;
        Login { person, cookie, token, ticket }
    }

    fn text(&self, way: Way) -> String {
        match way {
            Way::Session => self.cookie.clone(),
            Way::Bearer | Way::Subprotocol | Way::QueryToken => self.token.clone(),
            Way::Ticket => self.ticket.clone(),
        }
    }
}

async fn ticket(person: &Person) -> String {
    text(&person.post("/api/ws/ticket", json!({})).await.json(200), "ticket").to_owned()
}

/// Everybody to whom something has happened.
pub struct Cast {
    pub server: Server,
    /// Of other keys, and without query tokens.
    pub other: Server,
    /// Whose credentials are right. The token says other things than the account.
    alice: Login,
    alice_elsewhere: Login,
    bob: Login,
    over: Login,
    login_over: Login,
    token_over: Login,
    revoked: Login,
    logged_out: Login,
    disabled: Login,
    /// What `GET /api/auth/me` answers to the cookie and to the token.
    by_cookie: Value,
    by_token: Value,
    client: reqwest::Client,
}

impl Cast {
    pub async fn new() -> Cast {
        // One person asks for more tickets in a second than a person does.
        let server = Server::new(&[("RUST_LOG", "trace"), ("HAILGATE_LIMIT_TICKETS_PER_SECOND", "1000")]);
        let other = Server::new(&[("RUST_LOG", "trace"), ("HAILGATE_QUERY_TOKENS", "off")]);
        let person = server.browser().await;
        server.site.told(&["user", "grant", &person.name, "--permission", "admin"], "");
        other.site.add_user(&person.name);
        let mut alice = Login::of(person).await;
        let grant = ["token", "--user", &alice.person.name, "--permission", "publish", "--tier", "gold"];
        alice.token = server.site.told(&grant, "");
        let alice_elsewhere = Login::of(other.sign_in(&alice.person.name).await).await;
        let by_cookie = alice.person.get("/api/auth/me").await.json(200);
        let by_token = alice.person.with(Proof::Bearer(alice.token.clone())).get("/api/auth/me").await.json(200);
        let cast = Cast {
            bob: Login::new(&server).await,
            over: Login::new(&server).await,
            login_over: Login::new(&server).await,
            token_over: Login::new(&server).await,
            revoked: Login::new(&server).await,
            logged_out: Login::new(&server).await,
            disabled: Login::new(&server).await,
            server,
            other,
            alice,
            alice_elsewhere,
            by_cookie,
            by_token,
            client: client(),
        };
        cast.let_it_happen().await;
        cast
    }

    async fn let_it_happen(&self) {
        let person = |login: &Login| login.person.name.clone();
        let site = &self.server.site;
        site.told(&["user", "revoke", &person(&self.revoked)], "");
        site.told(&["user", "disable", &person(&self.disabled)], "");
        self.logged_out.person.post("/api/auth/logout", json!({})).await.empty(204);
        // Nobody waits for a day: the rows are as they will be then.
        let store = rusqlite::Connection::open(site.directory.path().join("hailgate.db")).expect("the store");
        for (sql, user) in [
            ("UPDATE sessions SET expires_at = 1 WHERE user_id = ?1", &self.over),
            ("UPDATE tickets SET expires_at = 1 WHERE user_id = ?1", &self.over),
            ("UPDATE sessions SET seen_at = 1 WHERE user_id = ?1", &self.login_over),
            ("UPDATE tickets SET context_expires_at = 1 WHERE user_id = ?1", &self.token_over),
        ] {
            assert_eq!(store.execute(sql, [person(user)]).expect("a change"), 1, "{sql}");
        }
    }

    /// The auth context that an accepted credential of a way gives: as REST tells it.
    pub fn context(&self, way: Way) -> &Value {
        match way {
            Way::Session | Way::Ticket => &self.by_cookie,
            Way::Bearer | Way::Subprotocol | Way::QueryToken => &self.by_token,
        }
    }

    /// A right credential; a ticket is a new one every time.
    pub async fn right(&self, way: Way) -> String {
        match way {
            Way::Ticket => ticket(&self.alice.person).await,
            _ => self.alice.text(way),
        }
    }

    /// A cookie, token or ticket with this fault; where the fault lies elsewhere, a right one.
    pub async fn text(&self, fault: Fault, way: Way) -> String {
        let right = match fault {
            Fault::Over if way == Way::Session || way == Way::Ticket => return self.over.text(way),
            Fault::LoginOver => return self.login_over.text(way),
            Fault::TokenOver => return self.token_over.text(way),
            Fault::Revoked => return self.revoked.text(way),
            Fault::LoggedOut => return self.logged_out.text(way),
            Fault::Disabled => return self.disabled.text(way),
            Fault::OtherKey => return self.alice_elsewhere.text(way),
            Fault::Empty => return String::new(),
            Fault::Malformed => return random(40),
            _ => self.right(way).await,
        };
        let middle = right.len() / 2;
        match fault {
            Fault::Truncated => right[..right.len() - 10].to_owned(),
            Fault::Tampered => {
                let other = if &right[middle..=middle] == "A" { "B" } else { "A" };
                format!("{}{other}{}", &right[..middle], &right[middle + 1..])
            }
            Fault::ShownBefore => {
                let before = self.ask(&self.server, Place::Upgrade, &Shown::default().from(ORIGIN).by(way, &right)).await;
                assert_eq!(before.status, 101, "{}", before.body);
                right
            }
            Fault::ShownByForeignPage => {
                let before = self.ask(&self.server, Place::Events, &Shown::default().from(FOREIGN).by(way, &right)).await;
                assert_eq!(before.status, 200, "{}", before.body);
                right
            }
            _ => self.forged(fault).unwrap_or(right),
        }
    }

    /// A token that says or is signed with something else.
    fn forged(&self, fault: Fault) -> Option<String> {
        let (secret, now) = (self.server.site.variable("HAILGATE_JWT_SECRET"), now());
        let (head, body) = (header(), claims(&self.alice.person.name));
        let says = |with: Value| Some(sign(&head.to_string(), &changed(&body, &with).to_string(), secret));
        let heads = |with: Value| Some(sign(&changed(&head, &with).to_string(), &body.to_string(), secret));
        match fault {
            Fault::AlgNone => {
                let token = heads(json!({"alg": "none"}))?;
                token.rsplit_once('.').map(|(unsigned, _)| format!("{unsigned}."))
            }
            Fault::PublicKeyAsSecret => Some(sign(&head.to_string(), &body.to_string(), PUBLIC_KEY)),
            Fault::OtherAlgorithm => heads(json!({"alg": "RS256"})),
            Fault::Kid => heads(json!({"kid": "of-nobody"})),
            Fault::Issuer => says(json!({"iss": "https://evil.test"})),
            Fault::Audience => says(json!({"aud": "another-service"})),
            Fault::NotYetValid => says(json!({"nbf": now + 60})),
            Fault::IssuedLater => says(json!({"iat": now + 60})),
            Fault::Over => says(json!({"iat": now - 600, "exp": now - 60})),
            Fault::UnknownUser => says(json!({"sub": "nobody-has-this-name"})),
            _ => None,
        }
    }

    /// The whole of what is shown for a fault.
    pub fn shown(&self, fault: Fault, way: Way, text: &str) -> Shown {
        let one = || Shown::default().by(way, text);
        match fault {
            Fault::Missing => Shown::default().from(ORIGIN),
            Fault::ForeignOrigin => one().from(FOREIGN),
            Fault::NoOrigin => one(),
            Fault::OwnCookie => one().by(Way::Session, &self.alice.cookie),
            Fault::BentCookie => one().by(Way::Session, &random(80)).from(ORIGIN),
            Fault::OtherCookie => one().by(Way::Session, &self.bob.cookie).from(ORIGIN),
            Fault::Twice => one().by(way, text).from(ORIGIN),
            Fault::OtherScheme => Shown::default().from(ORIGIN).in_another_scheme(),
            Fault::BesideOtherScheme => one().from(ORIGIN).in_another_scheme(),
            Fault::TwoWays => {
                let second = if way == Way::Bearer { Way::QueryToken } else { Way::Bearer };
                one().by(second, &self.alice.token).from(ORIGIN)
            }
            _ => one().from(ORIGIN),
        }
    }

    /// What a place of a server answers.
    pub async fn ask(&self, server: &Server, place: Place, shown: &Shown) -> Answer {
        let (method, path) = place.route();
        let method = method.parse().expect("a method");
        let mut request = self.client.request(method, server.url(&format!("{path}?{}", query(place, shown))));
        for (name, value) in &shown.headers {
            request = request.header(*name, value);
        }
        match place {
            Place::Upgrade => ask(upgrade(request)).await,
            Place::Change => ask(request.json(&json!({"members": []}))).await,
            _ => ask(request).await,
        }
    }
}

/// The query of a request to a place.
pub fn query(place: Place, shown: &Shown) -> String {
    let first = if place == Place::Events { "timeout_ms=0" } else { "" };
    format!("{first}{}", shown.query).trim_start_matches('&').to_owned()
}
