//! Configuration from outside: what starts, what refuses, and what the refusal says.

use super::*;

const JWT: &str = "kq3vX0yZr8mT5wB2nC7dF4gH6jL9pQ1s";

fn session_key() -> String {
    hex::encode((0..64u8).map(|byte| byte.wrapping_mul(37).wrapping_add(11)).collect::<Vec<_>>())
}

fn load(variables: &[(&str, &str)]) -> Result<Config, Vec<Complaint>> {
    let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
    Config::load(&Sources { variables, ..Sources::default() })
}

fn with_secrets(more: &[(&str, &str)]) -> Result<Config, Vec<Complaint>> {
    let key = session_key();
    let mut variables = vec![("HAILGATE_JWT_SECRET", JWT), ("HAILGATE_SESSION_KEY", key.as_str())];
    variables.extend(more);
    load(&variables)
}

fn complaint(result: Result<Config, Vec<Complaint>>) -> String {
    result.expect_err("a complaint").iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_empty_environment_is_told_which_secrets_are_missing() {
    let said = complaint(load(&[]));
    assert!(said.contains("HAILGATE_JWT_SECRET is missing") && said.contains("HAILGATE_SESSION_KEY is missing"), "{said}");
    assert!(said.contains("openssl rand"), "{said}");
}

#[test]
fn secrets_alone_make_production() {
    let config = with_secrets(&[]).expect("a configuration");
    assert_eq!(config.environment, Environment::Production);
    assert!(config.bind.ip().is_loopback() && config.query_tokens && !config.create_users);
}

#[test]
fn only_the_exact_name_of_an_environment_is_taken() {
    for environment in Environment::ALL {
        assert_eq!(with_secrets(&[("ENVIRONMENT", environment.name())]).expect("exact").environment, environment);
        let name = environment.name();
        let upper = name.to_uppercase();
        let typos =
            [format!(" {name}"), format!("{name} "), format!("{name}\n"), upper, name[1..].to_owned(), format!("{name}s")];
        for typo in typos {
            assert!(complaint(with_secrets(&[("ENVIRONMENT", &typo)])).contains("There is no environment"), "{typo:?}");
        }
    }
    for other in ["", "prod", "dev", "local", "stagingg", "none", "0"] {
        assert!(complaint(with_secrets(&[("ENVIRONMENT", other)])).contains("variable ENVIRONMENT"), "{other:?}");
    }
}

#[test]
fn development_is_for_this_machine_only() {
    let open = [("ENVIRONMENT", "development"), ("HAILGATE_BIND", "0.0.0.0:8080")];
    assert!(complaint(with_secrets(&open)).contains("open to others"));
    assert!(with_secrets(&[("ENVIRONMENT", "development"), ("HAILGATE_BIND", "[::1]:0")]).is_ok());
}

#[test]
fn an_unknown_variable_is_refused_with_the_nearest_name_and_those_of_kubernetes_are_not() {
    let said = complaint(with_secrets(&[("HAILGATE_JWT_SECRETS", "x")]));
    assert!(said.contains("Did you mean HAILGATE_JWT_SECRET?"), "{said}");
    let said = complaint(with_secrets(&[("HAILGATE_LIMIT_CONTENT_CHAR", "5")]));
    assert!(said.contains("HAILGATE_LIMIT_CONTENT_CHARS"), "{said}");
    let kubernetes =
        [("HAILGATE_SERVICE_HOST", "10.0.0.1"), ("HAILGATE_PORT", "tcp://10.0.0.1:80"), ("HAILGATE_PORT_80_TCP", "x")];
    assert!(with_secrets(&kubernetes).is_ok());
}

#[test]
fn the_address_of_the_database_is_a_path_and_nothing_more() {
    let load = |url: &str| with_secrets(&[("HAILGATE_DATABASE_URL", url)]).map(|config| config.database);
    assert_eq!(load("sqlite:///var/lib/x.db"), Ok(PathBuf::from("/var/lib/x.db")));
    for (wrong, word) in [
        ("sqlite:///x.db?mode=rwc", "`?`"),
        ("sqlite:///x.db#1", "`#`"),
        ("sqlite:///..", "cannot be at that address"),
        ("sqlite://x.db", "cannot be at that address"),
        ("postgres://user:word@host/x?y=z", "cannot be at that address"),
    ] {
        let said = complaint(load(wrong).map(|_| with_secrets(&[]).expect("a configuration")));
        assert!(said.contains(word) && said.contains("sqlite:///absolute/path.db") && !said.contains("user:word"), "{said}");
    }
}

#[test]
fn the_port_of_a_platform_is_obeyed_where_the_address_is_open_to_all() {
    let bind =
        |bind: &str, port: &str| with_secrets(&[("HAILGATE_BIND", bind), ("PORT", port)]).map(|config| config.bind.port());
    assert_eq!(bind("0.0.0.0:8080", "9000"), Ok(9000));
    assert_eq!(bind("127.0.0.1:8080", "9000"), Ok(8080));
    assert!(bind("0.0.0.0:8080", "tcp://10.0.0.1:80").is_err());
}

#[test]
fn weak_secrets_are_refused_and_never_repeated() {
    let key = session_key();
    let same = format!("{key}{key}");
    let table = [
        ("short", key.as_str()),
        ("changeme-changeme-changeme-changeme", key.as_str()),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", key.as_str()),
        (JWT, "00"),
        (JWT, same.as_str()),
        (key.as_str(), key.as_str()),
    ];
    for (jwt, session) in table {
        let said = complaint(load(&[("HAILGATE_JWT_SECRET", jwt), ("HAILGATE_SESSION_KEY", session)]));
        assert!(!said.contains(jwt) || jwt == "short", "{said}");
    }
}

#[test]
fn several_session_keys_are_taken_newest_first_and_every_one_is_judged() {
    let key = |seed: u8| (0..64u8).map(|byte| byte.wrapping_mul(37).wrapping_add(seed)).collect::<Vec<_>>();
    let (one, two) = (hex::encode(key(1)), base64::Engine::encode(&base64::engine::general_purpose::STANDARD, key(2)));
    let load = |keys: &str| load(&[("HAILGATE_JWT_SECRET", JWT), ("HAILGATE_SESSION_KEY", keys)]);
    let config = load(&format!("{one}, {two}")).expect("two keys");
    assert_eq!(config.session_keys.iter().map(Secret::bytes).collect::<Vec<_>>(), [key(1), key(2)]);
    let many: Vec<String> = (1..=9).map(|seed| hex::encode(key(seed))).collect();
    assert_eq!(load(&many[..8].join(",")).expect("eight keys").session_keys.len(), 8);
    let same = "ab".repeat(64);
    for (keys, said) in [
        (format!("{one},"), "key 2 of 2, is not 64 bytes"),
        (format!(",{one}"), "key 1 of 2, is not 64 bytes"),
        (format!("{one},{}", &two[4..]), "key 2 of 2, is not 64 bytes"),
        (format!("{one},{same},{two}"), "key 2 of 3, looks like an example"),
        (format!("{one},{two},{one}"), "key 3 of 3, stands there twice"),
        (many.join(","), "has 9 keys; it may have 8"),
    ] {
        let complained = complaint(load(&keys));
        assert!(complained.contains(said) && !complained.contains(&one), "{complained}");
    }
    let both = complaint(load(&format!("x,{one},y")));
    assert!(both.contains("key 1 of 3") && both.contains("key 3 of 3"), "{both}");
    let shared = complaint(self::load(&[("HAILGATE_JWT_SECRET", &one), ("HAILGATE_SESSION_KEY", &format!("{two},{one}"))]));
    assert!(shared.contains("are the same"), "{shared}");
}

#[test]
fn switches_are_on_or_off_and_own_tokens_say_something() {
    for (text, on) in [("on", true), ("true", true), ("off", false), ("false", false)] {
        let config = with_secrets(&[("HAILGATE_CREATE_USERS", text), ("HAILGATE_QUERY_TOKENS", text)]).expect("a switch");
        assert_eq!((config.create_users, config.query_tokens), (on, on));
    }
    for wrong in ["", "yes", "1", "ON"] {
        assert!(complaint(with_secrets(&[("HAILGATE_CREATE_USERS", wrong)])).contains("Write on or off"), "{wrong:?}");
    }
    for name in ["HAILGATE_JWT_ISSUER", "HAILGATE_JWT_AUDIENCE"] {
        for empty in ["", " "] {
            let said = complaint(with_secrets(&[(name, empty)]));
            assert!(said.contains("is empty") && said.contains(name), "{said}");
        }
    }
}

#[test]
fn a_session_key_may_be_broken_into_lines() {
    let key = session_key();
    let bytes = with_secrets(&[]).expect("a key").session_keys;
    for broken in [format!("{}\n{}\n", &key[..64], &key[64..]), format!(" {} {}", &key[..1], &key[1..])] {
        let config = load(&[("HAILGATE_JWT_SECRET", JWT), ("HAILGATE_SESSION_KEY", &broken)]).expect("the same key");
        assert_eq!(config.session_keys, bytes);
    }
}

#[test]
fn trusted_proxies_are_networks_and_never_everybody() {
    let load = |text: &str| with_secrets(&[("HAILGATE_TRUSTED_PROXIES", text)]);
    let good = load("10.0.0.0/8, 192.0.2.1,fd00::/8,,").expect("three networks").trusted_proxies;
    assert_eq!(good.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.0/8", "192.0.2.1/32", "fd00::/8"]);
    assert!(load("").expect("none").trusted_proxies.is_empty());
    for bad in
        ["proxy.example.org", "10.0.0.0/33", "10.0.0", "10.0.0.0/8 10.1.0.0/16", "*", "0.0.0.0/0", "::/0", "fd00::/8/8"]
    {
        let said = complaint(load(&format!("10.0.0.0/8,{bad}")));
        let shown = if bad.contains(' ') { "a space" } else { bad };
        assert!(said.contains("HAILGATE_TRUSTED_PROXIES") && said.contains(shown), "{said}");
    }
    assert!(complaint(load(&["10.0.0.0/8"; 65].join(","))).contains("65 networks"));
}

#[test]
fn the_public_url_is_written_as_browsers_write_origins() {
    let url = |text: &str, environment: &str| with_secrets(&[("HAILGATE_PUBLIC_URL", text), ("ENVIRONMENT", environment)]);
    for good in [
        "https://chat.example.org",
        "https://chat.example.org/",
        "https://chat.example.org:8443",
        "http://localhost:8080",
        "http://[::1]:1",
        "http://chat.localhost",
    ] {
        assert!(url(good, "production").is_ok(), "{good}");
    }
    let bad = [
        "chat.example.org",
        "https://",
        "https://chat.example.org/path",
        "https://Chat.example.org",
        "https://chat.example.org:443",
        "https://*.example.org",
        "https://a@b",
        "null",
        "ftp://x",
        "http://chat.example.org",
        "https://[2001:0db8:0:0:0:0:0:1]",
        "https://chat.example.org:08443",
        "https://chat.example.org:99999",
        "http://127.1:8080",
        "https://chat.example.org//",
        "capacitor://localhost",
    ];
    for bad in bad {
        assert!(url(bad, "production").is_err(), "{bad}");
    }
    assert!(url("http://chat.example.org", "testing").is_ok());
    for hidden in ["https://user:hunter2@chat.example.org", "user:hunter2@chat.example.org"] {
        let said = complaint(url(hidden, "production"));
        assert!(said.contains("`public_url` holds an `@`") && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_file_is_read_with_its_lines_and_a_variable_wins_over_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("hailgate.toml");
    let key = session_key();
    let write = |extra: &str| {
        let text = format!("environment = \"testing\"\njwt_secret = \"{JWT}\"\nsession_key = \"{key}\"\n{extra}");
        std::fs::write(&file, text).expect("a file");
    };
    let load = |variables: &[(&str, &str)], bind: Option<&str>| {
        let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
        Config::load(&Sources { variables, config: Some(file.clone()), bind: bind.map(str::to_owned) })
    };
    write("workers = 3\n[limits]\ncontent_chars = 100\n");
    let config = load(&[("HAILGATE_BIND", "127.0.0.1:1")], Some("127.0.0.1:2")).expect("a configuration");
    assert_eq!((config.environment, config.workers, config.limits.content_chars), (Environment::Testing, 3, 100));
    assert_eq!(config.bind.port(), 2, "a flag wins over a variable");
    let config = load(&[("ENVIRONMENT", "staging")], None).expect("a configuration");
    assert_eq!(config.environment, Environment::Staging, "a variable wins over the file");
    let shown = format!("{:?}", config.origins);
    assert!(!shown.contains(JWT) && !shown.contains(&key), "{shown}");
    write("worker = 3\n");
    let said = complaint(load(&[], None));
    assert!(said.contains("hailgate.toml:4") && said.contains("`workers`"), "{said}");
    write("workers = \n");
    assert!(complaint(load(&[], None)).contains("hailgate.toml:4"));
    write("[limits]\nframe_bytes = 0\n");
    assert!(complaint(load(&[], None)).contains("hailgate.toml:5"));
}

#[test]
fn the_own_key_is_one_or_more_secrets_or_a_private_key_and_never_both() {
    let key = session_key();
    let other = "Zr8mT5wB2nC7dF4gH6jL9pQ1skq3vX0y";
    let own = |variables: &[(&str, &str)]| {
        let session = ("HAILGATE_SESSION_KEY", key.as_str());
        load(&[variables, &[session]].concat()).map(|config| config.own_key)
    };
    let secrets = own(&[("HAILGATE_JWT_SECRET", &format!("{other}, {JWT}"))]).expect("two secrets");
    assert_eq!(secrets, OwnKey::Secrets([other, JWT].map(|text| Secret(text.as_bytes().to_vec())).to_vec()));
    let pem = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let private = own(&[("HAILGATE_JWT_PRIVATE_KEY", pem)]).expect("a key");
    assert_eq!(private, OwnKey::PrivateKey(Secret(pem.trim_end().as_bytes().to_vec())));
    let one_line = pem.replace('\n', "\\n");
    assert_eq!(own(&[("HAILGATE_JWT_PRIVATE_KEY", &one_line)]), Ok(private), "lines may be written as \\n");
    for (wrong, word) in [
        (&[("HAILGATE_JWT_SECRET", JWT), ("HAILGATE_JWT_PRIVATE_KEY", pem)][..], "both set"),
        (&[("HAILGATE_JWT_SECRET", &format!("{JWT},short"))], "secret 2 of 2 (commas separate secrets), has 5 bytes"),
        (&[("HAILGATE_JWT_SECRET", &format!("{JWT},"))], "0 bytes"),
        (&[("HAILGATE_JWT_SECRET", &format!("{JWT},{JWT}"))], "twice"),
        (&[("HAILGATE_JWT_SECRET", &format!("{JWT},{key}"))], "the same"),
        (&[("HAILGATE_JWT_PRIVATE_KEY", "/nowhere/at/all.pem")], "cannot be read"),
    ] {
        let said = complaint(own(wrong).map(|_| with_secrets(&[]).expect("a configuration")));
        assert!(said.contains(word) && !said.contains(JWT) && !said.contains(&key), "{said}");
    }
}

#[test]
fn an_outside_issuer_is_read_with_its_lines() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("hailgate.toml");
    let load = |entry: &str| {
        std::fs::write(&file, format!("session_key = \"{}\"\n[[trusted_issuer]]\n{entry}", session_key())).expect("a file");
        Config::load(&Sources { config: Some(file.clone()), ..Sources::default() })
    };
    let good = "issuer = \"https://idp.test\"\naudience = \"chat\"\nalgorithms = [\"RS256\"]\nkeys = \"idp.pem\"\nprefix = \"corp\"\n";
    let config =
        load(&format!("{good}permissions = [\"publish\"]\nallow_missing_typ = true\n")).expect("no own key is needed");
    let at = |line| Place::File(file.clone(), line);
    let expected = TrustedIssuer {
        issuer: "https://idp.test".to_owned(),
        audience: vec!["chat".to_owned()],
        algorithms: vec!["RS256".to_owned()],
        keys: KeySource::File(directory.path().join("idp.pem")),
        prefix: "corp".to_owned(),
        permissions: vec![crate::domain::Permission::Publish],
        allow_missing_typ: true,
        place: at(2),
        issuer_place: at(3),
        keys_place: at(6),
        algorithms_place: at(5),
    };
    assert_eq!((config.trusted_issuers, config.own_key), (vec![expected], OwnKey::None));
    let url = load(&good.replace("idp.pem", "https://idp.test/jwks")).expect("an address");
    assert_eq!(url.trusted_issuers[0].keys, KeySource::Url("https://idp.test/jwks".to_owned()));
    for (entry, line, word) in [
        (good.replace("prefix", "prefx"), 7, "Did you mean `prefix`?"),
        (good.replace("prefix = \"corp\"", ""), 2, "has no `prefix`"),
        (good.replace("\"corp\"", "5"), 7, "`prefix`"),
        (good.replace("[\"RS256\"]", "[]"), 5, "has no `algorithms`"),
        (good.replace("[\"RS256\"]", "[5]"), 5, "`algorithms`"),
        (format!("{good}permissions = [\"amdin\"]"), 8, "Write some of: admin, publish."),
        (format!("{good}allow_missing_typ = \"yes\""), 8, "`allow_missing_typ`"),
    ] {
        let said = complaint(load(&entry));
        assert!(said.contains(&format!("hailgate.toml:{line}\n")) && said.contains(word), "{said}");
    }
    std::fs::write(&file, "[trusted_issuer]\nissuer = \"x\"\n").expect("a file");
    let said = complaint(Config::load(&Sources { config: Some(file.clone()), ..Sources::default() }));
    assert!(said.contains("hailgate.toml:1") && said.contains("[[trusted_issuer]]"), "{said}");
    std::fs::write(&file, "[[trusted_isuer]]\nissuer = \"x\"\n").expect("a file");
    let said = complaint(Config::load(&Sources { config: Some(file.clone()), ..Sources::default() }));
    assert!(said.contains("Did you mean `trusted_issuer`?"), "{said}");
}
