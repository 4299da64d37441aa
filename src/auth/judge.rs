//! The one decision about who acts: every way, on REST and on the upgrade, comes through here.

use std::sync::Arc;

use actix_web::{HttpMessage, dev::ServiceRequest, http::Method as HttpMethod};

use super::{
    AuthContext, AuthOutcome, Method, Origins, Rates, Tokens,
    credentials::{AcceptedCredentials, PresentedCredentials},
    last_use::LastUseRecorder,
    login_throttle::AddressAttempt,
    session::secret_hash,
    token::Claims,
    witness,
};
use crate::{
    domain::{
        Account, Clock, Credential, LEEWAY, LoginAct, LoginDone, Logins, RequestId, Time, UserId,
        logins::{CredentialError, CredentialStatus, SESSION_TOUCH, Subject, Ticket},
    },
    error::{Code, Error},
};

/// What somebody is told whose login has reached its deadline.
pub const LOGIN_ENDED: &str = "Your login has ended. Sign in again.";

/// Everything the decision needs.
pub struct Judge {
    /// Accounts and logins.
    pub logins: Arc<dyn Logins>,
    /// Writes down that a login was used.
    pub last_use: LastUseRecorder,
    /// The tokens of every issuer.
    pub tokens: Arc<Tokens>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Whether a verified own token creates its user; one of an outside issuer always does.
    pub create_users: bool,
    /// Allowed origins.
    pub origins: Origins,
    /// What each path takes.
    pub accepted: fn(&str) -> AcceptedCredentials,
}

impl Judge {
    /// The outcome on a request.
    ///
    /// # Errors
    /// If the layers outside could not say what the cookie opens.
    pub(super) async fn decide(&self, request: &ServiceRequest) -> Result<AuthOutcome, Error> {
        // By the path that the router goes by: an escaped spelling is the same way in.
        let accepted = (self.accepted)(request.match_info().as_str());
        // HEAD is judged as GET is, but it must not use up the ticket that GET or an upgrade will show.
        let accepted = if request.method() == HttpMethod::HEAD {
            AcceptedCredentials { peek_only: true, ..accepted }
        } else {
            accepted
        };
        let carried = PresentedCredentials::of(request, accepted)?;
        let cookie_only = carried.explicit.is_empty() && carried.cookie.is_some();
        let entry = may_come(request, accepted).and_then(|()| self.origins.judge(request.headers(), cookie_only));
        let stranger =
            accepted.streams && cookie_only && request.method().is_safe() && self.origins.from_elsewhere(request.headers());
        let request_id = request.extensions().get::<RequestId>().cloned();
        let request_id = request_id.ok_or_else(|| Error::new(Code::StackBroken, "The telemetry layer did not run."))?;
        let who = match &entry {
            // In the order of refusal: an upgrade that is refused before anybody asks who it is uses no ticket up.
            Err(refused) if accepted.upgrades => Err(refused.clone()),
            // It is of the same site perhaps, so its requests carry the cookie, and each wait is one of the user's connections.
            _ if stranger => Err(Error::new(Code::ForeignOrigin, "A page of another origin may not wait for your events.")),
            _ => self.who_counted(request, accepted, carried, request_id).await,
        };
        let who = match who {
            // The session named a user to the witness, and then the identity layer ended it.
            Err(error) if error.code == Code::Unauthenticated && witness::user(request).is_some() => {
                Err(Error::new(Code::Unauthenticated, LOGIN_ENDED))
            }
            who => who,
        };
        Ok(AuthOutcome { who, entry })
    }

    /// Who acts; tickets that nobody gave out count at their address, where no upgrade is counted there.
    async fn who_counted(
        &self,
        request: &ServiceRequest,
        accepted: AcceptedCredentials,
        carried: PresentedCredentials,
        request_id: RequestId,
    ) -> Result<AuthContext, Error> {
        let by_ticket = carried.explicit.iter().any(|carried| matches!(carried, (Method::Ticket, Ok(_))));
        let counted = by_ticket && (!accepted.upgrades || accepted.peek_only);
        let rates = Rates::of(request.request())?;
        let attempt = counted.then(|| rates.sign_in(request.request())).transpose()?;
        let who = self.who(carried, !accepted.peek_only, request_id).await;
        if !matches!(&who, Err(error) if error.code == Code::BadCredentials) {
            attempt.into_iter().for_each(AddressAttempt::forgive);
        }
        who
    }

    async fn who(&self, carried: PresentedCredentials, consumes: bool, request_id: RequestId) -> Result<AuthContext, Error> {
        let PresentedCredentials { mut explicit, cookie } = carried;
        if explicit.len() > 1 {
            return Err(Error::new(
                Code::SeveralCredentials,
                "Send one credential: a bearer token, a subprotocol, a query token or a ticket.",
            ));
        }
        let cookie_user = cookie.as_ref().map(|(credential, _)| credential.user.clone());
        match explicit.pop() {
            Some((_, Err(instead))) => Err(Error::new(Code::BadCredentials, instead)),
            Some((Method::Ticket, Ok(ticket))) => self.by_ticket(&ticket, cookie_user, consumes, request_id).await,
            Some((method, Ok(token))) => self.by_token(method, &token, cookie_user, request_id).await,
            None => {
                let nobody = || Error::new(Code::Unauthenticated, "Sign in, or send a bearer token.");
                let (credential, expires_at) = cookie.ok_or_else(nobody)?;
                let account = self.holding(&credential).await?.account;
                Ok(AuthContext::new(account, Method::Session, credential, expires_at, request_id))
            }
        }
    }

    async fn by_token(
        &self,
        method: Method,
        token: &str,
        cookie_user: Option<UserId>,
        request_id: RequestId,
    ) -> Result<AuthContext, Error> {
        self.judged_token(method, token, cookie_user, request_id).await.map(|(context, _)| context)
    }

    /// The context of a token, and the number of the last revocation when its credential was read.
    async fn judged_token(
        &self,
        method: Method,
        token: &str,
        cookie_user: Option<UserId>,
        request_id: RequestId,
    ) -> Result<(AuthContext, u64), Error> {
        let reading = self.clock.read();
        let now = reading.wall;
        let mut claims = self.tokens.verify(token, reading).await?;
        let mut unlinked = false;
        if let Some(subject) = claims.subject.take() {
            (claims.user, unlinked) = self.linked(subject, &claims.user).await?;
        }
        same_user(&claims.user, cookie_user)?;
        let Claims { issued_at, session, family, expires_at, .. } = claims;
        let credential = Credential { user: claims.user.clone(), issued_at: Some(issued_at), session, family };
        let status = self.credential_status(&credential).await?;
        self.note_use(&credential, status.as_ref(), now);
        let (mut account, revocations) = match status {
            Some(status) => (status.account, status.revocations),
            None => (self.newcomer(&claims).await?, 0),
        };
        // Now that the account is there, no subject with this hash can be linked to it any more.
        if unlinked && self.logins.is_linked(account.user_id.clone()).await? {
            return Err(elsewhere());
        }
        account.permissions = claims.permissions;
        account.tier = claims.tier.unwrap_or(account.tier);
        Ok((AuthContext::new(account, method, credential, expires_at, request_id), revocations))
    }

    async fn by_ticket(
        &self,
        text: &str,
        cookie_user: Option<UserId>,
        consumes: bool,
        request_id: RequestId,
    ) -> Result<AuthContext, Error> {
        let (hash, now) = (secret_hash(text), self.clock.now());
        let spent = || {
            let detail = "The ticket is unknown, was used before, or has expired. Get a new one.";
            Error::new(Code::BadCredentials, detail)
        };
        let ticket = self.logins.ticket(hash, now).await?.ok_or_else(spent)?;
        same_user(&ticket.credential.user, cookie_user)?;
        if now >= ticket.context_expires_at.plus(LEEWAY) {
            return Err(Error::new(
                Code::TokenExpired,
                "What the ticket was made from has expired. Sign in, or get a new token.",
            ));
        }
        let account = self.holding(&ticket.credential).await?.account;
        if consumes {
            // Whoever takes it first has it: looked at before is not taken.
            match self.logins.act(LoginAct::TakeTicket { hash, at: now }).await? {
                LoginDone::Ticket(Some(_)) => {}
                _ => return Err(spent()),
            }
        }
        let Ticket { credential, permissions, tier, context_expires_at, .. } = ticket;
        let account = Account { tier, permissions, ..account };
        Ok(AuthContext::new(account, Method::Ticket, credential, context_expires_at, request_id))
    }

    /// The full check of a token that is to take over an open connection; the number of the last revocation when it was made.
    ///
    /// # Errors
    /// As for a request with this token; `bad_credentials` for a token of another user; `not_a_token` where the
    /// connection is a login's own.
    pub async fn refresh(&self, context: &AuthContext, token: &str) -> Result<(AuthContext, u64), Error> {
        if context.method() == Method::Session {
            return Err(Error::new(Code::NotAToken, "This connection goes by the sign-in of the page, not by a token."));
        }
        let (user, request) = (context.user_id().clone(), context.request_id().clone());
        self.judged_token(Method::Bearer, token, Some(user), request).await
    }

    /// Whether the credential of an auth context still holds.
    ///
    /// # Errors
    /// `signed_out`, `disabled`, or an outage.
    pub async fn still_holds(&self, context: &AuthContext) -> Result<(), Error> {
        self.holding(context.credential()).await.map(drop)
    }

    /// Records that the login behind a credential was used, if the last note is old enough.
    pub async fn used(&self, credential: &Credential) {
        let now = self.clock.now();
        match self.logins.credential_status(credential.clone(), now).await {
            Ok(status) => self.note_use(credential, status.as_ref(), now),
            Err(outage) => log::warn!("the use of a login could not be noted: {outage}"),
        }
    }

    /// The same, by a status that was just read. Nobody waits until it is written.
    pub fn note_use(&self, credential: &Credential, status: Option<&CredentialStatus>, now: Time) {
        let (Some(session), Some(seen_at)) = (credential.session, status.and_then(|status| status.seen_at)) else {
            return;
        };
        if now.since(seen_at) >= SESSION_TOUCH {
            self.last_use.note(LoginAct::TouchLogin { session, at: now });
        }
    }

    /// What the store says of a credential that holds.
    ///
    /// # Errors
    /// `signed_out`, `disabled`, `unknown_user`, or an outage.
    pub async fn holding(&self, credential: &Credential) -> Result<CredentialStatus, Error> {
        self.credential_status(credential).await?.ok_or_else(gone)
    }

    /// The same; `None`: there is no such user.
    async fn credential_status(&self, credential: &Credential) -> Result<Option<CredentialStatus>, Error> {
        let status = self.logins.credential_status(credential.clone(), self.clock.now()).await?;
        status.as_ref().map_or(Ok(()), |status| status.judge(credential))?;
        Ok(status)
    }

    /// The account of a subject that its user id does not tell from others: the one that its sign-in at the provider gets.
    /// True beside it: the subject is linked to an account under another prefix, so this one must be linked to no subject.
    async fn linked(&self, subject: Subject, user: &UserId) -> Result<(UserId, bool), Error> {
        let plain = user.as_str().split_once(':').is_some_and(|(_, named)| named == subject.subject);
        let found = self.logins.subject(subject.issuer.clone(), subject.subject.clone()).await?;
        let linked = if found.is_some() {
            found
        } else {
            // A token began no sign-in: whether it was revoked is judged with its credential.
            let act = LoginAct::LinkSubject { subject, after: u64::MAX, at: self.clock.now() };
            let LoginDone::Linked(linked) = self.logins.act(act).await? else { return Err(Code::Internal.into()) };
            linked.map(|account| account.user_id)
        };
        let prefix = |user: &UserId| user.as_str().split(':').next().map(str::to_owned);
        match linked {
            Some(linked) if prefix(&linked) == prefix(user) => Ok((linked, false)),
            // The sign-in of this issuer is set up with a prefix of its own: the two have different accounts.
            Some(_) if plain => Ok((user.clone(), true)),
            _ => Err(elsewhere()),
        }
    }

    /// The account of a verified token's user on first use. An outside issuer's users have no other way to get one.
    async fn newcomer(&self, claims: &Claims) -> Result<Account, Error> {
        if !self.create_users && !claims.outside {
            return Err(Error::new(Code::UnknownAccount, "There is no account for the user this token names."));
        }
        if claims.session.is_some() || claims.family.is_some() {
            // It says which login it ends with, and nobody has that one.
            return Err(CredentialError::SignedOut.into());
        }
        if !claims.outside {
            let local = UserId::new_local(claims.user.as_str());
            local.map_err(|reason| Error::new(Code::UnknownAccount, format!("No account can be created: {reason}.")))?;
        }
        let account = Account {
            email: claims.email.clone(),
            ..Account::new(claims.user.clone(), claims.name.clone().unwrap_or_else(|| claims.user.to_string()))
        };
        let act = LoginAct::CreateAccount { account: account.clone(), at: self.clock.now(), keep: true };
        self.logins.act(act).await?;
        Ok(account)
    }
}

/// Whether the client's address may open one more socket; where nothing is used up, nothing is counted.
fn may_come(request: &ServiceRequest, accepted: AcceptedCredentials) -> Result<(), Error> {
    let request = request.request();
    match (accepted.upgrades, accepted.peek_only) {
        (false, _) => Ok(()),
        (true, false) => Rates::of(request)?.upgrade(request),
        (true, true) => Rates::of(request)?.would_upgrade(request),
    }
}

/// With an explicit way the cookie adds nothing, but it must not be another user's.
fn same_user(user: &UserId, other: Option<UserId>) -> Result<(), Error> {
    if other.is_some_and(|other| other != *user) {
        return Err(Error::new(Code::BadCredentials, "The two credentials are of different users."));
    }
    Ok(())
}

fn elsewhere() -> Error {
    Error::new(Code::UnknownAccount, "The account of the token's `sub` is under another prefix, or its user ids are taken.")
}

fn gone() -> Error {
    Error::new(Code::UnknownAccount, "The account behind this sign-in is gone.")
}
