//! Reason for closing a connection; maps to a `bye` frame and a close code, or to an HTTP error before the upgrade.

use crate::{
    domain::StoreError,
    error::{Code, Error},
    wire::frame::Bye,
};

/// Reason for closing a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closing {
    /// Error code, which determines the close code.
    pub code: Code,
    /// Time after which the client may reconnect, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

impl From<Code> for Closing {
    fn from(code: Code) -> Closing {
        Closing { code, retry_after_ms: None }
    }
}

impl Closing {
    /// Content of the `bye` frame.
    pub fn bye(self) -> Bye {
        let Closing { code, retry_after_ms } = self;
        Bye { code: code.close().unwrap_or(1000), reason: code.name(), reconnect: code.retryable(), retry_after_ms }
    }

    /// The error that refuses a connection which has not been accepted yet.
    pub fn refusal(self) -> Error {
        match self.code {
            Code::Draining => {
                let error = Error::new(Code::Draining, "The server is shutting down. Come back with the same cursor.");
                error.after_ms(self.retry_after_ms.unwrap_or(1_000))
            }
            Code::CredentialsExpired => Error::new(Code::TokenExpired, "The credentials have expired. Get new ones."),
            Code::Disabled => Error::new(Code::Disabled, "This account is disabled. Ask who runs the server."),
            Code::SignedOut => Error::new(Code::SignedOut, "This login has ended. Sign in again."),
            // Not 401: the credentials are valid, and a client would discard its login.
            _ => Error::from(StoreError::Busy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_ended_the_credentials_is_refused_as_if_it_had() {
        for code in Code::ALL.iter().copied().filter(|code| code.close().is_some()) {
            let expected = match code {
                Code::SignedOut => Code::SignedOut,
                Code::Disabled => Code::Disabled,
                Code::CredentialsExpired => Code::TokenExpired,
                Code::Draining => Code::Draining,
                _ => Code::Busy,
            };
            let refusal = Closing::from(code).refusal();
            assert_eq!(refusal.code, expected, "{code:?}");
            assert_eq!(refusal.code.status() == 401, matches!(code.close(), Some(4205 | 4401 | 4403)), "{code:?}");
        }
    }
}
