//! Argon2id with the parameters OWASP recommends (19 MiB, 2 passes, 1 lane), in memory that its user keeps: blocks of
//! this size, freed by one thread after another, stay with the allocator for good.
//!
//! Decisions: `src/docs/decisions/memory.md`.

use std::fmt;

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};

use crate::error::{Code, Error};

/// What a new password is hashed with; a stored hash may ask for less, and never for more.
const OURS: Params = Params::DEFAULT;
const OUTPUT_BYTES: usize = Params::DEFAULT_OUTPUT_LEN;
const SALT_BYTES: usize = 16;

/// Memory for one hash at a time.
pub struct Memory(Vec<Block>);

impl Memory {
    /// As much as a hash takes.
    pub fn new() -> Memory {
        Memory(vec![Block::new(); OURS.block_count()])
    }
}

/// A stored hash that can be computed again.
pub struct Stored {
    argon2: Argon2<'static>,
    salt: Salt,
    output: Output,
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stored")
    }
}

impl Stored {
    /// From a PHC string; `None` if it is none, or takes more memory, passes or lanes than ours.
    pub fn parse(phc: &str) -> Option<Stored> {
        let hash = PasswordHash::new(phc).ok()?;
        let params = Params::try_from(&hash).ok()?;
        let within =
            params.m_cost() <= OURS.m_cost() && params.t_cost() <= OURS.t_cost() && params.p_cost() <= OURS.p_cost();
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
        let version = Version::try_from(hash.version?).ok()?;
        let (salt, output) = (hash.salt?, hash.hash?);
        within.then(|| Stored { argon2: Argon2::new(algorithm, version, params), salt, output })
    }

    /// Whether it is the hash of this password; compared in constant time.
    pub fn is_of(&self, password: &str, memory: &mut Memory) -> bool {
        let mut bytes = [0; Output::MAX_LENGTH];
        let bytes = &mut bytes[..self.output.len()];
        let hashed = self.argon2.hash_password_into_with_memory(password.as_bytes(), &self.salt, bytes, &mut memory.0);
        hashed.is_ok() && Output::new(bytes).is_ok_and(|output| output == self.output)
    }
}

/// Hashes a new password into a PHC string.
///
/// # Errors
/// If the random source fails.
pub fn hash(password: &str, memory: &mut Memory) -> Result<String, Error> {
    let failed = || Error::new(Code::Internal, "The password could not be hashed.");
    let (mut salt, mut bytes) = ([0; SALT_BYTES], [0; OUTPUT_BYTES]);
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| failed())?;
    let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
    let argon2 = Argon2::new(algorithm, version, OURS);
    argon2.hash_password_into_with_memory(password.as_bytes(), &salt, &mut bytes, &mut memory.0).map_err(|_| failed())?;
    let hash = PasswordHash {
        algorithm: algorithm.ident(),
        version: Some(version.into()),
        params: ParamsString::try_from(&OURS).map_err(|_| failed())?,
        salt: Some(Salt::new(&salt).map_err(|_| failed())?),
        hash: Some(Output::new(&bytes).map_err(|_| failed())?),
    };
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_was_used_for_one_password_says_nothing_of_the_next() {
        let mut memory = Memory::new();
        let hashes = ["correct horse", "battery staple"].map(|password| hash(password, &mut memory).expect("a hash"));
        let [one, other] = hashes.each_ref().map(|phc| Stored::parse(phc).expect("ours"));
        assert!(one.is_of("correct horse", &mut memory) && other.is_of("battery staple", &mut memory));
        assert!(!one.is_of("battery staple", &mut memory) && !other.is_of("correct horse", &mut memory));
        assert!(one.is_of("correct horse", &mut Memory::new()));
    }

    #[test]
    fn a_stored_hash_is_computed_with_its_own_parameters_and_refused_where_they_are_larger_than_ours() {
        let phc = |m: u32, t: u32, p: u32| {
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(m, t, p, None).expect("parameters"));
            argon2::PasswordHasher::hash_password(&argon2, b"correct horse").expect("a hash").to_string()
        };
        let mut memory = Memory::new();
        for (m, t) in [(19_456, 2), (19_456, 1), (64, 2), (9, 1)] {
            let stored = Stored::parse(&phc(m, t, 1)).expect("within ours");
            assert!(stored.is_of("correct horse", &mut memory), "{m} {t}");
            assert!(!stored.is_of("correct horsE", &mut memory), "{m} {t}");
        }
        for (m, t, p) in [(19_457, 2, 1), (64, 3, 1), (64, 1, 2)] {
            assert!(Stored::parse(&phc(m, t, p)).is_none(), "{m} {t} {p}");
        }
        let whole = phc(64, 1, 1);
        let without_output = whole.rsplit_once('$').expect("an output").0;
        for broken in ["", "x", "$argon2id$v=19", without_output, &whole.replace("argon2id", "scrypt")] {
            assert!(Stored::parse(broken).is_none(), "{broken}");
        }
    }
}
