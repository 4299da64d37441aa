//! `/api/auth/oidc`: sign-in at the configured provider. Browsers come here by links and redirects, so every end is a
//! redirect to the page, which says a failure in words.

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    cookie::Cookie,
    http::{Method, header},
    web,
};
use serde::Deserialize;

use super::{RestServices, auth, unexpected_outcome};
use crate::{
    auth::{Provider, Rates, oidc::LoginFlow, provider_error},
    domain::{LoginAct, LoginDone, Reading, RequestId, Time},
    error::{Code, Error},
    node::Node,
};

/// Longest code or state that is looked at, in bytes.
const PART_BYTES_MAX: usize = 4_096;

/// What is said by a way to sign in that only some servers have.
pub const NOT_SET_UP: &str = "This way to sign in is not set up here.";

/// What a provider sends back with somebody (RFC 6749 section 4.1.2). Providers add more; that is ignored.
#[derive(Deserialize)]
pub struct Back {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
}

/// `GET /api/auth/oidc/login`: to the provider.
///
/// # Errors
/// `not_found` where no provider is set.
pub async fn login(
    request: HttpRequest,
    site: web::Data<RestServices>,
    node: web::Data<Node>,
) -> Result<HttpResponse, Error> {
    let provider = provider(&site)?;
    let now = node.clock.now();
    Ok(match provider.send(node.clock.uptime()).await {
        Ok((url, flow)) => match node.reads.last_ending().await {
            Ok(revocations) => see_other(&url, &[site.login_flows.pack(&flow, revocations, now)]),
            Err(outage) => failed(&request, provider, &outage.into(), &[]),
        },
        Err(error) => failed(&request, provider, &error, &[]),
    })
}

/// `GET /api/auth/oidc/callback`: back from the provider, signed in or not.
///
/// # Errors
/// `not_found` where no provider is set.
pub async fn callback(
    request: HttpRequest,
    query: Option<web::Query<Back>>,
    site: web::Data<RestServices>,
    node: web::Data<Node>,
) -> Result<HttpResponse, Error> {
    let provider = provider(&site)?;
    if request.method() == Method::HEAD {
        // A code can be used once, and HEAD must change nothing.
        return Ok(see_other("/", &[]));
    }
    let now = node.clock.read();
    let signed_in = match code(&request, query.map(web::Query::into_inner), &site, now.wall) {
        Ok((code, flow)) => sign_in(&request, provider, &site, code, &flow, now).await,
        Err(error) => Err(error),
    };
    let over = site.login_flows.end();
    Ok(match signed_in {
        Ok(browser) => see_other("/", &[browser, over]),
        Err(error) => failed(&request, provider, &error, &[over]),
    })
}

fn provider(site: &RestServices) -> Result<&Provider, Error> {
    site.oidc.as_deref().ok_or_else(|| Error::new(Code::NotFound, NOT_SET_UP))
}

/// The code of a browser that comes back from where this server sent it.
fn code(
    request: &HttpRequest,
    back: Option<Back>,
    site: &RestServices,
    now: Time,
) -> Result<(String, (LoginFlow, u64)), Error> {
    let unreadable = |what| Err(Error::new(Code::Invalid, what));
    let Some(back) = back else { return unreadable("What the provider sent back with the browser cannot be read.") };
    let flow = site.login_flows.unpack(request, back.state.as_deref().unwrap_or_default(), now)?;
    match back {
        Back { error: Some(named), .. } => Err(provider_error(&named)),
        Back { code: Some(code), .. } if (1..=PART_BYTES_MAX).contains(&code.len()) => Ok((code, flow)),
        _ => unreadable("The provider sent the browser back with no `code`, or with one that is too long."),
    }
}

async fn sign_in(
    request: &HttpRequest,
    provider: &Provider,
    site: &RestServices,
    code: String,
    (flow, after): &(LoginFlow, u64),
    now: Reading,
) -> Result<Cookie<'static>, Error> {
    let attempt = Rates::of(request)?.sign_in(request)?;
    let subject = match provider.settle(code, flow, now).await {
        Ok(subject) => subject,
        Err(error) => {
            // Nobody judged the code.
            if error.code.retryable() {
                attempt.forgive();
            }
            return Err(error);
        }
    };
    attempt.forgive();
    let linked = site.logins.act(LoginAct::LinkSubject { subject, after: *after, at: now.wall }).await?;
    let account = match linked {
        LoginDone::Linked(account) => account,
        LoginDone::TooLate => {
            let late = "The person was signed out everywhere after this sign-in began.";
            return Err(Error::new(Code::SignInLost, late));
        }
        _ => return Err(unexpected_outcome()),
    };
    let taken = || Error::new(Code::SignInRefused, "Every user id that the person could have is somebody else's.");
    // With the login epoch of that commit: if the user is revoked from here on, the session is not saved.
    let account = account.ok_or_else(taken)?;
    if account.disabled {
        return Err(Code::Disabled.into());
    }
    auth::renew(request, site, &account, now.wall).map(|renewed| renewed.browser)
}

/// Sends the browser back to the page, which shows the code in words. The reason is for the operator: it is logged here and
/// nowhere else, and names claims and parts of answers, never what they hold.
fn failed(request: &HttpRequest, provider: &Provider, error: &Error, cookies: &[Cookie<'static>]) -> HttpResponse {
    let extensions = request.extensions();
    let request_id = extensions.get::<RequestId>().map_or("", |id| &*id.0);
    // Anybody can cause these by opening the address; the others need an answer of the provider.
    let by_browser = matches!(error.code, Code::SignInLost | Code::Invalid | Code::RateLimited);
    let level = if by_browser { log::Level::Info } else { log::Level::Warn };
    let (issuer, code) = (provider.issuer(), error.code.name());
    log::log!(level, request_id, code; "a sign-in at {issuer} failed: {}", error.detail);
    see_other(&format!("/#signin-error={}", error.code.name()), cookies)
}

fn see_other(place: &str, cookies: &[Cookie<'static>]) -> HttpResponse {
    let mut response = HttpResponse::SeeOther();
    response.insert_header((header::CACHE_CONTROL, "no-store")).insert_header((header::LOCATION, place));
    for cookie in cookies {
        response.cookie(cookie.clone());
    }
    response.finish()
}
