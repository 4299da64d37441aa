//! What descends from a login, as a test asks for it: pairs of tokens, and tickets. And tokens that a test signs itself.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    answer::{Answer, ask},
    jwt::{claims, header, in_seconds, now, sign},
    people::{Person, Proof, cookie, text},
    server::{Server, Site},
};

/// What `POST /api/auth/token` and `/refresh` give.
#[derive(Debug, Clone)]
pub struct Pair {
    pub access: String,
    pub refresh: String,
}

impl Pair {
    /// Out of an answer that gives one.
    #[track_caller]
    pub fn of(answer: &Answer) -> Pair {
        let body = answer.json(200);
        Pair { access: text(&body, "access_token").to_owned(), refresh: text(&body, "refresh_token").to_owned() }
    }
}

impl Site {
    /// A token with these claims, signed as the server signs.
    pub fn signed(&self, claims: &Value) -> String {
        sign(&header().to_string(), &claims.to_string(), self.variable("HAILGATE_JWT_SECRET"))
    }

    /// A token of this user that lives as long as its claims say.
    pub fn token_of(&self, person: &Person, with: &Value) -> Person {
        let claims = crate::jwt::changed(&claims(&person.name), with);
        person.bearer(&self.signed(&claims))
    }
}

impl Server {
    /// A token without a login, dated almost as far ahead as is let in. A revocation reaches tokens that are dated up to 5 s
    /// after it, so one that is dated now would be refused for so long.
    pub async fn dated_ahead(&self, person: &Person) -> Person {
        loop {
            let token = self.site.token_of(person, &json!({"iat": in_seconds(4.9)}));
            if token.get("/api/auth/me").await.status == 200 {
                return token;
            }
        }
    }

    /// Opens something with a token of which little more than the leeway is left. `open` says `None` where that was too late;
    /// then it gets one that ends later. What it opened, the person with the token, and when the token ends.
    pub async fn with_ending_token<T>(
        &self,
        person: &Person,
        mut open: impl AsyncFnMut(&Person) -> Option<T>,
    ) -> (T, Person, u64) {
        for life in [-2, 2, 8, 20, 50] {
            let exp = now().saturating_add_signed(life);
            let short = self.site.token_of(person, &json!({"iat": exp - 60, "exp": exp}));
            match open(&short).await {
                Some(opened) => return (opened, short, exp),
                None => assert!(now() >= exp, "a valid token is refused"),
            }
        }
        panic!("a token of 50 s is over before it is used")
    }

    /// Shows a refresh token, as a program does: without any other credential.
    pub async fn refresh(&self, token: &str) -> Answer {
        self.nobody().post("/api/auth/refresh", json!({"refresh_token": token})).await
    }
}

impl Server {
    /// Whom the answer to a login signed in.
    pub fn signed_in(&self, name: &str, answer: &Answer) -> Person {
        answer.json(200);
        let mut person = self.nobody().with(Proof::Cookie(cookie(answer)));
        name.clone_into(&mut person.name);
        person
    }
}

impl Person {
    /// The same person, showing a token.
    pub fn bearer(&self, token: &str) -> Person {
        self.with(Proof::Bearer(token.to_owned()))
    }

    /// A request without a body.
    pub async fn post_nothing(&self, path: &str) -> Answer {
        ask(self.request(Method::POST, path)).await
    }

    /// A new family of tokens.
    pub async fn pair(&self) -> Pair {
        Pair::of(&self.post_nothing("/api/auth/token").await)
    }

    /// The same person by an access token of a new family.
    pub async fn program(&self) -> Person {
        self.bearer(&self.pair().await.access)
    }

    /// A new ticket.
    pub async fn ticket(&self) -> String {
        text(&self.post_nothing("/api/ws/ticket").await.json(200), "ticket").to_owned()
    }

    /// Signs out.
    pub async fn logout(&self) {
        self.post_nothing("/api/auth/logout").await.empty(204);
    }

    /// Shows that this proof is refused on REST and on the upgrade.
    pub async fn is_refused(&self, code: &str) {
        self.get("/api/auth/me").await.problem(401, code);
        self.try_upgrade("/ws").await.problem(401, code);
    }

    /// Shows that this proof opens REST and the upgrade.
    pub async fn is_taken(&self) {
        assert_eq!(self.get("/api/auth/me").await.json(200)["user_id"], self.name.as_str());
        self.socket().await.is_alive().await;
    }
}

/// The path of an upgrade by ticket.
pub fn by_ticket(ticket: &str) -> String {
    format!("/ws?ticket={ticket}")
}
