//! `/api/auth/token`, `/api/auth/refresh` and `/api/ws/ticket`: credentials that descend from another, and end with it.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};

use super::{Body, close_ended, ok, unexpected_outcome};
use crate::{
    auth::{
        AuthContext, Judge, Method, OriginAllowed, Rates,
        session::{new_secret, secret_hash},
        token::Grant,
    },
    domain::{
        Credential, FamilyId, LoginAct, LoginDone, Permission, StoreError, Time,
        logins::{Refreshed, SecretHash, TICKET, Ticket},
    },
    error::{Code, Error},
    node::Node,
    wire::{
        rest::{RefreshBody, TicketAnswer, TokensAnswer},
        shape,
    },
};

/// `POST /api/auth/token`: tokens for a program of the signed-in user.
///
/// # Errors
/// `forbidden` for who does not come with the cookie, `rate_limited`, `no_signing_key`, or an outage.
pub async fn issue(
    request: HttpRequest,
    who: AuthContext,
    judge: web::Data<Judge>,
    node: web::Data<Node>,
) -> Result<HttpResponse, Error> {
    let (Method::Session, Some(session)) = (who.method(), who.session_id()) else {
        return Err(Error::new(
            Code::Forbidden,
            "Only a browser that is signed in can get tokens; refresh the one you have.",
        ));
    };
    Rates::of(&request)?.token(who.user_id())?;
    judge.holding(who.credential()).await?;
    let (family, refresh, at) = (FamilyId::new(), secret()?, node.clock.now());
    let credential = Credential { family: Some(family), ..who.credential().clone() };
    // Signed before anything is written: a server without a signing key makes no family.
    let access = sign(&judge, &node, &credential, who.permissions(), who.expires_at())?;
    let expires_at = who.expires_at();
    let (user, token) = (who.user_id().clone(), secret_hash(&refresh));
    match judge.logins.act(LoginAct::NewFamily { family, user, session, token, expires_at, at }).await? {
        // The oldest family of the login may have ended for it.
        LoginDone::Done => close_ended(&node).await?,
        _ => return Err(unexpected_outcome()),
    };
    Ok(answer(access, refresh, expires_at))
}

/// `POST /api/auth/refresh`: the next pair of tokens for the one refresh token, once.
///
/// # Errors
/// `bad_credentials`, for a token that is unknown or over its time; for one that was used before, too, and its family ends;
/// `rate_limited` for an address from which too many of them come.
pub async fn refresh(
    request: HttpRequest,
    _: OriginAllowed,
    body: Body<RefreshBody>,
    judge: web::Data<Judge>,
    node: web::Data<Node>,
) -> Result<HttpResponse, Error> {
    let (token, next) = (secret_hash(&body.0.refresh_token), secret()?);
    let refused = |why: &'static str| Error::new(Code::BadCredentials, why);
    let attempt = Rates::of(&request)?.sign_in(&request)?;
    let done = match exchange(&judge, token, &next, node.clock.now()).await {
        Ok(done) => done,
        Err(outage) => {
            attempt.forgive();
            return Err(outage.into());
        }
    };
    let (credential, status, expires_at) = match done {
        LoginDone::Refreshed(Refreshed::Next { credential, status, expires_at }) => {
            attempt.forgive();
            (credential, status, expires_at)
        }
        LoginDone::Refreshed(Refreshed::Unknown) => {
            return Err(refused("The refresh token is unknown, or its time is over. Sign in again."));
        }
        LoginDone::Refreshed(Refreshed::Reused) => {
            close_ended(&node).await?;
            return Err(refused(
                "The refresh token was used before, so all tokens of its family have ended. Sign in again.",
            ));
        }
        _ => return Err(unexpected_outcome()),
    };
    judge.note_use(&credential, Some(&status), node.clock.now());
    let access = sign(&judge, &node, &credential, &status.account.permissions, expires_at)?;
    Ok(answer(access, next, expires_at))
}

/// What becomes of a refresh token. One that there never was takes no place among the writes.
async fn exchange(judge: &Judge, token: SecretHash, next: &str, at: Time) -> Result<LoginDone, StoreError> {
    if !judge.logins.refresh_token(token).await? {
        return Ok(LoginDone::Refreshed(Refreshed::Unknown));
    }
    judge.logins.act(LoginAct::Refresh { token, next: secret_hash(next), at }).await
}

/// An access token and its end.
fn sign(
    judge: &Judge,
    node: &Node,
    credential: &Credential,
    permissions: &[Permission],
    until: Time,
) -> Result<(String, Time), Error> {
    let at = node.clock.now();
    let ttl = Duration::from_millis(node.limits.access_token_ms).min(until.since(at)).max(Duration::from_secs(1));
    let grant = Grant {
        user: credential.user.clone(),
        ttl,
        session: credential.session,
        family: credential.family,
        permissions: permissions.to_vec(),
        tier: None,
    };
    Ok((judge.tokens.sign(&grant, at)?, Time::from_seconds(at.plus(ttl).seconds())))
}

fn answer((access_token, expires_at): (String, Time), refresh_token: String, refresh_expires_at: Time) -> HttpResponse {
    ok(&TokensAnswer {
        access_token,
        expires_at: shape::time(expires_at),
        refresh_token,
        refresh_expires_at: shape::time(refresh_expires_at),
    })
}

fn secret() -> Result<String, Error> {
    new_secret().map_err(|_| Error::new(Code::Internal, "The random source failed."))
}

/// `POST /api/ws/ticket`: a ticket for one upgrade or one stream, with the context that asks.
///
/// # Errors
/// `rate_limited`, or an outage.
pub async fn ticket(
    request: HttpRequest,
    who: AuthContext,
    judge: web::Data<Judge>,
    node: web::Data<Node>,
) -> Result<HttpResponse, Error> {
    Rates::of(&request)?.ticket(who.user_id())?;
    let (text, at) = (secret()?, node.clock.now());
    let ticket = Ticket {
        credential: who.credential().clone(),
        permissions: who.permissions().to_vec(),
        tier: who.tier().to_owned(),
        context_expires_at: who.expires_at(),
        expires_at: at.plus(TICKET),
    };
    let expires_at = shape::time(ticket.expires_at);
    match judge.logins.act(LoginAct::PutTicket { hash: secret_hash(&text), ticket }).await? {
        LoginDone::Done => Ok(ok(&TicketAnswer { ticket: text, expires_at })),
        _ => Err(unexpected_outcome()),
    }
}
