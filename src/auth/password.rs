//! Passwords: how they are prepared, which are taken, and a bounded number of hashes at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;

use super::{
    hash::{self, Memory, Stored},
    hash_queue::{HashQueue, HashRequester},
};
use crate::{
    domain::Limits,
    error::{Code, Error},
};

/// Shortest password, in characters (NIST SP 800-63B section 3.1.1.2).
pub const PASSWORD_CHARS_MIN: usize = 8;
/// Longest password, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 1_024;
/// Passwords that many people have, in lower case, one a line.
const COMMON: &str = include_str!("common-passwords.txt");

/// Hashes and verifies passwords off the worker threads; at most `hashes` at once, and the others in a bounded line.
pub struct Passwords {
    running: Arc<Semaphore>,
    hash_queue: Arc<HashQueue>,
    /// Memory that no hash uses now. It is made when it is first needed and kept: never more than hashes run at once.
    spare: Arc<Mutex<Vec<Memory>>>,
}

/// The hash of 256 random bits that nobody kept: verified for users that do not exist, so that they cost the same time.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$5w0tu3/xT1/Gv2hQljIwkg$/OCWYuoumwtFK7EkWX3Iy6rJoHGzSMOBRtgXPdm7X9A";

impl Passwords {
    /// With the limits in force.
    pub fn new(limits: &Limits) -> Passwords {
        let hashes = usize::try_from(limits.hashes).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Passwords {
            running: Arc::new(Semaphore::new(hashes)),
            hash_queue: Arc::new(HashQueue::new(limits)),
            spare: Arc::default(),
        }
    }

    /// Whether a password opens the account with this hash; `None` takes as long and is never true.
    ///
    /// # Errors
    /// `rate_limited` or `busy`, if too many wait.
    pub async fn verify(&self, requester: HashRequester, hash: Option<String>, password: String) -> Result<bool, Error> {
        let stored = hash.as_deref().and_then(Stored::parse);
        if hash.is_some() && stored.is_none() {
            log::error!(
                "a stored password hash is not Argon2, or larger than ours, and opens nothing; set the password anew"
            );
        }
        let known = stored.is_some();
        let Some(stored) = stored.or_else(|| Stored::parse(NOBODY)) else { return Err(Code::Internal.into()) };
        // How many hashes are computed for a wrong password follows from what was typed alone, so the time tells nothing
        // about the account.
        let right = move |memory: &mut Memory| spellings(&password).iter().any(|spelling| stored.is_of(spelling, memory));
        Ok(self.in_turn(requester, right).await? && known)
    }

    /// Hashes a new password, in turn with the others.
    ///
    /// # Errors
    /// `rate_limited` or `busy`, if too many wait; or if the random source fails.
    pub async fn hash(&self, requester: HashRequester, password: String) -> Result<String, Error> {
        self.in_turn(requester, move |memory| hash::hash(&prepared(&password), memory)).await?
    }

    /// Does something that takes the memory of a hash, when it is its turn.
    async fn in_turn<T: Send + 'static>(
        &self,
        requester: HashRequester,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let place = self.hash_queue.take(requester)?;
        let turn = Arc::clone(&self.running).acquire_owned().await.map_err(|_| Error::from(Code::Internal))?;
        let spare = Arc::clone(&self.spare);
        let done = tokio::task::spawn_blocking(move || {
            // Both are kept until the work is done, even where nobody waits for it any more.
            let _kept = (place, turn);
            let mut memory = kept(&spare).pop().unwrap_or_else(Memory::new);
            let done = work(&mut memory);
            kept(&spare).push(memory);
            done
        });
        done.await.map_err(|_| Code::Internal.into())
    }
}

fn kept(spare: &Mutex<Vec<Memory>>) -> MutexGuard<'_, Vec<Memory>> {
    spare.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hashes a new password into a PHC string, where no others do.
///
/// # Errors
/// If the random source fails.
pub fn hash(password: &str) -> Result<String, Error> {
    hash::hash(&prepared(password), &mut Memory::new())
}

/// Returns the form of a password that is hashed: every kind of space is U+0020, then normalization form C (the profile
/// OpaqueString, RFC 8265 section 4.2). So a password is the same from every keyboard.
pub fn prepared(typed: &str) -> String {
    let is_space =
        |c: char| matches!(c, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}');
    typed.chars().map(|c| if is_space(c) { ' ' } else { c }).nfc().collect()
}

/// Returns the spellings of a typed password that may have been hashed: as it is prepared now, and, for hashes made
/// before passwords were prepared, as it was typed and decomposed. Plain ASCII has one. Ones over the limit are left out.
fn spellings(typed: &str) -> Vec<String> {
    let mut spellings = Vec::with_capacity(3);
    for spelling in [prepared(typed), typed.to_owned(), typed.nfd().collect()] {
        if spelling.len() <= PASSWORD_BYTES_MAX && !spellings.contains(&spelling) {
            spellings.push(spelling);
        }
    }
    spellings
}

/// Checks a password that somebody wants to set; `field` is what the caller calls it.
///
/// # Errors
/// `invalid`, with what to change.
pub fn check_new(field: &'static str, password: &str) -> Result<(), Error> {
    let password = prepared(password);
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(Error::field(field, format!("must have at least {PASSWORD_CHARS_MIN} characters")));
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(Error::field(field, format!("must have at most {PASSWORD_BYTES_MAX} bytes")));
    }
    let folded = password.to_lowercase();
    if COMMON.lines().any(|common| common == folded) {
        return Err(Error::field(field, "is one of the most common passwords, which are guessed first; choose another"));
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
            passwords.verify(HashRequester::anybody(), hash, password)
        };
        assert_eq!(verify(Some(&stored), "correct horse").await, Ok(true));
        assert_eq!(verify(Some(&stored), "correct horsE").await, Ok(false));
        assert_eq!(verify(None, "correct horse").await, Ok(false));
        let parameters = |hash: &str| hash.split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(parameters(NOBODY), parameters(&stored), "an unknown user must cost what a known one does");
        assert!(Stored::parse(NOBODY).is_some());
        let larger = stored.replace("m=19456", "m=19457");
        assert_eq!(verify(Some(&larger), "correct horse").await, Ok(false));
    }
    #[test]
    fn a_new_password_is_refused_for_its_length_and_where_many_people_have_it() {
        let refused = |password: &str| check_new("new_password", password).expect_err("refused").detail.into_owned();
        for (password, why) in [("1234567", "at least 8"), ("äöüßäöü", "at least 8"), (&"x".repeat(1_025), "at most 1024")]
        {
            assert!(refused(password).contains(why), "{}", refused(password));
        }
        for password in
            ["password", "PassWord1", "qwertyuiop", "12345678", "P@ssw0rd", "Summer2026", "Contraseña", "iloveyou"]
        {
            let told = refused(password);
            assert!(told.starts_with("new_password: is one of the most common"), "{told}");
        }
        for password in ["Contrasen\u{303}a", "e\u{301}e\u{301}e\u{301}e\u{301}"] {
            assert!(check_new("password", password).is_err(), "{password} is judged as it is composed");
        }
        for password in ["korrekt horse", "password of mine", "xpassword1", "p\u{308}assword"] {
            assert_eq!(check_new("password", password), Ok(()), "{password}");
        }
    }

    #[actix_web::test]
    async fn a_hash_made_before_passwords_were_prepared_is_opened_by_every_spelling_and_by_nothing_else() {
        let passwords = Passwords::new(&Limits::default());
        let [composed, decomposed, other] = ["S\u{e9}same-9714", "Se\u{301}same-9714", "Sesame-9714"].map(str::to_owned);
        for stored in [&composed, &decomposed] {
            let stored = hash::hash(stored, &mut Memory::new()).expect("random source");
            for (typed, right) in [(&composed, true), (&decomposed, true), (&other, false)] {
                let verified = passwords.verify(HashRequester::anybody(), Some(stored.clone()), typed.clone()).await;
                assert_eq!(verified, Ok(right), "{typed}");
            }
        }
        let spaced = hash::hash("two\u{a0}words", &mut Memory::new()).expect("random source");
        assert_eq!(passwords.verify(HashRequester::anybody(), Some(spaced), "two\u{a0}words".to_owned()).await, Ok(true));
    }

    #[test]
    fn a_password_is_prepared_as_the_profile_opaque_string_says() {
        for (typed, form) in [
            ("Se\u{301}same", "S\u{e9}same"),
            ("\u{212b}", "\u{c5}"),
            ("two\u{a0}words\u{3000}or\u{2009}so", "two words or so"),
            ("Case \u{130}\u{df}\u{fb01}\u{ff21}", "Case \u{130}\u{df}\u{fb01}\u{ff21}"),
        ] {
            assert_eq!(prepared(typed), form);
            assert_eq!(prepared(form), form);
            assert_eq!(spellings(typed)[0], form);
        }
        assert_eq!(spellings("plain ASCII").len(), 1);
        assert!(spellings(&"x".repeat(PASSWORD_BYTES_MAX + 1)).is_empty());
        assert_eq!(spellings(&"e\u{301}".repeat(512)), ["\u{e9}".repeat(512)], "the limit is of each spelling");
    }

    #[test]
    fn the_common_passwords_are_in_lower_case_long_enough_to_matter_and_each_there_once() {
        let lines: Vec<&str> = COMMON.lines().collect();
        assert!(lines.len() > 500 && lines.is_sorted_by(|one, next| one < next));
        for line in lines {
            assert!(line.chars().count() >= PASSWORD_CHARS_MIN && line.to_lowercase() == line, "{line}");
        }
    }
}
