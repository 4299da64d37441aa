//! Extraction of the credentials that a request presents, before anything is verified: at most one explicit credential, and the session
//! cookie.

use actix_identity::{IdentityExt, error::GetIdentityError};
use actix_session::SessionExt;
use actix_web::{
    dev::ServiceRequest,
    http::header::{AUTHORIZATION, HeaderMap, HeaderValue, SEC_WEBSOCKET_PROTOCOL},
    web::Query,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Method, session, witness};
use crate::{
    domain::{Credential, SessionId, Time, UserId, logins::SESSION_MAX},
    error::{Code, Error},
};

/// The subprotocol that an answer names, so that it never names the token beside it.
pub const SUBPROTOCOL: &str = "jwt-auth";
/// What stands before the token in the list of subprotocols.
const SUBPROTOCOL_TOKEN: &str = "jwt.";

/// Credentials that a path accepts in addition to the cookie and a bearer token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AcceptedCredentials {
    /// `Sec-WebSocket-Protocol`.
    pub subprotocol: bool,
    /// `?token=`.
    pub query_token: bool,
    /// `?ticket=`.
    pub ticket: bool,
    /// Whether a ticket is read without being consumed.
    pub peek_only: bool,
    /// Whether the request is an upgrade. Then a foreign origin is refused although the method is safe.
    pub upgrades: bool,
    /// Whether the response may be held open, which uses one of the user's connections.
    pub streams: bool,
}

/// A token or ticket as it was presented, or the reason why it cannot be read.
pub(super) type Presented = Result<String, &'static str>;

/// The credentials of one request, not verified.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PresentedCredentials {
    /// Tokens and tickets by method. One that the path does not accept, or that cannot be read, is refused; there is no fallback.
    pub explicit: Vec<(Method, Presented)>,
    /// Credential of the session cookie, and when it expires.
    pub cookie: Option<(Credential, Time)>,
}

impl PresentedCredentials {
    /// Reads the credentials of a request.
    ///
    /// # Errors
    /// `internal`, if the session layer or the identity layer could not say who is signed in.
    pub fn of(request: &ServiceRequest, accepted: AcceptedCredentials) -> Result<PresentedCredentials, Error> {
        let explicit = explicit(request.headers(), request.query_string(), accepted);
        Ok(PresentedCredentials { explicit, cookie: cookie(request)? })
    }
}

/// Every explicit credential of a head.
pub(super) fn explicit(headers: &HeaderMap, query: &str, accepted: AcceptedCredentials) -> Vec<(Method, Presented)> {
    let authorizations = headers.get_all(AUTHORIZATION).map(HeaderValue::as_bytes).filter(|value| !of_another_scheme(value));
    let bearers = authorizations.map(|value| (Method::Bearer, bearer(value).ok_or(BEARER)));
    let mut explicit: Vec<_> = bearers.collect();
    // Decoded as handlers decode it: a name in percent-encoding is still that name.
    let pairs = Query::<Vec<(String, String)>>::from_query(query).map(Query::into_inner);
    let Ok(pairs) = pairs else {
        explicit.push((Method::QueryToken, Err("The query cannot be read: write it in percent-encoding.")));
        return explicit;
    };
    for (name, value) in pairs {
        match name.as_str() {
            "token" => explicit.push((Method::QueryToken, if accepted.query_token { Ok(value) } else { Err(SOCKET_ONLY) })),
            "ticket" => explicit.push((Method::Ticket, if accepted.ticket { Ok(value) } else { Err(TICKET) })),
            _ => {}
        }
    }
    let offered = subprotocols(headers, explicit.is_empty()).into_iter();
    explicit.extend(offered.map(|shown| (Method::Subprotocol, if accepted.subprotocol { shown } else { Err(SOCKET_ONLY) })));
    explicit
}

const BEARER: &str = "Write the header as `Authorization: Bearer`, a space, and the token.";
const SOCKET_ONLY: &str = "Only the socket takes a token in the query or as a subprotocol, and in the query only if the server is set so. Send it as `Authorization: Bearer`.";
const TICKET: &str = "A ticket opens a socket or the stream of events, and nothing else.";
const OFFER: &str = "Offer two subprotocols: `jwt-auth`, and `jwt.` followed by the token in base64url (RFC 4648 section 5) without padding.";

/// Whether an `Authorization` is in another scheme than Bearer, like `Basic YTpi`: it is for a proxy in front of the server, and
/// as good as absent here. A value without a scheme is a bearer token that was sent wrongly, and is refused.
fn of_another_scheme(value: &[u8]) -> bool {
    let token = |scheme: &str| !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let scheme = std::str::from_utf8(value).ok().and_then(|value| value.split_once(' '));
    scheme.is_some_and(|(scheme, _)| token(scheme) && !scheme.eq_ignore_ascii_case("bearer"))
}

/// RFC 6750 section 2.1.
fn bearer(value: &[u8]) -> Option<String> {
    let (scheme, token) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

/// Whether a client offers the subprotocol that an answer names.
pub fn offers_subprotocol(headers: &HeaderMap) -> bool {
    offered(headers).any(|offer| offer == SUBPROTOCOL)
}

fn offered(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lists = headers.get_all(SEC_WEBSOCKET_PROTOCOL).map(|value| value.to_str().unwrap_or(SUBPROTOCOL_TOKEN));
    lists.flat_map(|list| list.split(',')).map(str::trim)
}

/// The tokens among the subprotocols; a request that names only one half of the pair has one that cannot be read. Beside
/// another explicit way (`alone` is false) the name without a token only says which protocol the client speaks.
fn subprotocols(headers: &HeaderMap, alone: bool) -> Vec<Presented> {
    let offered: Vec<&str> = offered(headers).collect();
    let named = offered.contains(&SUBPROTOCOL);
    let tokens: Vec<Presented> = offered
        .iter()
        .filter_map(|offer| offer.strip_prefix(SUBPROTOCOL_TOKEN))
        .map(|text| decoded(text).filter(|token| named && !token.is_empty()).ok_or(OFFER))
        .collect();
    if tokens.is_empty() && named && alone { vec![Err(OFFER)] } else { tokens }
}

fn decoded(text: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

/// Who the session cookie says, as the identity layer left it.
fn cookie(request: &ServiceRequest) -> Result<Option<(Credential, Time)>, Error> {
    let broken = || Error::new(Code::Internal, "The session could not be read.");
    let user = match request.get_identity().and_then(|identity| identity.id()) {
        Ok(user) => user,
        // The one case that means: nobody is signed in.
        Err(GetIdentityError::MissingIdentityError(_)) => return Ok(None),
        Err(_) => return Err(broken()),
    };
    if witness::user(request).as_ref() != Some(&user) {
        let detail = "The witness saw no session of this user: the session layer did not run before the witness.";
        return Err(Error::new(Code::StackBroken, detail));
    }
    let state = request.get_session();
    let login = state.get::<i64>(session::LOGIN_TIME_KEY).map_err(|_| broken())?.ok_or_else(broken)?;
    let session_id = state.get::<String>(session::SESSION_ID_KEY).map_err(|_| broken())?.ok_or_else(broken)?;
    let session = SessionId::parse(&session_id).map_err(|_| broken())?;
    let user = UserId::parse(&user).map_err(|_| broken())?;
    let credential = Credential { session: Some(session), ..Credential::of(user) };
    Ok(Some((credential, Time::from_seconds(login).plus(SESSION_MAX))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: AcceptedCredentials = AcceptedCredentials {
        subprotocol: true,
        query_token: true,
        ticket: true,
        peek_only: false,
        upgrades: true,
        streams: false,
    };

    fn with(name: &str, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            let name = actix_web::http::header::HeaderName::try_from(name).expect("a header name");
            headers.append(name, HeaderValue::from_str(value).expect("a header value"));
        }
        headers
    }

    #[test]
    fn each_way_is_found_in_its_place_and_a_malformed_one_is_never_overlooked() {
        let encoded = format!("jwt.{}", URL_SAFE_NO_PAD.encode("a.b.c"));
        let offers: [(&[&str], &[&str]); 9] = [
            (&[&format!("jwt-auth, {encoded}")], &["a.b.c"]),
            (&["jwt-auth", &encoded], &["a.b.c"]),
            (&[&format!("{encoded},jwt-auth")], &["a.b.c"]),
            (&[&encoded], &[""]),
            (&["jwt-auth"], &[""]),
            (&["jwt-auth, jwt.%%%"], &[""]),
            (&["jwt-auth, jwt."], &[""]),
            (&[&format!("jwt-auth, {encoded}, {encoded}")], &["a.b.c", "a.b.c"]),
            (&["chat, superchat"], &[]),
        ];
        for (values, expected) in offers {
            let found = explicit(&with("sec-websocket-protocol", values), "", ALL);
            let shown = |text: &str| if text.is_empty() { Err(OFFER) } else { Ok(text.to_owned()) };
            let expected: Vec<_> = expected.iter().map(|text| (Method::Subprotocol, shown(text))).collect();
            assert_eq!(found, expected, "{values:?}");
        }
        for (value, expected) in
            [("Bearer a.b.c", "a.b.c"), ("bearer  a", "a"), ("Bearer", ""), ("", ""), ("a.b.c", ""), ("a.b.c d", "")]
        {
            let found = explicit(&with("authorization", &[value]), "", ALL);
            let expected = if expected.is_empty() { Err(BEARER) } else { Ok(expected.to_owned()) };
            assert_eq!(found, [(Method::Bearer, expected)], "{value:?}");
        }
        for value in ["Basic YTpi", "Digest a=\"b\", c=d", "Negotiate x", "OAuth-2 x"] {
            assert_eq!(explicit(&with("authorization", &[value]), "", ALL), [], "{value:?}");
        }
        let both = explicit(&with("authorization", &["Basic YTpi", "Bearer a"]), "", ALL);
        assert_eq!(both, [(Method::Bearer, Ok("a".to_owned()))]);
        let mut beside = with("sec-websocket-protocol", &["jwt-auth"]);
        assert_eq!(explicit(&beside, "ticket=t", ALL), [(Method::Ticket, Ok("t".to_owned()))]);
        beside.append(AUTHORIZATION, HeaderValue::from_static("Bearer a.b.c"));
        assert_eq!(explicit(&beside, "", ALL), [(Method::Bearer, Ok("a.b.c".to_owned()))]);
        beside.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("jwt.%"));
        assert_eq!(explicit(&beside, "", ALL).len(), 2, "a token beside a token is one too many");
        let none = AcceptedCredentials::default();
        let query = |query, accepted| explicit(&HeaderMap::new(), query, accepted);
        let misplaced = [(Method::QueryToken, Err(SOCKET_ONLY)), (Method::Ticket, Err(TICKET))];
        assert_eq!(query("token=a&x=1&ticket=b", none), misplaced);
        assert_eq!(query("ticket", ALL), [(Method::Ticket, Ok(String::new()))]);
        assert_eq!(query("%74oken=a%2Eb", ALL), [(Method::QueryToken, Ok("a.b".to_owned()))]);
        assert_eq!(query("tic%6Bet=a&%ff=%", none), [(Method::Ticket, Err(TICKET))]);
    }

    proptest! {
        #[test]
        fn whatever_a_head_holds_is_read_without_a_panic_and_no_way_makes_up_a_token(
            bearer in "[ -~]{0,64}", offers in "[ -~]{0,64}", query in "((token|ticket)=)?[!-$&-*,-~]{0,64}"
        ) {
            let mut headers = with("authorization", &[&bearer]);
            headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_str(&offers).expect("a header value"));
            for (method, shown) in explicit(&headers, &query, ALL) {
                let Ok(text) = shown else { continue };
                match method {
                    Method::Bearer => prop_assert!(bearer.contains(&text)),
                    Method::Subprotocol => prop_assert!(offers.contains(&URL_SAFE_NO_PAD.encode(&text))),
                    _ => prop_assert!(query.contains(&text)),
                }
            }
        }

        #[test]
        fn any_token_travels_as_a_subprotocol(token in "\\PC{1,64}") {
            let offer = format!("jwt-auth, jwt.{}", URL_SAFE_NO_PAD.encode(&token));
            let found = explicit(&with("sec-websocket-protocol", &[&offer]), "", ALL);
            prop_assert_eq!(found, vec![(Method::Subprotocol, Ok(token))]);
        }
    }
}
