//! Parts of the configuration, for commands that need no more than these: a setting that is wrong or missing elsewhere is no
//! reason to refuse them. Names that are not known are, because one of them may be a setting that is needed.

use std::path::PathBuf;

use super::{
    Complaint, Config, Origin, OwnKey, Place, Sources,
    check::{self, Checker},
    issuers, read,
};
use crate::domain::Limits;

/// The database and the limits in force.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The database file.
    pub database: PathBuf,
    /// Every limit.
    pub limits: Limits,
}

/// What signs tokens, and where accounts are looked up.
#[derive(Debug, Clone)]
pub struct Signing {
    /// The own issuer's key.
    pub own_key: OwnKey,
    /// Where the key is written.
    pub key_place: Place,
    /// `iss` of own tokens.
    pub jwt_issuer: String,
    /// `aud` of own tokens.
    pub jwt_audience: String,
    /// Whether a verified token creates its user.
    pub create_users: bool,
    /// The database and the limits in force.
    pub store: Stored,
}

/// What is written, whether it is right or not.
#[derive(Debug, Clone)]
pub struct Survey {
    /// Each setting, limit and trusted issuer, its value and where that was written; secrets are masked.
    pub origins: Vec<Origin>,
    /// What is wrong.
    pub complaints: Vec<Complaint>,
}

impl Stored {
    /// Reads the settings of the store.
    ///
    /// # Errors
    /// Every complaint about these, not only the first.
    pub fn load(sources: &Sources) -> Result<Stored, Vec<Complaint>> {
        part(sources, |checker| checker.stored())
    }
}

impl Signing {
    /// Reads the settings of the own issuer and of the store.
    ///
    /// # Errors
    /// Every complaint about these, not only the first.
    pub fn load(sources: &Sources) -> Result<Signing, Vec<Complaint>> {
        part(sources, |checker| {
            // Without an own key there may be issuers whose tokens are taken; the caller says that none can be signed here.
            let own_key = checker.own_key(false);
            let key = if checker.written("jwt_secret").is_some() { "jwt_secret" } else { "jwt_private_key" };
            let (jwt_issuer, jwt_audience) = (checker.claim("jwt_issuer"), checker.claim("jwt_audience"));
            let (create_users, store) = (checker.flag("create_users"), checker.stored());
            let (own_key, create_users, store) = (own_key?, create_users?, store?);
            Some(Signing { own_key, key_place: checker.place(key), jwt_issuer, jwt_audience, create_users, store })
        })
    }
}

impl Config {
    /// Lists what is written, also where it is not valid.
    pub fn survey(sources: &Sources) -> Survey {
        let (values, mut complaints) = read::read(sources);
        let origins = match check::check(&values) {
            Ok(config) => config.origins,
            Err(more) => {
                complaints.extend(more);
                check::origins(&values, None)
            }
        };
        let issuers = values.trusted_issuers.iter().map(issuers::WrittenIssuer::origin);
        Survey { origins: origins.into_iter().chain(issuers).collect(), complaints }
    }
}

impl Checker<'_> {
    fn stored(&mut self) -> Option<Stored> {
        let (database, limits) = (self.database(), self.limits());
        Some(Stored { database: database?, limits: limits? })
    }
}

fn part<T>(sources: &Sources, judge: impl FnOnce(&mut Checker<'_>) -> Option<T>) -> Result<T, Vec<Complaint>> {
    let (values, mut complaints) = read::read(sources);
    let mut checker = Checker { values: &values, complaints: Vec::new() };
    let found = judge(&mut checker);
    complaints.append(&mut checker.complaints);
    match found {
        Some(found) if complaints.is_empty() => Ok(found),
        _ => Err(complaints),
    }
}
