//! Passwords: Argon2id with the parameters OWASP recommends (19 MiB, 2 passes, 1 lane), a bounded number at once.

use std::sync::Arc;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    domain::Limits,
    error::{Code, Error},
};

/// Shortest password, in characters (NIST SP 800-63B section 3.1.1.2).
pub const PASSWORD_CHARS_MIN: usize = 8;
/// Longest password, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 1_024;

/// Hashes and verifies passwords off the worker threads; at most `hashes` at once, `hashes_waiting` in line.
pub struct Passwords {
    running: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

/// The hash of 256 random bits that nobody kept: verified for users that do not exist, so that they cost the same time.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$5w0tu3/xT1/Gv2hQljIwkg$/OCWYuoumwtFK7EkWX3Iy6rJoHGzSMOBRtgXPdm7X9A";

impl Passwords {
    /// With the limits in force.
    pub fn new(limits: &Limits) -> Passwords {
        let permits =
            |max: u64| Arc::new(Semaphore::new(usize::try_from(max).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)));
        Passwords { running: permits(limits.hashes), places: permits(limits.hashes + limits.hashes_waiting) }
    }

    /// Whether a password opens the account with this hash; `None` takes as long and is never true.
    ///
    /// # Errors
    /// `busy`, if too many wait.
    pub async fn verify(&self, hash: Option<String>, password: String) -> Result<bool, Error> {
        let _place = self.place()?;
        let turn = self.turn().await?;
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| NOBODY.to_owned());
        let verified = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            password.len() <= PASSWORD_BYTES_MAX && matches(&hash, &password)
        });
        Ok(verified.await.unwrap_or(false) && known)
    }
}

impl Passwords {
    /// Hashes a new password, in turn with the others.
    ///
    /// # Errors
    /// `busy`, if too many wait, or if the random source fails.
    pub async fn hash(&self, password: String) -> Result<String, Error> {
        let _place = self.place()?;
        let turn = self.turn().await?;
        let hashed = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            hash(&password)
        });
        hashed.await.unwrap_or_else(|_| Err(Code::Internal.into()))
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, Error> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| busy())
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, Error> {
        Arc::clone(&self.running).acquire_owned().await.map_err(|_| busy())
    }
}

fn busy() -> Error {
    Error::new(Code::Busy, "Too many people are signing in. Try again.").after_ms(2_000)
}

fn matches(hash: &str, password: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// Hashes a new password into a PHC string.
///
/// # Errors
/// If the random source fails.
pub fn hash(password: &str) -> Result<String, Error> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|_| Error::new(Code::Internal, "The password could not be hashed."))
}

/// Checks a password that somebody wants to set.
///
/// # Errors
/// `invalid`, with what to change.
pub fn check_new(password: &str) -> Result<(), Error> {
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(Error::field("password", format!("must have at least {PASSWORD_CHARS_MIN} characters")));
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(Error::field("password", format!("must have at most {PASSWORD_BYTES_MAX} bytes")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn a_password_opens_its_hash_and_no_other_does() {
        let passwords = Passwords::new(&Limits::default());
        let stored = hash("correct horse").expect("random source");
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        let verify = |hash: Option<&str>, password: &str| {
            let (hash, password) = (hash.map(str::to_owned), password.to_owned());
            passwords.verify(hash, password)
        };
        assert_eq!(verify(Some(&stored), "correct horse").await, Ok(true));
        assert_eq!(verify(Some(&stored), "correct horsE").await, Ok(false));
        assert_eq!(verify(None, "correct horse").await, Ok(false));
        let parameters = |hash: &str| hash.split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(parameters(NOBODY), parameters(&stored), "an unknown user must cost what a known one does");
        assert!(PasswordHash::new(NOBODY).is_ok());
    }
}
