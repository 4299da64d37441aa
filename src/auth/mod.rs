//! Session, then identity, then auth context: who acts, and the proof of it.

pub mod context;
pub mod layer;
pub mod origin;
pub mod password;
pub mod session;
pub mod token;
pub mod witness;

pub use self::{
    context::{AuthContext, Method, OriginAllowed, Verdict},
    layer::{AuthContextLayer, Judge, Ways},
    origin::Origins,
    password::Passwords,
    session::LoginSessions,
    token::Tokens,
    witness::Witness,
};
