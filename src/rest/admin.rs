//! `/api/admin`: what the permission `admin` may do.

use actix_web::{HttpResponse, web};

use super::{RestServices, close_ended, ok, unexpected_outcome};
use crate::{
    auth::AuthContext,
    domain::{LoginAct, LoginDone, Permission, UserId},
    error::{Code, Error},
    node::Node,
    wire::rest::RevokedAnswer,
};

/// `POST /api/admin/users/{id}/revoke`: signs a user out everywhere; who may sign in again.
///
/// # Errors
/// `forbidden`, `not_found`, or an outage.
pub async fn revoke(
    who: AuthContext,
    path: web::Path<String>,
    site: web::Data<RestServices>,
    node: web::Data<Node>,
) -> Result<HttpResponse, Error> {
    who.must_have(Permission::Admin)?;
    let nobody = || Error::new(Code::NotFound, "There is no such user.");
    let user = UserId::parse(&path).map_err(|_| nobody())?;
    match site.logins.act(LoginAct::Revoke { user, at: node.clock.now() }).await? {
        LoginDone::Ended { sessions } => Ok(ok(&RevokedAnswer { sockets: close_ended(&node).await?, sessions })),
        LoginDone::NoSuchUser => Err(nobody()),
        _ => Err(unexpected_outcome()),
    }
}
