//! Every wrong stack, and the probe that must notice it: the very service of the gateway, with layers missing, exchanged
//! or doubled, with routes missing and handlers that ask nobody who they are.

use std::{future::Future, pin::Pin, rc::Rc};

use actix_identity::IdentityMiddleware;
use actix_service::boxed::{RcService, rc_service};
use actix_session::SessionMiddleware;
use actix_web::{
    App, HttpResponse,
    body::BoxBody,
    dev::{Service, ServiceRequest, ServiceResponse, Transform},
    web,
};

use super::{
    super::{
        gateway::{AppRoutes, Gateway, identity},
        routes::{self, TABLE},
        stack,
        telemetry::Telemetry,
    },
    *,
};
use crate::auth::{AuthContextLayer, LoginSessions, Reseal, Witness};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    Telemetry,
    Session,
    Witness,
    Identity,
    AuthContext,
}

use Layer::{AuthContext, Identity, Session, Telemetry as ProbeResponse, Witness as Seen};

/// The right order, outside to inside.
const RIGHT: [Layer; 5] = [ProbeResponse, Session, Seen, Identity, AuthContext];

/// The real layers, in any number and order.
struct Mutant {
    order: Vec<Layer>,
    telemetry: Telemetry,
    session: Rc<(Reseal, SessionMiddleware<LoginSessions>)>,
    identity: Rc<IdentityMiddleware>,
    auth_context: Rc<AuthContextLayer>,
}

type Boxed = RcService<ServiceRequest, ServiceResponse<BoxBody>, actix_web::Error>;

impl Mutant {
    fn of(gateway: &Gateway, order: &[Layer]) -> Mutant {
        Mutant {
            order: order.to_vec(),
            telemetry: gateway.telemetry(),
            session: Rc::new(gateway.session()),
            identity: Rc::new(identity()),
            auth_context: Rc::new(gateway.auth_context()),
        }
    }
}

impl<S> Transform<S, ServiceRequest> for Mutant
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = actix_web::Error> + 'static,
    S::Future: 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = actix_web::Error;
    type InitError = ();
    type Transform = Boxed;
    type Future = Pin<Box<dyn Future<Output = Result<Boxed, ()>>>>;

    fn new_transform(&self, handlers: S) -> Self::Future {
        let (order, telemetry) = (self.order.clone(), self.telemetry);
        let (session, identity) = (Rc::clone(&self.session), Rc::clone(&self.identity));
        let auth_context = Rc::clone(&self.auth_context);
        Box::pin(async move {
            let mut inner: Boxed = rc_service(handlers);
            for layer in order.into_iter().rev() {
                inner = match layer {
                    Layer::Telemetry => rc_service(telemetry.new_transform(inner).await?),
                    Layer::Session => {
                        let (reseal, session) = &*session;
                        rc_service(reseal.new_transform(session.new_transform(inner).await?).await?)
                    }
                    Layer::Witness => rc_service(Witness.new_transform(inner).await?),
                    Layer::Identity => rc_service(identity.new_transform(inner).await?),
                    Layer::AuthContext => rc_service(auth_context.new_transform(inner).await?),
                };
            }
            Ok(inner)
        })
    }
}

/// The verdict on a stack of these layers, outside to inside.
async fn verdict(forge: &TestCredentials, order: &[Layer]) -> Option<String> {
    let app = forge.gateway.app(routes::configure).wrap(Mutant::of(&forge.gateway, order));
    verdict_on(forge, app).await
}

/// The verdict on an App with layers and routes.
async fn verdict_on<R: AppRoutes>(forge: &TestCredentials, app: App<R>) -> Option<String> {
    ask_all(forge, forge.gateway.http_service(app, |_: &DuplexStream, _| {}).await).await.expect("answers").verdict()
}

/// The verdict on each stack. Judged when the node has ended in good order: one that is dropped ends the process.
async fn verdicts<O: AsRef<[Layer]>>(orders: impl IntoIterator<Item = O>) -> Vec<(O, Option<String>)> {
    let forge = TestCredentials::new(&ProbeSettings::default()).await.expect("a node");
    let mut verdicts = Vec::new();
    for order in orders {
        let verdict = verdict(&forge, order.as_ref()).await;
        verdicts.push((order, verdict));
    }
    forge.end().await;
    verdicts
}

/// Every order of every choice of these layers.
fn orders(layers: &[Layer]) -> Vec<Vec<Layer>> {
    let mut all = vec![Vec::new()];
    for (at, layer) in layers.iter().enumerate() {
        let others = [&layers[..at], &layers[at + 1..]].concat();
        all.extend(orders(&others).into_iter().map(|rest| [&[*layer][..], &rest].concat()));
    }
    all
}

#[actix_web::test]
async fn of_every_order_and_choice_of_the_layers_only_the_right_one_passes() {
    let orders = orders(&RIGHT[1..]).into_iter().map(|inner| [&[ProbeResponse][..], &inner].concat());
    let verdicts = verdicts(orders).await;
    assert_eq!(verdicts.len(), 65, "each choice of four layers in each order");
    for (order, verdict) in verdicts {
        assert_eq!(verdict.is_none(), order == RIGHT, "{order:?}: {verdict:?}");
    }
}

#[actix_web::test]
async fn the_verdict_names_the_layer_that_is_missing_or_in_the_wrong_place() {
    let table: &[(&[Layer], &str)] = &[
        (&[Session, Seen, Identity, AuthContext], "The telemetry layer did not run"),
        (&[ProbeResponse, Seen, Identity, AuthContext], "The session layer did not run"),
        (&[ProbeResponse, Session, Identity, AuthContext], "The witness did not see the request"),
        (&[ProbeResponse, Session, Seen, AuthContext], "The identity layer did not run"),
        (&[ProbeResponse, Session, Seen, Identity], "The auth context layer did not run"),
        (&[ProbeResponse, Identity, Seen, Session, AuthContext], "the session layer did not run before the witness"),
        (&[ProbeResponse, Identity, Session, Seen, AuthContext], "The identity layer runs outside the session layer"),
        (&[ProbeResponse, Session, Identity, Seen, AuthContext], "The witness runs inside the identity layer"),
        (&[ProbeResponse, Seen, Session, Identity, AuthContext], "the session layer did not run before the witness"),
        (&[ProbeResponse, AuthContext, Seen, Identity, Session], "the session layer did not run before the auth context"),
        (&[ProbeResponse, Session, Seen, AuthContext, Identity], "The identity layer did not run"),
        (&[ProbeResponse, Session, AuthContext, Identity, Seen], "The witness did not see the request"),
        (&[ProbeResponse, Session, Seen, Identity, AuthContext, ProbeResponse], "The telemetry layer ran twice"),
        (&[Session, Seen, Identity, AuthContext, ProbeResponse], "The telemetry layer did not run"),
        (&[ProbeResponse, ProbeResponse, Session, Seen, Identity, AuthContext], "The telemetry layer ran twice"),
        (&[ProbeResponse, Session, Session, Seen, Identity, AuthContext], "The session layer ran twice"),
        (&[ProbeResponse, Session, Seen, Session, Identity, AuthContext], "The session layer ran twice"),
        (&[ProbeResponse, Session, Seen, Identity, AuthContext, AuthContext], "The auth context layer ran twice"),
    ];
    let verdicts = verdicts(table.iter().map(|(order, _)| *order)).await;
    for ((order, verdict), (_, named)) in verdicts.into_iter().zip(table) {
        let verdict = verdict.unwrap_or_else(|| panic!("{order:?} passed"));
        assert!(verdict.contains(named), "{order:?}: {verdict}");
    }
}

#[actix_web::test]
async fn a_second_witness_or_identity_layer_changes_no_answer() {
    let orders = [
        [ProbeResponse, Session, Seen, Seen, Identity, AuthContext],
        [ProbeResponse, Session, Seen, Identity, Identity, AuthContext],
    ];
    for (order, verdict) in verdicts(orders).await {
        assert_eq!(verdict, None, "{order:?}");
    }
}

/// One route, as the service would have it if somebody had forgotten something.
fn instead(route: &routes::Route, status: u16) -> impl FnOnce(&mut web::ServiceConfig) + use<> {
    let path = route.path;
    move |app: &mut web::ServiceConfig| {
        let answer = move || async move {
            let status = actix_web::http::StatusCode::from_u16(status).expect("a status");
            HttpResponse::build(status).finish()
        };
        // What is registered first answers: the table's own comes too late.
        app.service(web::resource(path).default_service(web::to(answer)));
        routes::configure(app);
    }
}

#[actix_web::test]
async fn a_route_that_is_missing_or_lets_anybody_in_is_noticed() {
    let forge = TestCredentials::new(&ProbeSettings::default()).await.expect("a node");
    let mut verdicts = Vec::new();
    for route in TABLE {
        // A handler that forgot to ask for its user answers 200; a route that was forgotten is 404.
        let wrong: &[u16] = if route.access.refusal().is_none() { &[404] } else { &[404, 200] };
        for status in wrong {
            let app = forge.gateway.app(instead(route, *status)).wrap(forge.gateway.stack()).wrap(forge.gateway.telemetry());
            verdicts.push((route, *status, verdict_on(&forge, app).await));
        }
    }
    forge.end().await;
    assert!(verdicts.len() > TABLE.len());
    for (route, status, verdict) in verdicts {
        let verdict = verdict.unwrap_or_else(|| panic!("{route:?} as {status} passed"));
        assert!(verdict.contains(route.path), "{route:?} as {status}: {verdict}");
    }
}

#[test]
fn the_layers_as_they_are_drawn_are_those_of_the_right_order() {
    // What is told to pages of other origins decides about nobody: it is no layer of these stacks.
    let drawn: Vec<&str> = stack::LAYERS.iter().map(|(name, _)| *name).filter(|name| *name != "crossing").collect();
    let right = RIGHT.map(|layer| match layer {
        Layer::Telemetry => "telemetry",
        Layer::Session => "session",
        Layer::Witness => "witness",
        Layer::Identity => "identity",
        Layer::AuthContext => "auth context",
    });
    assert_eq!(drawn, right);
}

#[actix_web::test]
async fn the_probe_shows_every_credential_to_every_kind_of_route() {
    let report = run(&ProbeSettings::default()).await.expect("a report");
    assert_eq!(report.verdict(), None);
    let shown = report.0.iter().filter(|check| matches!(check.question.part, Part::Credential(..))).count();
    assert_eq!(shown, CREDENTIALS.len() * KINDS.len());
}

#[actix_web::test]
async fn the_answers_follow_the_configured_limits_environment_and_query_tokens() {
    let got = |report: &Report, credential: &str| {
        let of = |check: &&Check| matches!(check.question.part, Part::Credential(shown, kind) if shown.name == credential && kind.name == "upgrade");
        report.0.iter().find(of).expect("an answer").got.to_string()
    };
    for environment in Environment::ALL {
        let manner = ProbeSettings { environment, query_tokens: false, ..ProbeSettings::default() };
        let report = run(&manner).await.expect("a report");
        assert_eq!(report.verdict(), None, "{environment:?}");
        assert_eq!((got(&report, "right query token"), got(&report, "right bearer")), ("401".to_owned(), "101".to_owned()));
    }
    let mut limits = Limits::default();
    for ((name, ..), least) in Limits::TABLE.iter().zip(Limits::LEAST) {
        limits.set(name, *least);
    }
    let report = run(&ProbeSettings { limits: limits.clone(), ..ProbeSettings::default() }).await.expect("a report");
    assert_eq!(report.verdict(), None, "the least of every limit lets a right credential in");
    assert_eq!(got(&report, "right query token"), "101");
    limits.set("poll_ms", i64::MAX.unsigned_abs());
    assert_eq!(
        run(&ProbeSettings { limits: limits.clone(), ..ProbeSettings::default() }).await.expect("a report").verdict(),
        None
    );
    limits.set("token_bytes", 1);
    let verdict = run(&ProbeSettings { limits, ..ProbeSettings::default() }).await.expect("a report").verdict();
    assert!(verdict.is_some_and(|verdict| verdict.contains("right bearer")), "no token fits");
}
