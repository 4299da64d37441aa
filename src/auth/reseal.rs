//! The re-sealing layer, directly outside the session layer, which knows one key only. It opens the cookie that came
//! with any key of the ring and seals it again under a key of this process; on the way out the other way round, with
//! the ring's newest. So the session's key can be replaced without signing anybody out.
//!
//! A cookie that nobody here sealed is passed on as no cookie.
//!
//! Decisions: `src/docs/decisions/sessions.md`.

use std::{
    future::{Future, Ready, ready},
    pin::Pin,
    rc::Rc,
    str,
    sync::Arc,
};

use actix_session::{
    SessionMiddleware,
    config::{CookieContentSecurity, PersistentSession},
    storage::SessionStore,
};
use actix_web::{
    Error, HttpRequest,
    cookie::{Cookie, CookieJar, Key, SameSite, time},
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
    http::header::{CACHE_CONTROL, COOKIE, HeaderMap, HeaderValue, SET_COOKIE},
};

use super::{AuthOutcome, Cookies, KeyRing, Method, keyring::Opened};
use crate::{
    domain::{Clock, logins::SESSION_MAX},
    error::{self, Code},
};

/// The session cookie's name, without a prefix.
const NAME: &str = "hailgate";
/// What the ring seals the session's key for.
const PURPOSE: &str = "session";

/// The layer, and the one who makes the session layer that fits inside it.
#[derive(Clone)]
pub struct Reseal {
    parts: Rc<Parts>,
}

struct Parts {
    ring: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    cookies: Cookies,
    name: String,
    /// What the session layer seals with: of this layer alone, never seen outside.
    inner: Key,
}

impl Reseal {
    /// With the keys that seal what leaves the server.
    pub fn new(ring: Arc<KeyRing>, clock: Arc<dyn Clock>, cookies: Cookies) -> Reseal {
        let name = cookies.name(NAME);
        Reseal { parts: Rc::new(Parts { ring, clock, cookies, name, inner: Key::generate() }) }
    }

    /// The session layer that belongs inside this one.
    pub fn session_layer<St: SessionStore>(&self, sessions: St) -> SessionMiddleware<St> {
        let Parts { cookies, name, inner, .. } = &*self.parts;
        let lifetime = time::Duration::seconds(i64::try_from(SESSION_MAX.as_secs()).unwrap_or(i64::MAX));
        SessionMiddleware::builder(sessions, inner.clone())
            .cookie_name(name.clone())
            .cookie_secure(cookies.secure)
            .cookie_http_only(true)
            .cookie_same_site(SameSite::Lax)
            .cookie_content_security(CookieContentSecurity::Private)
            .session_lifecycle(PersistentSession::default().session_ttl(lifetime))
            .build()
    }
}

/// A session's key as a browser gets it: `name=value`.
pub fn session_cookie(ring: &KeyRing, cookies: Cookies, key: &str) -> String {
    format!("{}={}", cookies.name(NAME), ring.seal(PURPOSE, key))
}

impl Parts {
    /// Rewrites the `Cookie` header for the session layer; what came, if it was sealed here.
    fn enter(&self, headers: &mut HeaderMap) -> Option<Opened> {
        let mut came: Option<Option<Opened>> = None;
        let mut kept = Vec::new();
        for header in headers.get_all(COOKIE) {
            for part in header.as_bytes().split(|byte| *byte == b';') {
                let part = part.trim_ascii();
                // One that cannot be read would make the framework read none of them.
                let Some(cookie) = str::from_utf8(part).ok().and_then(|text| Cookie::parse_encoded(text).ok()) else {
                    continue;
                };
                // The library decodes names, and browsers know the prefix by its very letters: whoever may set cookies for
                // a neighbour must not set this one by another spelling.
                let spelt = part.split(|byte| *byte == b'=').next().unwrap_or_default();
                if spelt != cookie.name().as_bytes() {
                    continue;
                }
                if cookie.name() == self.name {
                    // Of two, nobody can say which the browser means.
                    came = Some(if came.is_none() { self.ring.opened(PURPOSE, cookie.value()) } else { None });
                } else {
                    kept.push(part.to_vec());
                }
            }
        }
        let came = came.flatten();
        if let Some(opened) = &came {
            let mut jar = CookieJar::new();
            jar.private_mut(&self.inner).add(Cookie::new(self.name.clone(), opened.text.clone()));
            // Before the others, so that none of them is taken for it.
            kept.splice(0..0, jar.get(&self.name).map(|cookie| cookie.encoded().to_string().into_bytes()));
        }
        headers.remove(COOKIE);
        if let Ok(value) = HeaderValue::from_bytes(&kept.join(&b"; "[..])) {
            headers.insert(COOKIE, value);
        }
        came
    }

    /// Seals what the session layer sets with the newest key; sets again what came under an older one.
    fn leave(&self, request: &HttpRequest, headers: &mut HeaderMap, came: Option<Opened>) -> Result<(), Error> {
        let set: Vec<HeaderValue> = headers.remove(SET_COOKIE).collect();
        let mut told = false;
        for value in set {
            let ours = str::from_utf8(value.as_bytes()).ok().and_then(|text| Cookie::parse_encoded(text).ok());
            match ours.filter(|cookie| cookie.name() == self.name) {
                None => headers.append(SET_COOKIE, value),
                Some(cookie) => {
                    told = true;
                    headers.append(SET_COOKIE, self.outgoing(cookie.into_owned())?);
                }
            }
        }
        if !told && let Some(again) = came.filter(|opened| !opened.newest).and_then(|old| self.again(request, &old)) {
            headers.append(SET_COOKIE, value(&again)?);
        }
        if headers.contains_key(SET_COOKIE) {
            // A cache between us and the browser must not hand it to the next who asks.
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        Ok(())
    }

    fn outgoing(&self, mut cookie: Cookie<'static>) -> Result<HeaderValue, Error> {
        // An empty one makes the browser forget it.
        if !cookie.value().is_empty() {
            let mut jar = CookieJar::new();
            jar.add_original(cookie.clone());
            let key = jar.private(&self.inner).get(&self.name).ok_or_else(broken)?;
            cookie.set_value(self.ring.seal(PURPOSE, key.value()));
        }
        value(&cookie)
    }

    /// The same cookie under the newest key, until the login ends; only where it really was a login.
    fn again(&self, request: &HttpRequest, old: &Opened) -> Option<Cookie<'static>> {
        let who = AuthOutcome::of(request).ok()?.who().ok().filter(|who| who.method() == Method::Session)?;
        let left = who.expires_at().since(self.clock.now());
        (!left.is_zero()).then(|| self.cookies.make(NAME, self.ring.seal(PURPOSE, &old.text), left))
    }
}

fn value(cookie: &Cookie<'_>) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(&cookie.encoded().to_string()).map_err(|_| broken())
}

fn broken() -> Error {
    error::Error::new(Code::StackBroken, "The session layer set a cookie that the layer around it cannot open.").into()
}

impl<S, B> Transform<S, ServiceRequest> for Reseal
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type InitError = ();
    type Transform = ResealService<S>;
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(ResealService { service, parts: Rc::clone(&self.parts) }))
    }
}

/// The layer in place.
pub struct ResealService<S> {
    service: S,
    parts: Rc<Parts>,
}

impl<S, B> Service<ServiceRequest> for ResealService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>>>>;

    forward_ready!(service);

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        let came = if request.headers().contains_key(COOKIE) { self.parts.enter(request.headers_mut()) } else { None };
        let (answered, parts) = (self.service.call(request), Rc::clone(&self.parts));
        Box::pin(async move {
            let (request, mut response) = answered.await?.into_parts();
            parts.leave(&request, response.headers_mut(), came)?;
            Ok(ServiceResponse::new(request, response))
        })
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Time, Uptime};

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Time {
            Time(0)
        }

        fn uptime(&self) -> Uptime {
            Uptime(0)
        }
    }

    fn parts(secrets: &[[u8; 64]]) -> Rc<Parts> {
        let ring = Arc::new(KeyRing::new(secrets).expect("a ring"));
        Reseal::new(ring, Arc::new(Still), Cookies { secure: false }).parts
    }

    fn headers(cookies: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(COOKIE, HeaderValue::from_bytes(cookie).expect("a header value"));
        }
        headers
    }

    /// What the session layer inside would find in a header.
    fn found(parts: &Parts, headers: &HeaderMap) -> Option<String> {
        let request = headers.get_all(COOKIE).fold(TestRequest::default(), |r, v| r.append_header((COOKIE, v.clone())));
        let cookie = request.to_http_request().cookie(&parts.name)?;
        let mut jar = CookieJar::new();
        jar.add_original(cookie);
        jar.private(&parts.inner).get(&parts.name).map(|cookie| cookie.value().to_owned())
    }

    proptest! {
        #[test]
        fn no_cookie_text_panics_or_opens_a_session(texts in prop::collection::vec("[ -~\u{80}-\u{ff}]{0,80}", 0..4)) {
            let parts = parts(&[[1; 64]]);
            let bytes: Vec<Vec<u8>> = texts.iter().map(|text| format!("hailgate={text}; {text}").into_bytes()).collect();
            let mut headers = headers(&bytes.iter().map(Vec::as_slice).collect::<Vec<_>>());
            prop_assert_eq!(parts.enter(&mut headers), None);
            prop_assert_eq!(found(&parts, &headers), None);
        }
    }

    #[test]
    fn a_session_is_found_whatever_stands_around_its_cookie_and_others_stay() {
        let (old, parts) = (parts(&[[1; 64]]), parts(&[[2; 64], [1; 64]]));
        for (ring, newest) in [(&old.ring, false), (&parts.ring, true)] {
            let ours = session_cookie(ring, Cookies { secure: false }, "the key");
            for around in ["@", "a=b; @", "@; a=b", "a=\u{fc}; @", "x; ;; @;", "hailgate%3D=x; @", "%68ailgate=x; @"] {
                let mut headers = headers(&[around.replace('@', &ours).as_bytes()]);
                let came = parts.enter(&mut headers);
                assert_eq!(came.map(|opened| opened.newest), Some(newest), "{around}");
                assert!(found(&parts, &headers).is_some(), "{around}");
                let kept = headers.get_all(COOKIE).any(|value| value.to_str().is_ok_and(|text| text.contains("a=b")));
                assert_eq!(kept, around.contains("a=b"), "{around}");
            }
        }
        let mut two = headers(&[b"hailgate=forged", session_cookie(&parts.ring, Cookies { secure: false }, "x").as_bytes()]);
        assert_eq!(parts.enter(&mut two), None, "of two none counts");
        for spelt in ["__Host%2Dhailgate", "%5F_Host-hailgate", "\u{2000}__Host-hailgate", "__Host-hailgate\u{a0}"] {
            let ring = Arc::new(KeyRing::new(&[[2; 64]]).expect("a ring"));
            let parts = Reseal::new(ring, Arc::new(Still), Cookies { secure: true }).parts;
            let sealed = parts.ring.seal(PURPOSE, "x");
            let mut other = headers(&[format!("{spelt}={sealed}").as_bytes()]);
            assert_eq!(parts.enter(&mut other), None, "{spelt:?} is another name");
            assert!(other.get(COOKIE).is_none_or(HeaderValue::is_empty), "{spelt:?} goes no further");
        }
    }

    #[test]
    fn what_the_session_layer_sets_leaves_under_the_newest_key_with_its_attributes() {
        let parts = parts(&[[2; 64], [1; 64]]);
        let mut jar = CookieJar::new();
        let life = std::time::Duration::from_secs(60);
        jar.private_mut(&parts.inner).add(parts.cookies.make(NAME, "the key".to_owned(), life));
        let inner = jar.get(&parts.name).expect("a cookie").encoded().to_string();
        let mut headers = HeaderMap::new();
        for text in ["other=1; Path=/", &inner] {
            headers.append(SET_COOKIE, HeaderValue::from_str(text).expect("a header value"));
        }
        parts.leave(&TestRequest::default().to_http_request(), &mut headers, None).expect("sealed");
        let set: Vec<&str> = headers.get_all(SET_COOKIE).map(|value| value.to_str().expect("text")).collect();
        assert_eq!(set[0], "other=1; Path=/");
        let (pair, attributes) = set[1].split_once("; ").expect("attributes");
        assert_eq!(attributes, "HttpOnly; SameSite=Lax; Path=/; Max-Age=60");
        let sealed = pair.strip_prefix("hailgate=").expect("its name");
        assert_eq!(KeyRing::new(&[[2; 64]]).expect("a ring").open(PURPOSE, sealed).as_deref(), Some("the key"));
    }
}
