//! Session, then identity, then auth context: who acts, and the proof of it.
//!
//! Decisions: `src/docs/decisions/auth.md`.
#![doc = include_str!("REFUSALS.md")]

pub mod address;
pub mod browser;
pub mod context;
pub mod cookies;
pub mod credentials;
mod discovery;
mod exchange;
mod fetch;
#[cfg(test)]
#[path = "forge_tests.rs"]
mod forge;
mod hash;
mod hash_queue;
pub mod issuers;
pub mod judge;
pub mod jwks;
pub mod keyed_limiter;
pub mod keyring;
pub mod keys;
pub mod last_use;
pub mod layer;
mod login_throttle;
pub mod oidc;
pub mod origin;
pub mod password;
pub mod provider;
pub mod rates;
pub mod reseal;
pub mod session;
pub mod token;
pub mod witness;

pub use self::{
    address::Addresses,
    browser::KnownBrowsers,
    context::{AuthContext, AuthOutcome, Method, OriginAllowed},
    cookies::Cookies,
    credentials::AcceptedCredentials,
    exchange::provider_error,
    hash_queue::HashRequester,
    judge::{Judge, LOGIN_ENDED},
    keyring::KeyRing,
    layer::AuthContextLayer,
    login_throttle::LoginAttempt,
    oidc::LoginFlowCookies,
    origin::Origins,
    password::Passwords,
    provider::Provider,
    rates::Rates,
    reseal::Reseal,
    session::LoginSessions,
    token::Tokens,
    witness::Witness,
};
