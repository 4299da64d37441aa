//! THE table of public codes: name, HTTP status, close code, whether the client may retry, what it does, and its title.
//! `src/docs/protocol.md` shows it.
//!
//! Status and close codes are written here and nowhere else. A code is what clients decide by, so a
//! name never changes its meaning; the words may.
//!
//! Invariant: two rows share the name `unknown_user`, and their status tells them apart: 401 if a token names no account, 422 if a
//! member does not exist.

use std::borrow::Cow;

macro_rules! codes {
    ($($variant:ident $name:literal $status:literal $close:literal $retry:literal $client:ident $title:literal)*) => {
        /// A public code: every refusal, error and close that a client can see is one row of the table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $(#[doc = $title] $variant),* }

        impl Code {
            /// Every row, in the order of the table.
            pub const ALL: &[Code] = &[$(Code::$variant),*];

            fn row(self) -> (&'static str, u16, u16, bool, &'static str) {
                match self { $(Code::$variant => ($name, $status, $close, $retry, $title)),* }
            }

            /// What a client does about it.
            pub fn remedy(self) -> Remedy {
                match self { $(Code::$variant => Remedy::$client),* }
            }
        }
    };
}

/// What a client does about a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Remedy {
    /// The request or the client is wrong.
    Correct,
    /// Nothing that is shown opens the server.
    SignIn,
    /// The credential has run out.
    Renew,
    /// It does not exist for this user.
    Forget,
    /// It may succeed later.
    Retry,
    /// The connection may be opened again.
    Resume,
    /// The cursor does not hold.
    Reload,
    /// Nothing that a client can do helps.
    Stop,
}

impl Remedy {
    /// The sentence for authors of clients.
    pub fn text(self) -> &'static str {
        match self {
            Remedy::Correct => "correct the request; the same one fails again",
            Remedy::SignIn => "sign in, or get another token",
            Remedy::Renew => "refresh the token or sign in, then repeat the request or resume",
            Remedy::Forget => "forget the thing: it is gone, or this user may not see it",
            Remedy::Retry => "try the same again after `retry_after_ms`, with the same retry key",
            Remedy::Resume => "connect again after `retry_after_ms`, with the last cursor",
            Remedy::Reload => "load by REST, and follow from the cursor of that answer",
            Remedy::Stop => "do not repeat it; tell the person",
        }
    }
}

codes! {
    // variant            name                     HTTP close retry client   title
    Invalid              "invalid"                  400    0 false Correct  "The request is not valid"
    UnknownType          "unknown_type"             400    0 false Correct  "The frame type is not known"
    SeveralCredentials   "several_credentials"      400    0 false Correct  "More than one explicit credential"
    BadUpgrade           "bad_upgrade"              400    0 false Correct  "The upgrade request is malformed"
    Unauthenticated      "unauthenticated"          401    0 false SignIn   "Sign in first"
    BadCredentials       "bad_credentials"          401    0 false SignIn   "The credentials do not verify"
    TokenExpired         "token_expired"            401    0 false Renew    "The token has expired"
    UnknownAccount       "unknown_user"             401    0 false SignIn   "There is no such account"
    BadLogin             "bad_login"                401    0 false SignIn   "Name or password is wrong"
    SignInLost           "signin_lost"              401    0 false SignIn   "The sign-in was not begun here, or took too long"
    SignInRefused        "signin_refused"           403    0 false Stop     "The provider did not sign in"
    ForeignOrigin        "foreign_origin"           403    0 false Stop     "This origin may not use the server"
    NotAToken            "not_a_token"              403    0 false Correct  "The connection goes by no token"
    Forbidden            "forbidden"                403    0 false Stop     "Not allowed"
    NotFound             "not_found"                404    0 false Forget   "Not found"
    MethodNotAllowed     "method_not_allowed"       405    0 false Correct  "The path does not take this method"
    NotAcceptable        "not_acceptable"           406    0 false Correct  "The answer is not to be had in this form"
    RequestTimeout       "request_timeout"          408    0 true  Retry    "The request body took too long"
    EpochChanged         "epoch_changed"            410    0 false Reload   "The log is not the one the cursor is of"
    CursorExpired        "expired"                  410    0 false Reload   "The cursor is older than what is kept"
    BadCursor            "bad_cursor"               410    0 false Reload   "The cursor is not one of this server"
    TooManyEvents        "too_many"                 410    0 false Reload   "Too many events were missed"
    BodyTooBig           "too_big"                  413    0 false Correct  "The body is over the limit"
    NotJsonBody          "unsupported_media_type"   415    0 false Correct  "The body must be application/json"
    KeyReused            "key_reused"               422    0 false Correct  "The retry key was used for another body"
    UnknownMember        "unknown_user"             422    0 false Correct  "There is no such user"
    UpgradeRequired      "upgrade_required"         426    0 false Correct  "This path takes WebSocket upgrades only"
    RateLimited          "rate_limited"             429    0 true  Retry    "Too many requests"
    TooManyConnections   "too_many_connections"     429 4409 true  Retry    "Too many connections"
    Internal             "internal"                 500 1011 true  Retry    "The server failed"
    StackBroken          "stack_broken"             500    0 false Stop     "The middleware stack is broken"
    NoSigningKey         "no_signing_key"           501    0 false Stop     "The server signs no tokens"
    Busy                 "busy"                     503    0 true  Retry    "The server is busy"
    IssuerUnavailable    "issuer_unavailable"       503    0 true  Retry    "The issuer's keys cannot be fetched now"
    StoreUnavailable     "store_unavailable"        503    0 true  Retry    "The store cannot be used now"
    StorageFull          "storage_full"             507    0 true  Retry    "The store is full"
    Draining             "draining"                 503 4200 true  Resume   "The server is shutting down"
    OverCapacity         "over_capacity"            503 4211 true  Resume   "The server is full"
    Done                 "done"                       0 1000 false Stop     "Done"
    GoingAway            "going_away"                 0 1001 true  Resume   "Going away"
    ProtocolError        "protocol_error"             0 1002 false Correct  "The WebSocket protocol was broken"
    BinaryFrame          "binary_frame"               0 1003 false Correct  "Binary frames are not taken"
    NotUtf8              "not_utf8"                   0 1007 false Correct  "Text must be UTF-8"
    FrameTooBig          "frame_too_big"              0 1009 false Correct  "The frame is over the limit"
    SlowReader           "slow_reader"                0 4202 true  Resume   "Reads too slowly"
    NoSignOfLife         "no_sign_of_life"            0 4204 true  Resume   "No sign of life"
    CredentialsExpired   "credentials_expired"        0 4205 true  Renew    "The credentials expired"
    Flooding             "flooding"                   0 4210 true  Resume   "Too many frames"
    ContractBroken       "contract_broken"            0 4400 false Correct  "Too many bad frames"
    SignedOut            "signed_out"               401 4401 false SignIn   "Signed out"
    Disabled             "disabled"                 401 4403 false Stop     "The account is disabled"
}

impl Code {
    /// The name that clients decide by, in snake_case.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status of a refusal with this code; 500 for a code that only closes sockets, because
    /// answering a request with it is a bug of ours.
    pub fn status(self) -> u16 {
        match self.row().1 {
            0 => 500,
            status => status,
        }
    }

    /// The WebSocket close code, or `None` if a connection is never closed for this.
    pub fn close(self) -> Option<u16> {
        Some(self.row().2).filter(|code| *code != 0)
    }

    /// Whether the same request may succeed later.
    pub fn retryable(self) -> bool {
        self.row().3
    }

    /// A short sentence for people.
    pub fn title(self) -> &'static str {
        self.row().4
    }

    /// The row that a bare HTTP status stands for, when the framework refused before us.
    pub fn of_status(status: u16) -> Code {
        match status {
            400 => Code::Invalid,
            401 => Code::Unauthenticated,
            _ => *Code::ALL.iter().find(|code| code.row().1 == status).unwrap_or(&Code::Internal),
        }
    }
}

/// What is wrong with one field of a body or query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The field's name as the client wrote it.
    pub field: Cow<'static, str>,
    /// Why it is refused, and what would be taken.
    pub reason: Cow<'static, str>,
}

/// A refusal that a client is told: one row of the table, with what is particular to this case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", code.name())]
pub struct Error {
    /// The row.
    pub code: Code,
    /// One sentence: what happened and what to do. Never holds a secret.
    pub detail: Cow<'static, str>,
    /// Milliseconds after which the same request may succeed.
    pub retry_after_ms: Option<u64>,
    /// For `invalid`: which fields, and why.
    pub fields: Vec<FieldError>,
}

impl Error {
    /// A refusal with the given row and sentence.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Error { code, detail: detail.into(), retry_after_ms: None, fields: Vec::new() }
    }

    /// `invalid`, for one field.
    pub fn field(field: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::fields(vec![FieldError { field: field.into(), reason: reason.into() }])
    }

    /// `invalid`, for several fields.
    pub fn fields(fields: Vec<FieldError>) -> Self {
        let named: Vec<String> = fields.iter().map(|f| format!("{}: {}", f.field, f.reason)).collect();
        Error { fields, ..Error::new(Code::Invalid, named.join("; ")) }
    }

    /// The same for an unknown thread and for one that the asker is no member of.
    pub fn no_thread() -> Self {
        Error::new(Code::NotFound, "There is no such thread for you.")
    }

    /// The same for an unknown message and for one in a thread that the asker is no member of.
    pub fn no_message() -> Self {
        Error::new(Code::NotFound, "There is no such message for you.")
    }

    /// With the delay after which to try again.
    #[must_use]
    pub fn after_ms(mut self, milliseconds: u64) -> Self {
        self.retry_after_ms = Some(milliseconds);
        self
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Error::new(code, code.title())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_name_a_way_to_be_told_and_words() {
        for code in Code::ALL {
            let (name, status, close, _, title) = code.row();
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit()), "{name}");
            assert!(status != 0 || close != 0, "{name} can never be told to anybody");
            assert!(!title.is_empty());
        }
    }

    #[test]
    fn close_codes_below_4400_let_the_client_come_back_and_those_above_do_not() {
        for code in Code::ALL.iter().filter(|c| c.close().is_some_and(|n| n >= 4200)) {
            let close = code.close().unwrap_or_default();
            let comes_back = close < 4400 || close == 4409;
            assert_eq!(code.retryable(), comes_back, "{} {close}", code.name());
        }
    }

    #[test]
    fn a_client_tries_again_what_is_retryable_and_nothing_else() {
        for code in Code::ALL {
            let again = matches!(code.remedy(), Remedy::Retry | Remedy::Resume);
            assert_eq!(again, code.retryable() && code.remedy() != Remedy::Renew, "{}", code.name());
        }
    }
}
