//! The provider of sign-ins (OpenID Connect): all of it or nothing.

use super::{Secret, TrustedIssuer, check::Checker, origin::host_of};
use crate::domain::UserId;

/// Longest name on the page, in characters.
const NAME_CHARS_MAX: usize = 40;

/// The provider, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oidc {
    /// `iss`, and where its description is found.
    pub issuer: String,
    /// What it calls this server.
    pub client_id: String,
    /// What it knows this server by; a public client has none.
    pub client_secret: Option<Secret>,
    /// Its name on the page.
    pub name: String,
    /// What stands before `:` in the names of its users.
    pub prefix: String,
}

impl Checker<'_> {
    /// The provider, if one is set.
    pub(super) fn oidc(&mut self, public_url: Option<&str>, trusted: &[TrustedIssuer]) -> Option<Oidc> {
        let [issuer, client_id, secret, name, prefix] =
            ["oidc_issuer", "oidc_client_id", "oidc_client_secret", "oidc_name", "oidc_prefix"];
        let others = [client_id, secret, name, prefix];
        if self.written(issuer).is_none() {
            if let Some(other) = others.into_iter().find(|key| self.written(key).is_some()) {
                let what = format!("`{other}` is set, and `{issuer}` is not: nobody could sign in there.");
                self.complain(other, what, "Set HAILGATE_OIDC_ISSUER too, or remove this.");
            }
            return None;
        }
        let before = self.complaints.len();
        let address = self.text(issuer);
        let host = self.oidc_host(&address);
        if self.text(client_id).trim().is_empty() {
            let remedy = "Write the client id that the provider gave to this server.";
            self.complain(client_id, "HAILGATE_OIDC_ISSUER is set, and HAILGATE_OIDC_CLIENT_ID is not.", remedy);
        }
        if self.written(secret).is_some() && self.text(secret).is_empty() {
            self.complain(secret, "HAILGATE_OIDC_CLIENT_SECRET is empty.", "Set it, or remove it for a public client.");
        }
        // One that is wrong has its own complaint.
        if public_url.is_none() && self.written("public_url").is_none() {
            let what = "HAILGATE_PUBLIC_URL is missing: the provider could not send anybody back.";
            self.complain("public_url", what, "Set it to the address that browsers see, like https://chat.example.org.");
        }
        let own = self.text(prefix);
        self.oidc_prefix(&own, &address, trusted);
        let shown = Some(self.text(name)).filter(|name| !name.is_empty()).or(host)?;
        if shown.chars().count() > NAME_CHARS_MAX || shown.chars().any(char::is_control) {
            let what = format!("`{name}` is no name for a button.");
            self.complain(name, what, format!("Write up to {NAME_CHARS_MAX} characters in HAILGATE_OIDC_NAME."));
        }
        let client_secret = self.written(secret).map(|written| Secret(written.text.clone().into_bytes()));
        let oidc = Oidc { issuer: address, client_id: self.text(client_id), client_secret, name: shown, prefix: own };
        (self.complaints.len() == before).then_some(oidc)
    }

    /// The host of the provider's address, which must be one that nobody can listen to.
    fn oidc_host(&mut self, address: &str) -> Option<String> {
        let bare = !address.contains(['?', '#', '@']);
        match host_of(address).filter(|_| bare) {
            Some((scheme, host, here)) if scheme == "https" || (scheme == "http" && here) => return Some(host),
            _ => {}
        }
        // The text is not repeated: it may hold a password.
        let remedy = "Write it exactly as the provider does, like https://id.example.org; plain http is for this machine.";
        self.complain("oidc_issuer", "HAILGATE_OIDC_ISSUER is no address of a provider.", remedy);
        None
    }

    /// A prefix keeps users of one issuer from passing for users of another.
    fn oidc_prefix(&mut self, prefix: &str, issuer: &str, trusted: &[TrustedIssuer]) {
        if prefix.is_empty() || prefix.contains(':') || UserId::parse(&format!("{prefix}:{}", "x".repeat(22))).is_err() {
            let what = format!("`oidc_prefix` cannot be {prefix:?}.");
            self.complain("oidc_prefix", what, "Write some of A-Z a-z 0-9 . _ @ | + -, like oidc.");
        }
        if let Some(other) = trusted.iter().find(|other| other.prefix == prefix && other.issuer != issuer) {
            let what = format!("`oidc_prefix` {prefix:?} is also that of the trusted issuer {:?}.", other.issuer);
            self.complain("oidc_prefix", what, "Give each issuer a prefix of its own.");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::config::{Config, Sources};

    const URL: (&str, &str) = ("HAILGATE_PUBLIC_URL", "https://chat.example.org");
    const ISSUER: (&str, &str) = ("HAILGATE_OIDC_ISSUER", "https://id.example.org/realms/a");
    const CLIENT: (&str, &str) = ("HAILGATE_OIDC_CLIENT_ID", "chat");

    /// The provider with these variables, or the first complaint's setting.
    fn load(variables: &[(&str, &str)]) -> Result<Option<Oidc>, String> {
        let key = hex::encode((0..64u8).map(|byte| byte.wrapping_mul(37).wrapping_add(11)).collect::<Vec<_>>());
        let own = [("HAILGATE_JWT_SECRET", "kq3vX0yZr8mT5wB2nC7dF4gH6jL9pQ1s"), ("HAILGATE_SESSION_KEY", key.as_str())];
        let variables = own.iter().chain(variables).map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let loaded = Config::load(&Sources { variables: variables.collect(), ..Sources::default() });
        loaded.map(|config| config.oidc).map_err(|complaints| format!("{} {}", complaints[0].what, complaints[0].place))
    }

    #[test]
    fn a_provider_is_there_in_full_or_not_at_all() {
        assert_eq!(load(&[]), Ok(None));
        let oidc = load(&[URL, ISSUER, CLIENT]).expect("a configuration").expect("a provider");
        assert_eq!((oidc.name.as_str(), oidc.prefix.as_str(), oidc.client_secret), ("id.example.org", "oidc", None));
        let here = load(&[URL, ("HAILGATE_OIDC_ISSUER", "http://127.0.0.1:9000"), CLIENT]);
        assert_eq!(here.expect("a configuration").expect("a provider").name, "127.0.0.1");
        for (setting, variables) in [
            ("oidc_client_id", &[URL, CLIENT][..]),
            ("oidc_name", &[URL, ("HAILGATE_OIDC_NAME", "Example")]),
            ("OIDC_CLIENT_ID", &[URL, ISSUER]),
            ("OIDC_CLIENT_ID", &[URL, ISSUER, ("HAILGATE_OIDC_CLIENT_ID", " ")]),
            ("OIDC_CLIENT_SECRET", &[URL, ISSUER, CLIENT, ("HAILGATE_OIDC_CLIENT_SECRET", "")]),
            ("PUBLIC_URL", &[ISSUER, CLIENT]),
            ("OIDC_ISSUER", &[URL, ("HAILGATE_OIDC_ISSUER", ""), CLIENT]),
            ("OIDC_ISSUER", &[URL, ("HAILGATE_OIDC_ISSUER", "http://id.example.org"), CLIENT]),
            ("OIDC_ISSUER", &[URL, ("HAILGATE_OIDC_ISSUER", "https://me:pass@id.example.org"), CLIENT]),
            ("OIDC_ISSUER", &[URL, ("HAILGATE_OIDC_ISSUER", "https://id.example.org?x=1"), CLIENT]),
            ("OIDC_ISSUER", &[URL, ("HAILGATE_OIDC_ISSUER", "id.example.org"), CLIENT]),
            ("OIDC_ISSUER", &[URL, ("HAILGATE_OIDC_ISSUER", "https://id.example.org:99999"), CLIENT]),
            ("oidc_prefix", &[URL, ISSUER, CLIENT, ("HAILGATE_OIDC_PREFIX", "a:b")]),
            ("oidc_prefix", &[URL, ISSUER, CLIENT, ("HAILGATE_OIDC_PREFIX", "")]),
            ("oidc_prefix", &[URL, ISSUER, CLIENT, ("HAILGATE_OIDC_PREFIX", "system")]),
            ("OIDC_NAME", &[URL, ISSUER, CLIENT, ("HAILGATE_OIDC_NAME", "x\ny")]),
        ] {
            let complaint = load(variables).expect_err("a complaint");
            assert!(complaint.contains(setting) && !complaint.contains("pass"), "{variables:?}: {complaint}");
        }
    }
}
