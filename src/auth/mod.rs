//! Session, then identity, then auth context: who acts, and the proof of it.
//!
//! Decisions: `src/docs/decisions/auth.md`.
#![doc = include_str!("REFUSALS.md")]

pub mod address;
mod attempts;
pub mod browser;
pub mod carried;
pub mod context;
pub mod cookies;
mod discovery;
mod exchange;
mod fetch;
#[cfg(test)]
#[path = "forge_tests.rs"]
mod forge;
mod hash;
pub mod issuers;
pub mod judge;
pub mod jwks;
pub mod keyring;
pub mod keys;
pub mod layer;
pub mod notes;
pub mod oidc;
pub mod origin;
pub mod password;
mod places;
pub mod provider;
pub mod rate;
pub mod rates;
pub mod reseal;
pub mod session;
pub mod token;
pub mod witness;

pub use self::{
    address::Addresses,
    attempts::Attempt,
    browser::Browsers,
    carried::Ways,
    context::{AuthContext, Method, OriginAllowed, Verdict},
    cookies::Cookies,
    exchange::provider_error,
    judge::{Judge, LOGIN_ENDED},
    keyring::KeyRing,
    layer::AuthContextLayer,
    oidc::Trips,
    origin::Origins,
    password::Passwords,
    places::Asker,
    provider::Provider,
    rates::Rates,
    reseal::Reseal,
    session::LoginSessions,
    token::Tokens,
    witness::Witness,
};
