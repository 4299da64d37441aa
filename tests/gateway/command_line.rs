//! The command line beside a running server: accounts, tokens, configuration.

use std::{fs, sync::Arc};

use crate::{
    people::{Person, Proof},
    server::{PASSWORD, Server, Site, random},
};

#[test]
fn an_unknown_variable_is_refused_with_the_nearest_name() {
    for (wrong, right) in [
        ("HAILGATE_JWT_SECRT", "HAILGATE_JWT_SECRET"),
        ("HAILGATE_DATABASE", "HAILGATE_DATABASE_URL"),
        ("HAILGATE_LIMIT_CONTENT_CHAR", "HAILGATE_LIMIT_CONTENT_CHARS"),
        ("HAILGATE_PUBLIC_URI", "HAILGATE_PUBLIC_URL"),
    ] {
        let site = Site::new(&[(wrong, "x")]);
        for command in [&["serve"][..], &["check"], &["user", "list"], &["token", "--user", "alice"]] {
            let output = site.run(command);
            assert_eq!(output.status.code(), Some(78), "{wrong} {command:?}");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains(wrong) && said.contains(&format!("Did you mean {right}?")), "{said}");
            assert!(output.stdout.is_empty(), "{command:?}");
        }
    }
}

#[test]
fn variables_that_kubernetes_makes_of_services_are_ignored_and_a_mistyped_setting_is_not() {
    let site = Site::new(&[
        ("HAILGATE_SERVICE_HOST", "10.0.0.1"),
        ("HAILGATE_SERVICE_PORT_HTTP", "80"),
        ("HAILGATE_PORT", "tcp://10.0.0.1:80"),
        ("HAILGATE_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("HAILGATE_GATEWAY_SERVICE_HOST", "10.0.0.1"),
        ("HAILGATE_GATEWAY_SERVICE_PORT", "80"),
        ("HAILGATE_GATEWAY_SERVICE_PORT_HTTP", "80"),
        ("HAILGATE_GATEWAY_PORT", "tcp://10.0.0.1:80"),
        ("HAILGATE_GATEWAY_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("HAILGATE_GATEWAY_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("HAILGATE_GATEWAY_PORT_80_TCP_PORT", "80"),
        ("HAILGATE_GATEWAY_PORT_80_TCP_PROTO", "tcp"),
    ]);
    assert_eq!(site.run(&["check"]).status.code(), Some(0));
    for (name, value) in [("HAILGATE_METRICS_PORT", "9090"), ("HAILGATE_LIMIT_PAG", "5")] {
        let output = Site::new(&[(name, value)]).run(&["check"]);
        assert_eq!(output.status.code(), Some(78), "{name}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(name), "{name}");
    }
}

#[test]
fn white_space_around_variables_and_flags_is_dropped() {
    let site = Site::new(&[]);
    assert!(
        site.run_with(&["user", "add", "alice", "--email", "a@example.org\n", "--password-stdin"], PASSWORD)
            .status
            .success()
    );
    let url = site.variable("HAILGATE_DATABASE_URL").to_owned();
    let mut command = site.command(&["user", "list"]);
    let output = crate::server::finish(command.env("HAILGATE_DATABASE_URL", format!("{url}\n")), "");
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && listed.starts_with("alice\t"), "{listed}");
    let names =
        || fs::read_dir(site.directory.path()).expect("a directory").map(|entry| entry.expect("an entry").file_name());
    assert!(names().all(|name| !name.to_string_lossy().contains('\n')), "{:?}", names().collect::<Vec<_>>());
    let file = site.directory.path().join("other.toml");
    fs::write(&file, "workers = 2\n").expect("a file");
    for path in [format!("{}\n", file.display()), format!(" {}", file.display())] {
        assert_eq!(site.run(&["check", "--config", &path]).status.code(), Some(0), "{path:?}");
        let output = crate::server::finish(site.command(&["check"]).env("HAILGATE_CONFIG", &path), "");
        assert_eq!(output.status.code(), Some(0), "{path:?}");
    }
    assert_eq!(site.run(&["check", "--bind", "127.0.0.1:1\n"]).status.code(), Some(0));
    for (arguments, code) in [
        (&["check", "--config", "a\tb.toml"][..], 2),
        (&["check", "--data", "a\u{1}b"], 2),
        (&["check", "--bind", "127.0.0.1:\n1"], 78),
        (&["check", "--url", "http://127.0\n.0.1:1"], 2),
        (&["token", "--user", "alice", "--tier", "go\nld"], 2),
        (&["user", "add", "bob", "--email", "b@exam\u{1b}ple.org", "--password-stdin"], 2),
    ] {
        let output = site.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(code) && said.contains("U+"), "{arguments:?}: {said}");
    }
    for (name, value) in [("HAILGATE_JWT_AUDIENCE", "hail\ngate"), ("HAILGATE_DATABASE_URL", "sqlite:///a\n/b.db")] {
        let output = crate::server::finish(site.command(&["check"]).env(name, value), "");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(78) && said.contains(&format!("{name} has a line feed (U+000A)")), "{said}");
    }
}

#[test]
fn a_password_keeps_its_spaces_and_loses_the_end_of_its_line_only() {
    let site = Site::new(&[]);
    for (name, typed) in [("unix", "  two words  \n"), ("windows", "  two words  \r\n"), ("none", "  two words  ")] {
        assert!(site.run_with(&["user", "add", name, "--password-stdin"], typed).status.success(), "{name}");
    }
    let server = Arc::new(site).serve();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        for name in ["unix", "windows", "none"] {
            server.login(name, "  two words  ").await.json(200);
            server.login(name, "two words").await.problem(401, "bad_login");
        }
    });
}

#[test]
fn an_unknown_key_in_the_file_is_refused_with_its_line() {
    let site = Site::new(&[]);
    let path = site.directory.path().join("hailgate.toml");
    let path = path.to_str().expect("UTF-8");
    for (text, line, part) in [
        ("workers = 2\n\n# a comment\njwt_isuer = \"x\"\n", 4, "jwt_issuer"),
        ("[limits]\ncontent_chars = 100\ncontent_char = 5\n", 3, "content_chars"),
        ("workers = 2\nworkers = 3\n", 2, ""),
        ("workers = \n", 1, ""),
        ("workers = 2\n[[trusted]]\nx = 1\n", 2, ""),
        ("workers = { a = 1 }\n", 1, "workers"),
        ("\nworkers = \"many\"\n", 2, "workers"),
        ("\n\n[limits]\npage = 0\n", 4, "page"),
    ] {
        fs::write(path, text).expect("a file");
        for command in [&["check", "--config", path][..], &["serve", "--config", path]] {
            let output = site.run(command);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(78), "{text}: {said}");
            assert!(said.contains(&format!("{path}:{line}")) && said.contains(part), "{text}: {said}");
        }
    }
    assert_eq!(site.run(&["check", "--config", "nothing.toml"]).status.code(), Some(78));
}

#[test]
fn a_variable_wins_over_the_file_and_a_flag_over_the_variable() {
    let mut site = Site::new(&[("HAILGATE_LIMIT_PAGE", "30"), ("HAILGATE_BIND", "127.0.0.1:1")]);
    let path = site.directory.path().join("other.toml");
    fs::write(&path, "log_format = \"json\"\nworkers = 1\n[limits]\npage = 20\npoll_ms = 1234\n").expect("a file");
    site.variables.push(("HAILGATE_CONFIG".to_owned(), path.to_str().expect("UTF-8").to_owned()));
    let told = site.told(&["check"], "");
    let told: Vec<&str> = told.lines().flat_map(str::split_whitespace).collect();
    let told = told.join(" ");
    for line in [
        "page 30 rows (variable HAILGATE_LIMIT_PAGE) largest page of a list",
        &format!("poll_ms 1234 milliseconds ({}:5) longest wait of a long poll", path.display()),
        "fragments 64 fragments fragments of one message",
        "allowed_origins (not set: HAILGATE_ALLOWED_ORIGINS)",
    ] {
        assert!(told.contains(line), "{line} in {told}");
    }
    // Port 1 is nobody's to bind here: only the flag lets it listen.
    let server = Arc::new(site).serve();
    assert_ne!(server.port, 1);
    assert!(server.log.text().lines().all(|line| line.starts_with('{')), "{}", server.log.text());
}

#[test]
fn arguments_that_are_wrong_end_with_2_and_a_store_that_cannot_be_used_with_69() {
    let site = Site::new(&[]);
    for wrong in [
        &["nonsense"][..],
        &[],
        &["token"],
        &["user", "add"],
        &["user", "add", "Alice"],
        &["user", "add", "a:b"],
        &["serve", "--x"],
    ] {
        assert_eq!(site.run(wrong).status.code(), Some(2), "{wrong:?}");
    }
    for name in ["anonymous", "system", "systemd", "a b", "", "ä", &"x".repeat(129)] {
        assert_eq!(site.run(&["user", "add", name, "--password-stdin"]).status.code(), Some(2), "{name}");
    }
    let site = Site::with_secrets(&[("HAILGATE_BIND", "127.0.0.1:0")]);
    let mut command = site.command(&["serve"]);
    command.env("HAILGATE_DATABASE_URL", "sqlite:///nowhere/at/all/hailgate.db");
    assert_eq!(crate::server::finish(&mut command, "").status.code(), Some(69));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let output = site.run(&["serve", "--bind", &address]);
    assert_eq!(output.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&address));
}

#[test]
fn token_prints_a_token_and_nothing_else() {
    let site = Site::new(&[]);
    assert!(site.run_with(&["user", "add", "alice", "--password-stdin"], PASSWORD).status.success());
    let output = site.run(&["token", "--user", "alice", "--ttl", "15m"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let token = text.strip_suffix('\n').expect("one line");
    assert_eq!(token.split('.').filter(|part| !part.is_empty()).count(), 3, "{text}");
    assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{text}");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    for ttl in ["25h", "0s", "-1m", "soon"] {
        assert!(!site.run(&["token", "--user", "alice", &format!("--ttl={ttl}")]).status.success(), "{ttl}");
    }
    assert!(!site.run(&["token", "--user", "alice", "--permission", "everything"]).status.success());
    let help = site.told(&["token", "--help"], "");
    assert!(help.contains("whatever the account has") && help.contains("would open nothing"), "{help}");
}

#[tokio::test]
async fn a_token_lives_as_long_as_it_says_and_carries_what_it_was_given() {
    let server = Server::shared();
    let alice = server.person();
    let token =
        server.site.told(&["token", "--user", &alice.name, "--ttl", "15m", "--permission", "publish", "--tier", "gold"], "");
    let me = alice.with(Proof::Bearer(token)).get("/api/auth/me").await.json(200);
    assert_eq!((&me["customer_tier"], &me["permissions"]), (&"gold".into(), &serde_json::json!(["publish"])));
    assert_eq!(alice.get("/api/auth/me").await.json(200)["permissions"], serde_json::json!([]));
}

#[tokio::test]
async fn a_token_opens_something_right_after_a_revocation_and_none_is_signed_for_a_disabled_account() {
    let server = Server::shared();
    let alice = server.person();
    server.site.told(&["user", "revoke", &alice.name], "");
    let token = server.site.told(&["token", "--user", &alice.name], "");
    alice.with(Proof::Bearer(token)).get("/api/auth/me").await.json(200);
    server.site.told(&["user", "disable", &alice.name], "");
    let output = server.site.run(&["token", "--user", &alice.name]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && output.stdout.is_empty() && told.contains("user enable"), "{told}");
}

#[tokio::test]
async fn an_account_that_is_added_while_the_server_runs_can_sign_in_at_once() {
    let server = Server::shared();
    let name = format!("u{}", random(10));
    server.login(&name, PASSWORD).await.problem(401, "bad_login");
    let added = server
        .site
        .run_with(&["user", "add", &name, "--email", "x@mail.test", "--display", "A. B.", "--password-stdin"], PASSWORD);
    assert!(added.status.success() && added.stdout.is_empty());
    let told = server.login(&name, PASSWORD).await.json(200);
    assert_eq!((&told["name"], &told["email"]), (&"A. B.".into(), &"x@mail.test".into()));
    let again = server.site.run_with(&["user", "add", &name, "--password-stdin"], PASSWORD);
    assert!(!again.status.success(), "a name is taken once");
    server.login(&name, PASSWORD).await.json(200);
    let list = server.site.told(&["user", "list"], "");
    assert!(
        list.lines().any(|line| line.split('\t').collect::<Vec<_>>() == [name.as_str(), "A. B.", "", "active"]),
        "{list}"
    );
}

#[tokio::test]
async fn a_password_that_is_too_short_or_too_common_is_refused_and_nothing_is_made() {
    let server = Server::shared();
    let name = format!("u{}", random(10));
    for (bad, why) in [("", "at least 8"), ("1234567", "at least 8"), ("\n", "at least 8"), ("Password1\n", "most common")] {
        let output = server.site.run_with(&["user", "add", &name, "--password-stdin"], bad);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(why), "{bad:?}: {said}");
    }
    assert!(!server.site.told(&["user", "list"], "").contains(&name));
}

#[tokio::test]
async fn a_new_password_ends_every_login_of_the_user() {
    let server = Server::shared();
    let alice = server.browser().await;
    let changed = server.site.run_with(&["user", "passwd", &alice.name, "--password-stdin"], "another good password");
    assert!(changed.status.success());
    alice.get("/api/auth/me").await.problem(401, "unauthenticated");
    alice.try_upgrade("/ws").await.problem(401, "unauthenticated");
    server.login(&alice.name, PASSWORD).await.problem(401, "bad_login");
    server.login(&alice.name, "another good password").await.json(200);
    assert!(!server.site.run_with(&["user", "passwd", "nobody-at-all", "--password-stdin"], PASSWORD).status.success());
}

#[tokio::test]
async fn a_disabled_user_is_refused_at_the_next_request_however_it_comes() {
    let server = Server::shared();
    let cookie: Person = server.browser().await;
    let bearer = cookie.with(Proof::Bearer(server.site.token(&cookie.name)));
    bearer.get("/api/auth/me").await.json(200);
    assert!(server.site.run(&["user", "disable", &cookie.name]).status.success());
    bearer.get("/api/auth/me").await.problem(401, "disabled");
    bearer.try_upgrade("/ws").await.problem(401, "disabled");
    let by_cookie = cookie.get("/api/auth/me").await;
    assert_eq!(by_cookie.status, 401, "{}", by_cookie.body);
    server.login(&cookie.name, PASSWORD).await.problem(401, "bad_login");
    let list = server.site.told(&["user", "list"], "");
    assert!(list.lines().any(|line| line.starts_with(&cookie.name) && line.ends_with("disabled")), "{list}");
    let alice = server.person();
    let body = serde_json::json!({"members": [cookie.name]});
    alice.post("/api/threads", body).await.problem(422, "unknown_user");
    assert!(!server.site.run(&["user", "disable", "nobody-at-all"]).status.success());
}

#[test]
fn development_listens_on_this_machine_only() {
    let site = Site::with_secrets(&[("ENVIRONMENT", "development")]);
    for bind in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
        let output = site.run(&["serve", "--bind", bind]);
        assert_eq!(output.status.code(), Some(78), "{bind}");
    }
}

#[test]
fn a_public_address_in_plain_http_is_refused_outside_development_and_testing() {
    for (environment, url, code) in [
        ("production", "http://chat.test", 78),
        ("staging", "http://chat.test", 78),
        ("production", "https://chat.test", 0),
        ("production", "http://127.0.0.1:8080", 0),
        ("testing", "http://chat.test", 0),
        ("production", "https://chat.test/path", 78),
        ("production", "chat.test", 78),
        ("production", "https://*", 78),
    ] {
        let site = Site::with_secrets(&[("ENVIRONMENT", environment), ("HAILGATE_PUBLIC_URL", url)]);
        let output = site.run(&["check"]);
        assert_eq!(output.status.code(), Some(code), "{environment} {url}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
