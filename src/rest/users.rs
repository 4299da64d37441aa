//! `/api/users`: find people to talk to.

use actix_web::{HttpRequest, HttpResponse, web};

use super::ok;
use crate::{
    auth::{AuthContext, Rates},
    error::Error,
    hub::Node,
    wire::{
        rest::{self, UsersAnswer, UsersQuery},
        shape::UserShape,
    },
};

const RESULTS: u64 = 20;
const PREFIX_CHARS_MIN: usize = 2;
const PREFIX_CHARS_MAX: usize = 128;

/// `GET /api/users?q=`: by the beginning of an id or a name.
///
/// # Errors
/// `invalid`, `rate_limited`, or an outage.
pub async fn find(request: HttpRequest, who: AuthContext, node: web::Data<Node>) -> Result<HttpResponse, Error> {
    Rates::of(&request)?.search(who.user_id())?;
    let query: UsersQuery = rest::from_query(request.query_string())?;
    let prefix = query.q.trim();
    if !(PREFIX_CHARS_MIN..=PREFIX_CHARS_MAX).contains(&prefix.chars().count()) {
        return Err(Error::field("q", "must have 2 to 128 characters"));
    }
    let people = node.reads.people(prefix.to_owned(), RESULTS).await?;
    Ok(ok(&UsersAnswer { users: people.iter().map(UserShape::from).collect() }))
}
