//! Sign-in by OpenID Connect, the part without a network: what a browser carries on its way to the provider and back,
//! and what an ID token must say.
//!
//! Decisions: `src/docs/decisions/oidc.md`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use actix_web::{HttpRequest, cookie::Cookie};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde_json::Value;

use super::{
    Cookies, KeyRing,
    issuers::{refused, user_ids},
    token::{check_times, time_of},
};
use crate::{
    domain::{Time, logins::Subject, shown_name},
    error::{Code, Error},
};

/// The cookie's name, without a prefix.
const NAME: &str = "hailgate-oidc";
/// What the ring seals it for.
const PURPOSE: &str = "oidc";
/// How long a sign-in at a provider may take.
const LIFE: Duration = Duration::from_secs(10 * 60);
/// Longest `sub`, in bytes (OpenID Connect Core 1.0 section 2).
const SUBJECT_BYTES_MAX: usize = 255;
/// Longest e-mail address that is taken over, in bytes (RFC 5321 section 4.5.3.1.3).
const EMAIL_BYTES_MAX: usize = 254;

/// State of a sign-in in progress: three random values of this server, in URL-safe characters.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginFlow {
    /// Returned with the code; proves that the browser that returns is the one that left.
    pub state: String,
    /// Returned inside the ID token; proves that the token is for this sign-in.
    pub nonce: String,
    /// PKCE verifier (RFC 7636), which redeems the code.
    pub verifier: String,
}

/// Seals the state of a sign-in into a cookie. The server keeps nothing of it.
pub struct LoginFlowCookies {
    ring: Arc<KeyRing>,
    cookies: Cookies,
}

impl LoginFlowCookies {
    /// With the keys that seal the cookie.
    pub fn new(ring: Arc<KeyRing>, cookies: Cookies) -> LoginFlowCookies {
        LoginFlowCookies { ring, cookies }
    }

    /// The cookie of a browser that leaves now, when this many revocations had been noted.
    pub fn pack(&self, flow: &LoginFlow, revocations: u64, now: Time) -> Cookie<'static> {
        let text = format!("{} {revocations} {} {} {}", now.0, flow.state, flow.nonce, flow.verifier);
        self.cookies.make(NAME, self.ring.seal(PURPOSE, &text), LIFE)
    }

    /// Reads the state of a returning browser, and the number of the last revocation when it left.
    ///
    /// # Errors
    /// `signin_lost`, if it did not leave from here, left too long ago, or another sent it.
    pub fn unpack(&self, request: &HttpRequest, state: &str, now: Time) -> Result<(LoginFlow, u64), Error> {
        let cookie = request.cookie(&self.cookies.name(NAME));
        let cookie = cookie.ok_or_else(|| lost("the browser has no cookie of a sign-in that it began"))?;
        let (flow, revocations) =
            self.read(cookie.value(), now).ok_or_else(|| lost("its cookie is too old or not of this server"))?;
        let differs = |_| lost("`state` is of another sign-in");
        verify_slices_are_equal(flow.state.as_bytes(), state.as_bytes()).map_err(differs)?;
        Ok((flow, revocations))
    }

    fn read(&self, sealed: &str, now: Time) -> Option<(LoginFlow, u64)> {
        let text = self.ring.open(PURPOSE, sealed)?;
        let mut parts = text.split(' ').map(str::to_owned);
        let (at, revocations) = (Time(parts.next()?.parse().ok()?), parts.next()?.parse().ok()?);
        let flow = LoginFlow { state: parts.next()?, nonce: parts.next()?, verifier: parts.next()? };
        (at <= now && now.since(at) < LIFE).then_some((flow, revocations))
    }

    /// Removes the cookie: a sign-in completes once.
    pub fn end(&self) -> Cookie<'static> {
        self.cookies.make(NAME, String::new(), Duration::ZERO)
    }
}

fn lost(why: &'static str) -> Error {
    Error::new(Code::SignInLost, format!("{}: {why}.", Code::SignInLost.title()))
}

/// What a provider's word is taken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// `iss`.
    pub issuer: String,
    /// `aud`, and `azp` where there is one.
    pub client_id: String,
    /// What stands before `:` in the names of its users.
    pub prefix: String,
}

impl Terms {
    /// Whom an ID token names, once its signature, `iss` and `aud` hold (OpenID Connect Core 1.0 section 3.1.3.7).
    ///
    /// # Errors
    /// `bad_credentials` or `token_expired`.
    pub fn judge(&self, body: &BTreeMap<String, Value>, nonce: &str, now: Time) -> Result<Subject, Error> {
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let time = |name: &str| body.get(name).and_then(time_of);
        let (Some(iat), Some(exp)) = (time("iat"), time("exp")) else {
            return Err(refused("`iat` or `exp` is missing"));
        };
        // It is used once, now: how long it would live matters to nobody.
        check_times(iat, exp, body.get("nbf"), now, Duration::MAX)?;
        let several = body.get("aud").and_then(Value::as_array).is_some_and(|all| all.len() > 1);
        match body.get("azp") {
            None if several => return Err(refused("it is for several, and `azp` is missing")),
            Some(azp) if azp.as_str() != Some(&self.client_id) => return Err(refused("`azp` is another client")),
            _ => {}
        }
        let said = text("nonce").unwrap_or_default();
        verify_slices_are_equal(said.as_bytes(), nonce.as_bytes())
            .map_err(|_| refused("its `nonce` is of another sign-in"))?;
        let subject = text("sub").filter(|sub| (1..=SUBJECT_BYTES_MAX).contains(&sub.len()));
        let subject = subject.ok_or_else(|| refused("`sub` is missing or too long"))?;
        let name = ["name", "preferred_username"].into_iter().find_map(|claim| shown_name(text(claim)?));
        let email = text("email").filter(|email| email.len() <= EMAIL_BYTES_MAX && !email.contains(char::is_control));
        Ok(Subject {
            issuer: self.issuer.clone(),
            subject: subject.to_owned(),
            user_ids: user_ids(&self.prefix, &self.issuer, subject),
            name,
            email: email.map(str::to_owned),
        })
    }
}

#[cfg(test)]
#[path = "oidc_tests.rs"]
mod tests;
