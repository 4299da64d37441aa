//! Session, then identity, then auth context: who acts, and the proof of it.

pub mod carried;
pub mod context;
#[cfg(test)]
#[path = "forge_tests.rs"]
mod forge;
pub mod issuers;
pub mod judge;
pub mod jwks;
pub mod keys;
pub mod layer;
pub mod origin;
pub mod password;
pub mod session;
pub mod token;
pub mod witness;

pub use self::{
    carried::Ways,
    context::{AuthContext, Method, OriginAllowed, Verdict},
    judge::{Judge, LOGIN_ENDED},
    layer::AuthContextLayer,
    origin::Origins,
    password::Passwords,
    session::LoginSessions,
    token::Tokens,
    witness::Witness,
};
