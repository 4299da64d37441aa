//! Text that can be typed composed (NFC) or decomposed (NFD): names and passwords.

use reqwest::Url;

use serde_json::json;

use crate::{
    people::{Proof, cookie},
    server::{PASSWORD, Server, random},
};

#[tokio::test]
async fn a_name_is_found_however_its_letters_are_composed() {
    let server = Server::shared();
    let (searcher, mark) = (server.person(), random(10));
    let (composed, decomposed) = (format!("{mark} Ren\u{e9}e"), format!("{mark} Rene\u{301}e"));
    let ids = [format!("c{mark}"), format!("d{mark}")];
    for (id, name) in ids.iter().zip([&composed, &decomposed]) {
        server.site.told(&["user", "add", id, "--password-stdin", "--display", name], PASSWORD);
    }
    let asked = [composed.clone(), decomposed, composed.to_uppercase(), format!("{mark} rene")];
    for name in asked {
        let mut url = Url::parse(&server.url("/api/users")).expect("an address");
        url.query_pairs_mut().append_pair("q", &name);
        let found = searcher.get(&format!("/api/users?{}", url.query().expect("a query"))).await.json(200);
        let found: Vec<&str> =
            found["users"].as_array().expect("users").iter().filter_map(|user| user["user_id"].as_str()).collect();
        assert_eq!(found, ids, "{name}");
    }
    searcher.get("/api/users?q=e%CC%81").await.problem(400, "invalid");
}

#[tokio::test]
async fn a_password_opens_its_account_however_its_letters_are_composed() {
    let server = Server::shared();
    let spellings = ["S\u{e9}same two-9714", "Se\u{301}same two-9714", "S\u{e9}same\u{a0}two-9714"];
    for set in spellings {
        let name = format!("u{}", random(10));
        server.site.told(&["user", "add", &name, "--password-stdin"], set);
        for typed in spellings {
            server.login(&name, typed).await.json(200);
        }
        server.login(&name, "Sesame two-9714").await.problem(401, "bad_login");
        server.site.told(&["user", "passwd", &name, "--password-stdin"], "e\u{301}t\u{e9}-e\u{301}t\u{e9}-1");
        let answer = server.login(&name, "\u{e9}te\u{301}-\u{e9}te\u{301}-1").await;
        answer.json(200);
        let person = server.nobody().with(Proof::Cookie(cookie(&answer)));
        let change = json!({"current_password": "e\u{301}te\u{301}-e\u{301}te\u{301}-1", "new_password": set});
        person.post("/api/auth/password", change).await.empty(204);
        for typed in spellings {
            server.login(&name, typed).await.json(200);
        }
        let short = json!({"current_password": set, "new_password": "e\u{301}".repeat(7)});
        let again = server.nobody().with(Proof::Cookie(cookie(&server.login(&name, set).await)));
        again.post("/api/auth/password", short).await.problem(400, "invalid");
    }
}
