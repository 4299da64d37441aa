//! Why a connection closes, and how that is told: by `bye` and a close code, or by a refusal.

use crate::{
    domain::Outage,
    error::{Code, Error},
    wire::frame::Bye,
};

/// Why a connection is to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closing {
    /// The row with the close code.
    pub code: Code,
    /// When to come back, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

impl From<Code> for Closing {
    fn from(code: Code) -> Closing {
        Closing { code, retry_after_ms: None }
    }
}

impl Closing {
    /// What the client is told.
    pub fn bye(self) -> Bye {
        let Closing { code, retry_after_ms } = self;
        Bye { code: code.close().unwrap_or(1000), reason: code.name(), reconnect: code.retryable(), retry_after_ms }
    }

    /// The same, told as a refusal where nothing has been accepted yet.
    pub fn refusal(self) -> Error {
        match self.code {
            Code::Draining => {
                let error = Error::new(Code::Draining, "The server is shutting down. Come back with the same cursor.");
                error.after_ms(self.retry_after_ms.unwrap_or(1_000))
            }
            Code::CredentialsExpired => Error::new(Code::TokenExpired, "The credentials have expired. Get new ones."),
            Code::Disabled => Error::new(Code::Disabled, "This account is disabled. Ask who runs the server."),
            Code::SignedOut => Error::new(Code::SignedOut, "This login has ended. Sign in again."),
            // Never 401 for what is no fault of the credentials: a client would throw its login away.
            _ => Error::from(Outage::Busy),
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
