//! What each setting means for this deployment, in words, and what would be better otherwise.

use std::borrow::Cow;

use super::document::Warning;
use crate::{
    config::{Config, Environment, LogFormat, OwnKey, keeps_secure_cookies, may_share_a_cookie},
    domain::Synchronous,
    http::routes::Route,
};

/// What a setting does as it is set; none for a setting that has no words here yet, which a test refuses.
pub fn effect(key: &str, config: &Config) -> Option<String> {
    let words = match key {
        "environment" => environment(config.environment).to_owned(),
        "bind" if config.bind.ip().is_loopback() => {
            format!("{}: reached from this machine only, such as by a proxy", config.bind)
        }
        "bind" if config.tls.is_some() => format!("{}: reached from other machines, by https", config.bind),
        "bind" => format!("{}: reached from other machines, in plain http", config.bind),
        "database_url" if config.database.is_absolute() => {
            "accounts, sessions and messages are kept in this file".to_owned()
        }
        "tls_cert" | "tls_key" if config.tls.is_none() => {
            "the port speaks plain http; put a proxy that speaks https in front".to_owned()
        }
        "tls_cert" => "the port speaks https with it; SIGHUP reads it again".to_owned(),
        "tls_key" => "the key of that certificate; keep the file to the server's user".to_owned(),
        "database_url" => "a file in the directory where the server is started".to_owned(),
        "sqlite_synchronous" => match config.sqlite_synchronous {
            Synchronous::Full => "what is acknowledged survives a power cut",
            Synchronous::Normal => "a power cut may cost acknowledged messages; after a kill, too, clients load anew",
        }
        .to_owned(),
        "jwt_secret" | "jwt_private_key" => own_key(key, config),
        "jwt_issuer" => format!("own tokens must say iss={:?}", config.jwt_issuer),
        "jwt_audience" => format!("own tokens must say aud={:?}", config.jwt_audience),
        "session_key" if config.session_keys.len() > 1 => {
            format!("the first seals cookies, all {} open them", config.session_keys.len())
        }
        "session_key" => "seals cookies; another one alone signs every browser out".to_owned(),
        "trusted_proxies" if config.trusted_proxies.is_empty() => {
            "limits by address count the peer; X-Forwarded-For is ignored".to_owned()
        }
        "trusted_proxies" => "limits by address count the client that these proxies name".to_owned(),
        "public_url" => match &config.public_url {
            Some(_) => "browsers sign in from pages of this origin".to_owned(),
            None if config.environment == Environment::Development => "browsers on this machine can sign in".to_owned(),
            None => "browsers cannot sign in, programs can".to_owned(),
        },
        _ if key.starts_with("oidc_") => return oidc(key, config),
        "allowed_origins" => match config.allowed_origins.len() {
            0 => "no pages of other origins may use this server".to_owned(),
            others => format!("pages of {others} more may use this server; the session cookie serves those of its own site"),
        },
        "create_users" if config.create_users => "a valid own token of an unknown user creates the account".to_owned(),
        "create_users" => "a token of an unknown user is refused".to_owned(),
        "query_tokens" if config.query_tokens => {
            "tokens may stand in URLs of sockets; recommended off in production".to_owned()
        }
        "query_tokens" => "a token in a URL is refused".to_owned(),
        "log_format" => match config.log_format {
            LogFormat::Text => "log lines for people, on stderr".to_owned(),
            LogFormat::Json => "one JSON object a line, on stderr".to_owned(),
        },
        "workers" => format!("{} threads answer requests and sockets", config.workers),
        _ => return None,
    };
    Some(words)
}

fn own_key(key: &str, config: &Config) -> String {
    match (&config.own_key, key) {
        (OwnKey::Secrets(secrets), "jwt_secret") if secrets.len() > 1 => {
            format!("the first signs own tokens, all {} verify them", secrets.len())
        }
        (OwnKey::Secrets(_), "jwt_secret") | (OwnKey::PrivateKey(_), "jwt_private_key") => {
            "signs and verifies own tokens; another one ends them all".to_owned()
        }
        (OwnKey::None, _) => "no own tokens: only those of outside issuers are taken".to_owned(),
        _ => "not used: the other kind of own key is set".to_owned(),
    }
}

fn oidc(key: &str, config: &Config) -> Option<String> {
    let Some(oidc) = &config.oidc else { return Some("nobody signs in by OpenID Connect".to_owned()) };
    let words = match key {
        "oidc_issuer" => {
            let back = Route::of("oidc::callback").path;
            let own = config.public_url.as_deref().unwrap_or_default();
            format!("people sign in there too; register {own}{back} as redirect address")
        }
        "oidc_client_id" => "its ID tokens must be for this client".to_owned(),
        "oidc_client_secret" if oidc.client_secret.is_some() => "proves this server to the provider".to_owned(),
        "oidc_client_secret" => "a public client: PKCE alone binds each sign-in".to_owned(),
        "oidc_name" => format!("the page shows \"Sign in with {}\"", oidc.name),
        "oidc_prefix" => format!("its users are called {}:...", oidc.prefix),
        _ => return None,
    };
    Some(words)
}

fn environment(environment: Environment) -> &'static str {
    match environment {
        Environment::Production | Environment::Staging => {
            "strict rules: Secure cookies, origins in https only, no sign-in links"
        }
        Environment::Testing => "Secure cookies and no sign-in links, but origins in plain http are taken",
        Environment::Development => "this machine only: cookies over plain http, one-time sign-in links",
    }
}

/// What would be better otherwise.
pub fn warnings(config: &Config) -> Vec<Warning> {
    let live = matches!(config.environment, Environment::Production | Environment::Staging);
    let development = config.environment == Environment::Development;
    let rows = [
        (
            live && config.query_tokens,
            Warning {
                setting: "query_tokens",
                what: Cow::Borrowed("Tokens in URLs end up in the logs of proxies and in histories."),
                r#do: "Set HAILGATE_QUERY_TOKENS=off once no client needs /ws?token=.",
            },
        ),
        (
            !development && config.public_url.is_none(),
            Warning {
                setting: "public_url",
                what: Cow::Borrowed("Browsers cannot sign in: no origin is this server's own."),
                r#do: "Set HAILGATE_PUBLIC_URL to the address that browsers see, or leave it if only programs come.",
            },
        ),
        (
            live && config.sqlite_synchronous == Synchronous::Normal,
            Warning {
                setting: "sqlite_synchronous",
                what: Cow::Borrowed("A power cut may cost messages that were acknowledged."),
                r#do: "Set HAILGATE_SQLITE_SYNCHRONOUS=full, unless losing them is worth the speed.",
            },
        ),
        (
            live && config.tls.is_none() && !config.bind.ip().is_loopback(),
            Warning {
                setting: "bind",
                what: Cow::Borrowed("The port speaks plain http and is open to other machines."),
                r#do: "Let only the proxy that speaks https reach it, by network rules or by binding to loopback.",
            },
        ),
        (
            live && config.create_users,
            Warning {
                setting: "create_users",
                what: Cow::Borrowed("Whoever signs tokens with the own secret makes accounts."),
                r#do: "Set HAILGATE_CREATE_USERS=off, or keep the secret with those alone who may make accounts.",
            },
        ),
        (
            live && !config.database.is_absolute(),
            Warning {
                setting: "database_url",
                what: Cow::Borrowed("The database's place depends on where the server is started."),
                r#do: "Set HAILGATE_DATABASE_URL=sqlite:///absolute/path.db.",
            },
        ),
    ];
    let fixed = rows.into_iter().filter(|(applies, _)| *applies).map(|(_, warning)| warning);
    fixed.chain(cookie_warnings(config)).collect()
}

/// Where browsers do not keep the session cookie, or do not send it.
fn cookie_warnings(config: &Config) -> impl Iterator<Item = Warning> {
    // In development cookies are not Secure.
    let secure = config.environment != Environment::Development;
    let kept = config.public_url.as_deref().filter(|_| secure).map(keeps_secure_cookies);
    let dropped = match kept {
        Some(Some(false)) => Some(Warning {
            setting: "public_url",
            what: Cow::Borrowed(
                "Browsers drop the session cookie, so nobody stays signed in: it is Secure, and this address is plain http.",
            ),
            r#do: "Serve browsers over https, or on this machine alone set ENVIRONMENT=development.",
        }),
        Some(None) => Some(Warning {
            setting: "public_url",
            what: Cow::Borrowed("Safari drops the session cookie: it is Secure, and this address is plain http."),
            r#do: "Serve browsers over https, set ENVIRONMENT=development, or use another browser.",
        }),
        _ => None,
    };
    let own = config.public_url.as_deref();
    let sent = |origin: &&String| match own {
        Some(own) => may_share_a_cookie(own, origin),
        None => origin.starts_with("http"),
    };
    let apart: Vec<&str> = config.allowed_origins.iter().filter(|origin| !sent(origin)).map(String::as_str).collect();
    let apart = (!apart.is_empty()).then(|| Warning {
        setting: "allowed_origins",
        what: Cow::Owned(format!(
            "Browsers send the session cookie (SameSite=Lax) with no request of a page of another site: {}.",
            apart.join(", ")
        )),
        r#do: "Let these pages use bearer tokens, or tickets that they get with one.",
    });
    dropped.into_iter().chain(apart)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::config::{SETTINGS, Sources};

    fn config(more: &[(&str, &str)]) -> Config {
        let key = hex::encode((0..64u8).map(|byte| byte.wrapping_mul(37).wrapping_add(11)).collect::<Vec<_>>());
        let own = [("HAILGATE_JWT_SECRET", "kq3vX0yZr8mT5wB2nC7dF4gH6jL9pQ1s"), ("HAILGATE_SESSION_KEY", &key)];
        let variables = own.iter().chain(more).map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Config::load(&Sources { variables: variables.collect(), ..Sources::default() }).expect("a configuration")
    }

    #[test]
    fn every_setting_says_what_it_does() {
        let provider = [
            ("HAILGATE_PUBLIC_URL", "https://chat.example.org"),
            ("HAILGATE_OIDC_ISSUER", "https://id.example.org"),
            ("HAILGATE_OIDC_CLIENT_ID", "chat"),
        ];
        for config in [config(&[]), config(&provider)] {
            for setting in SETTINGS {
                let effect =
                    effect(setting.key, &config).unwrap_or_else(|| panic!("{} has no effect in words", setting.key));
                assert!(
                    !effect.is_empty() && (!effect.ends_with('.') || effect.ends_with("...")),
                    "{}: {effect}",
                    setting.key
                );
            }
        }
        let told = effect("oidc_issuer", &config(&provider)).expect("words");
        assert!(told.contains("https://chat.example.org/api/auth/oidc/callback"), "{told}");
    }

    #[test]
    fn every_warning_has_its_condition_and_names_a_setting() {
        let named = |more: &[(&str, &str)]| -> Vec<&str> {
            let warnings = warnings(&config(more));
            assert!(warnings.iter().all(|warning| SETTINGS.iter().any(|setting| setting.key == warning.setting)));
            warnings.iter().map(|warning| warning.setting).collect()
        };
        let all = [
            ("HAILGATE_BIND", "0.0.0.0:8080"),
            ("HAILGATE_CREATE_USERS", "true"),
            ("HAILGATE_SQLITE_SYNCHRONOUS", "normal"),
        ];
        assert_eq!(
            named(&all),
            ["query_tokens", "public_url", "sqlite_synchronous", "bind", "create_users", "database_url"]
        );
        let none = [
            ("HAILGATE_QUERY_TOKENS", "off"),
            ("HAILGATE_PUBLIC_URL", "https://chat.example.org"),
            ("HAILGATE_DATABASE_URL", "sqlite:///var/lib/hailgate.db"),
        ];
        assert_eq!(named(&none), [""; 0]);
        assert_eq!(named(&[("ENVIRONMENT", "development")]), [""; 0]);
        let testing = ("ENVIRONMENT", "testing");
        let url = |url: &'static str| ("HAILGATE_PUBLIC_URL", url);
        for (environment, address) in [("testing", "http://chat.example.org"), ("production", "http://127.0.0.1:8080")] {
            let named = named(&[("ENVIRONMENT", environment), url(address)]);
            assert!(named.contains(&"public_url"), "{environment} {address}: {named:?}");
        }
        assert_eq!(named(&[("ENVIRONMENT", "development"), url("http://127.0.0.1:8080")]), [""; 0]);
        assert_eq!(
            named(&[testing, url("https://chat.example.org"), ("HAILGATE_ALLOWED_ORIGINS", "https://example.org")]),
            [""; 0]
        );
        let apart = "capacitor://localhost,https://a.example.org,https://example.com";
        let config = config(&[testing, url("https://chat.example.org"), ("HAILGATE_ALLOWED_ORIGINS", apart)]);
        let told = warnings(&config);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].what.ends_with(": capacitor://localhost, https://example.com."), "{told:?}");
    }

    #[test]
    fn an_open_port_with_a_certificate_is_not_called_plain() {
        let files = [("HAILGATE_TLS_CERT", "/a.pem"), ("HAILGATE_TLS_KEY", "/a.key"), ("HAILGATE_BIND", "0.0.0.0:443")];
        let config = config(&files);
        assert!(effect("bind", &config).expect("words").contains("https"));
        assert!(warnings(&config).iter().all(|warning| warning.setting != "bind"));
    }
}
