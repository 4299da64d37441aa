//! The provider of sign-ins (OpenID Connect): found by its own description, asked to redeem codes. Authorization code
//! with PKCE (RFC 7636, S256); only its ID token is believed, and no token of it is kept.
//!
//! Decisions: `src/docs/decisions/oidc.md`.

use std::sync::{Arc, PoisonError, RwLock};

use oauth2::{
    AuthUrl, ClientId, CsrfToken, EndpointNotSet, EndpointSet, PkceCodeChallenge, RedirectUrl, Scope, basic::BasicClient,
};
use reqwest::{Client, Url};
use tokio::sync::{Mutex, Semaphore};

use super::{
    discovery::{self, Description},
    exchange::{Exchange, unavailable},
    fetch,
    issuers::{Issuer, TokenHeader},
    keys::{Algorithm, Rules, algorithm},
    oidc::{LoginFlow, Terms},
    token::{Object, key_header, unverified},
};
use crate::{
    domain::{Limits, Reading, Reason, Uptime, logins::Subject},
    error::{Code, Error},
};

/// Algorithms of ID tokens that are taken.
const ALGORITHMS: &[Algorithm] = &[Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA];
/// How long a provider's description is believed, in milliseconds.
const DESCRIBED_MS: u64 = 60 * 60 * 1_000;
/// How long nobody asks again after it could not be had, in milliseconds.
const AGAIN_MS: u64 = 5_000;

/// The library's client: it knows where people are sent. Codes are exchanged without it: it would refuse answers for parts
/// that nobody here uses.
type Departure = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet>;

/// How this server is known to the provider.
#[derive(Clone)]
pub struct Registration {
    /// What the provider's word is taken for.
    pub terms: Terms,
    /// Its name on the page.
    pub name: String,
    /// What it knows this server by; a public client has none.
    pub client_secret: Option<String>,
    /// Where it sends people back to.
    pub redirect: String,
}

/// The provider.
pub struct Provider {
    registration: Registration,
    limits: Limits,
    description: Url,
    client: Client,
    /// What was found out last, and when; or that nothing was.
    known: RwLock<Option<(Option<Arc<Found>>, Uptime)>>,
    /// Held while its description is fetched.
    turn: Mutex<()>,
    exchanges: Semaphore,
}

/// What its description leads to.
struct Found {
    departure: Departure,
    exchange: Exchange,
    issuer: Issuer,
}

impl Provider {
    /// A provider that is not asked anything yet.
    ///
    /// # Errors
    /// The reason, if it may not be asked.
    pub fn new(registration: Registration, limits: &Limits) -> Result<Provider, Reason> {
        let base = registration.terms.issuer.trim_end_matches('/');
        let description = fetch::address(&format!("{base}/.well-known/openid-configuration"))?;
        let client = fetch::client(&description, limits)?;
        RedirectUrl::new(registration.redirect.clone()).map_err(|_| "the address to come back to is none")?;
        let exchanges = usize::try_from(limits.oidc_exchanges).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Ok(Provider {
            registration,
            limits: limits.clone(),
            description,
            client,
            known: RwLock::default(),
            turn: Mutex::default(),
            exchanges: Semaphore::new(exchanges),
        })
    }

    /// Its name on the page.
    pub fn name(&self) -> &str {
        &self.registration.name
    }

    /// Its issuer identifier.
    pub fn issuer(&self) -> &str {
        &self.registration.terms.issuer
    }

    /// Where to send somebody who wants to sign in, and what the browser carries along.
    ///
    /// # Errors
    /// `issuer_unavailable`.
    pub async fn send(&self, now: Uptime) -> Result<(String, LoginFlow), Error> {
        let found = self.found(now).await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let nonce = CsrfToken::new_random().into_secret();
        let scopes = ["openid", "profile", "email"].map(|scope| Scope::new(scope.to_owned()));
        let (url, state) = found
            .departure
            .authorize_url(CsrfToken::new_random)
            .add_scopes(scopes)
            .add_extra_param("nonce", nonce.as_str())
            .set_pkce_challenge(challenge)
            .url();
        Ok((url.into(), LoginFlow { state: state.into_secret(), nonce, verifier: verifier.into_secret() }))
    }

    /// Whom a code names.
    ///
    /// # Errors
    /// `signin_refused` for a code that is not good, or not any more; `bad_credentials` or `token_expired` for an ID token
    /// that is wrong; `busy`; `issuer_unavailable`.
    pub async fn settle(&self, code: String, flow: &LoginFlow, now: Reading) -> Result<Subject, Error> {
        let _place = self
            .exchanges
            .try_acquire()
            .map_err(|_| Error::new(Code::Busy, "Too many people are signing in. Try again.").after_ms(2_000))?;
        let found = self.found(now.uptime).await?;
        let token = found.exchange.id_token(&self.client, &code, &flow.verifier, &self.limits).await?;
        let token = token.as_str();
        if u64::try_from(token.len()).unwrap_or(u64::MAX) > self.limits.token_bytes {
            return Err(super::issuers::refused("it is over the limit"));
        }
        found.issuer.refresh(now.uptime).await;
        let (header, _) = unverified(token)?;
        if header.contains_key("crit") || header.contains_key("b64") {
            return Err(super::issuers::refused("its header asks for an extension"));
        }
        let header: TokenHeader<'_> = key_header(&header)?;
        let body = found.issuer.open::<Object>(token, &header, now.uptime).await?;
        self.registration.terms.judge(&body.0, &flow.nonce, now.wall)
    }

    /// What there is to know of the provider; one asks, whoever else comes waits for that.
    async fn found(&self, now: Uptime) -> Result<Arc<Found>, Error> {
        if let Some(found) = self.known(now) {
            return found.ok_or_else(not_described);
        }
        let _turn = self.turn.lock().await;
        if let Some(found) = self.known(now) {
            return found.ok_or_else(not_described);
        }
        let last = self.known.read().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|(found, _)| found.clone());
        let found = match self.describe(last.as_deref()).await {
            Ok(found) => Some(Arc::new(found)),
            Err(reason) => {
                log::warn!("{} cannot be used for sign-ins: {reason}", self.description);
                None
            }
        };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some((found.clone(), now));
        found.ok_or_else(not_described)
    }

    /// What was found out lately: something, or nothing.
    fn known(&self, now: Uptime) -> Option<Option<Arc<Found>>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let (found, at) = known.as_ref()?;
        let life = std::time::Duration::from_millis(if found.is_some() { DESCRIBED_MS } else { AGAIN_MS });
        (now.since(*at) < life).then(|| found.clone())
    }

    async fn describe(&self, before: Option<&Found>) -> Result<Found, Reason> {
        let body = fetch::get(self.client.get(self.description.clone()), &self.limits).await?;
        let told = discovery::read(&body)?;
        let Terms { issuer, client_id, .. } = &self.registration.terms;
        // Whoever could answer here for another could sign its people in (Discovery 1.0 section 4.3).
        if told.issuer != *issuer {
            return Err("it names another issuer than HAILGATE_OIDC_ISSUER, which must be the same to the letter".into());
        }
        for endpoint in [&told.authorization_endpoint, &told.token_endpoint, &told.jwks_uri] {
            let endpoint = fetch::address(endpoint)?;
            if self.description.scheme() == "https" && endpoint.scheme() != "https" {
                return Err("it names an address in plain http".into());
            }
        }
        let named = told.algorithms.iter().filter_map(|name| algorithm(name));
        let algorithms: Vec<Algorithm> = named.filter(|algorithm| ALGORITHMS.contains(algorithm)).collect();
        if algorithms.is_empty() {
            return Err("it signs ID tokens with none of RS256, PS256, ES256, EdDSA".into());
        }
        let rules = Rules { issuer: issuer.clone(), audience: vec![client_id.clone()], algorithms };
        let issuer = Issuer::alone(&told.jwks_uri, rules, &self.limits, before.map(|before| &before.issuer))?;
        Ok(Found { departure: self.departure(&told)?, exchange: self.exchange(&told)?, issuer })
    }

    fn departure(&self, told: &Description) -> Result<Departure, Reason> {
        let wrong = |_| Reason::from("it names what is no address");
        let departure = BasicClient::new(ClientId::new(self.registration.terms.client_id.clone()))
            .set_auth_uri(AuthUrl::new(told.authorization_endpoint.clone()).map_err(wrong)?)
            .set_redirect_uri(RedirectUrl::new(self.registration.redirect.clone()).map_err(wrong)?);
        Ok(departure)
    }

    fn exchange(&self, told: &Description) -> Result<Exchange, Reason> {
        let takes = |method: &str| told.auth_methods.iter().any(|listed| listed == method);
        let Registration { terms, client_secret, redirect, .. } = &self.registration;
        Ok(Exchange {
            endpoint: fetch::address(&told.token_endpoint)?,
            client_id: terms.client_id.clone(),
            client_secret: client_secret.clone(),
            // Basic is what counts where nothing is listed (Discovery 1.0 section 3).
            in_form: takes("client_secret_post") && !takes("client_secret_basic"),
            redirect: redirect.clone(),
        })
    }
}

fn not_described() -> Error {
    unavailable("its description could not be read a moment ago")
}
