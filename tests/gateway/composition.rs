//! Text that can be typed composed (NFC) or decomposed (NFD): names and passwords.

use reqwest::Url;

use crate::server::{PASSWORD, Server, random};

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
