//! The key ring: seals small texts that clients keep, such as cookies. The newest key seals, every key opens, so a key
//! can be replaced without ending what was sealed under it.
//!
//! AES-256-GCM-SIV (RFC 8452) with a random nonce, which forgives a repeated nonce; the key is drawn from the
//! configured one by HKDF (RFC 5869). The purpose is sealed with the text: what was made for one opens for no other.

use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    error::Unspecified,
    hkdf::{HKDF_SHA256, Salt},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// Longest sealed text that is looked at, in bytes: browsers keep no cookie over 4,096.
const SEALED_BYTES_MAX: usize = 4_096;

/// A text that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The text.
    pub text: String,
    /// Whether the newest key opened it; if not, it should be sealed again.
    pub newest: bool,
}

/// Keys, newest first.
type Keys = Arc<[RandomizedNonceKey]>;

/// The keys, which can be replaced while the server runs.
pub struct KeyRing {
    keys: RwLock<Keys>,
}

impl KeyRing {
    /// With these secrets, newest first.
    ///
    /// # Errors
    /// If there is none.
    pub fn new<S: AsRef<[u8]>>(secrets: &[S]) -> Result<KeyRing, Unspecified> {
        Ok(KeyRing { keys: RwLock::new(keys(secrets)?) })
    }

    /// With these secrets from now on.
    ///
    /// # Errors
    /// If there is none; the keys stay as they were.
    pub fn replace<S: AsRef<[u8]>>(&self, secrets: &[S]) -> Result<(), Unspecified> {
        let keys = keys(secrets)?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    fn keys(&self) -> Keys {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Text of `A-Z a-z 0-9 - _` that only this ring opens, and only for this purpose. It is 38 characters and a third
    /// longer than the text; over 4,096 it would open no more.
    ///
    /// # Panics
    /// If the system's random source fails: nothing that is told to a client could be kept from others.
    pub fn seal(&self, purpose: &str, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        let sealed = self.keys()[0].seal_in_place_append_tag(Aad::from(purpose.as_bytes()), &mut bytes);
        bytes.extend_from_slice(sealed.expect("the random source works").as_ref());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The text, or `None` if this ring did not seal it for this purpose.
    pub fn open(&self, purpose: &str, sealed: &str) -> Option<String> {
        self.opened(purpose, sealed).map(|opened| opened.text)
    }

    /// The same, and whether the newest key opened it.
    pub fn opened(&self, purpose: &str, sealed: &str) -> Option<Opened> {
        if sealed.len() > SEALED_BYTES_MAX {
            return None;
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let nonce: [u8; NONCE_LEN] = *bytes.last_chunk()?;
        bytes.truncate(bytes.len() - NONCE_LEN);
        self.keys().iter().enumerate().find_map(|(age, key)| {
            let mut bytes = bytes.clone();
            let opened = key.open_in_place(Nonce::from(&nonce), Aad::from(purpose.as_bytes()), &mut bytes).ok()?;
            Some(Opened { text: String::from_utf8(opened.to_vec()).ok()?, newest: age == 0 })
        })
    }
}

fn keys<S: AsRef<[u8]>>(secrets: &[S]) -> Result<Keys, Unspecified> {
    let key = |secret: &S| {
        let drawn = Salt::new(HKDF_SHA256, b"hailgate key ring 1").extract(secret.as_ref());
        let mut key = [0; 32];
        drawn.expand(&[b"seal"], HKDF_SHA256)?.fill(&mut key)?;
        RandomizedNonceKey::new(&AES_256_GCM_SIV, &key)
    };
    if secrets.is_empty() { Err(Unspecified) } else { secrets.iter().map(key).collect() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OLD: [u8; 64] = [1; 64];
    const NEW: [u8; 64] = [2; 64];

    fn ring(secrets: &[[u8; 64]]) -> KeyRing {
        KeyRing::new(secrets).expect("a ring")
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_for_its_purpose_under_any_key_of_the_ring_and_the_newest_seals(
            text in ".{0,300}", purpose in "[a-z]{1,9}", other in "[a-z]{1,9}",
        ) {
            let (old, both, new) = (ring(&[OLD]), ring(&[NEW, OLD]), ring(&[NEW]));
            let (before, after) = (old.seal(&purpose, &text), both.seal(&purpose, &text));
            let told = |newest| Some(Opened { text: text.clone(), newest });
            prop_assert_eq!(both.opened(&purpose, &before), told(false));
            prop_assert_eq!(both.opened(&purpose, &after), told(true));
            prop_assert_eq!(new.opened(&purpose, &after), told(true));
            prop_assert_eq!(new.open(&purpose, &before), None);
            prop_assert_eq!(old.open(&purpose, &after), None);
            prop_assert_eq!(both.open(&other, &before).is_some(), other == purpose);
        }

        #[test]
        fn arbitrary_text_opens_nothing_and_never_panics(text in "\\PC{0,200}", bytes in any::<Vec<u8>>()) {
            prop_assert_eq!(ring(&[NEW, OLD]).open("x", &text), None);
            prop_assert_eq!(ring(&[NEW, OLD]).open("x", &URL_SAFE_NO_PAD.encode(bytes)), None);
        }

        #[test]
        fn a_sealed_text_with_one_character_changed_opens_nothing(at in 0usize..60, to in "[A-Za-z0-9_-]") {
            let ring = ring(&[NEW]);
            let sealed = ring.seal("x", "a session of somebody");
            let at = at % sealed.len();
            let mut bent = sealed.clone();
            bent.replace_range(at..=at, &to);
            prop_assert_eq!(ring.open("x", &bent).is_some(), bent == sealed);
        }
    }

    #[test]
    fn keys_are_replaced_while_the_ring_is_in_use_and_never_by_none() {
        let ring = ring(&[OLD]);
        let sealed = ring.seal("x", "text");
        ring.replace(&[NEW, OLD]).expect("replaced");
        assert_eq!(ring.opened("x", &sealed).map(|opened| opened.newest), Some(false));
        ring.replace(&[NEW]).expect("replaced");
        assert_eq!(ring.open("x", &sealed), None);
        let none: [[u8; 64]; 0] = [];
        assert!(ring.replace(&none).is_err() && KeyRing::new(&none).is_err());
        assert!(ring.open("x", &ring.seal("x", "text")).is_some());
    }

    #[test]
    fn the_same_text_never_looks_the_same_and_a_text_over_the_limit_is_not_looked_at() {
        let ring = ring(&[NEW]);
        assert_ne!(ring.seal("x", "text"), ring.seal("x", "text"));
        assert!(ring.open("x", &ring.seal("x", &"t".repeat(3_000))).is_some());
        assert_eq!(ring.open("x", &ring.seal("x", &"t".repeat(3_100))), None);
    }
}
