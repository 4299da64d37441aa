//! The gateway: a node with its HTTP service, assembled from settings. The port and the probe get the same one.

use std::{
    future::ready,
    rc::Rc,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use actix_http::{Extensions, HttpService, Request, h1};
use actix_identity::IdentityMiddleware;
use actix_service::{Service, ServiceFactory, fn_factory, map_config};
use actix_session::SessionMiddleware;
use actix_web::{
    App,
    body::BoxBody,
    dev::{AppConfig, ServiceRequest, ServiceResponse},
    web,
};
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::watch;

use super::{cors::CorsLayer, routes, stack::Stack, telemetry::Telemetry};
use crate::{
    auth::{
        AcceptedCredentials, Addresses, AuthContextLayer, Cookies, Judge, KeyRing, KnownBrowsers, LoginFlowCookies,
        LoginSessions, Origins, Passwords, Provider, Rates, Reseal, Tokens, last_use::LastUseRecorder,
    },
    backplane::local::Local,
    domain::{Clock, Limits, Logins, Time, Uptime, UserId, logins::SESSION_MAX},
    error::Error,
    node::{Accounts, Node, Parts},
    rest::{RestServices, system::Canary},
    socket::{
        Wire,
        upgrade::{self, UpgradeFactory},
    },
    store::sqlite::Sqlite,
};

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn uptime(&self) -> Uptime {
        // With the time asleep: without it a machine that wakes up would look like one whose clock was set forward.
        let since = clock_gettime(ClockId::Boottime);
        let millis = since.tv_sec.saturating_mul(1_000).saturating_add(since.tv_nsec / 1_000_000);
        Uptime(u64::try_from(millis).unwrap_or(0))
    }
}

/// What admission is set up with.
#[derive(Clone)]
pub struct GatewaySettings {
    /// Seal the session cookie and others.
    pub keys: Arc<KeyRing>,
    /// How cookies are set.
    pub cookies: Cookies,
    /// Whether browsers reach the server over https.
    pub https: bool,
    /// The own issuer's tokens.
    pub tokens: Arc<Tokens>,
    /// Tells clients' addresses.
    pub addresses: Addresses,
    /// Allowed origins.
    pub origins: Origins,
    /// Whether a verified token creates its user.
    pub create_users: bool,
    /// Whether `/ws?token=` is taken.
    pub query_tokens: bool,
    /// One of the four names.
    pub environment: &'static str,
    /// Whether one-time sign-in links are taken.
    pub links: bool,
    /// Accounts of a demo, into which a browser may sign in again without a password.
    pub demo: Vec<UserId>,
    /// The provider of sign-ins.
    pub oidc: Option<Arc<Provider>>,
    /// Whether requests leave no line in the log: the probe's are nobody's traffic.
    pub quiet: bool,
}

/// A running node and how requests reach it.
pub struct Gateway {
    /// The node.
    pub node: Arc<Node>,
    pub(super) admission: GatewaySettings,
    pub(super) logins: Arc<dyn Logins>,
    judge: Arc<Judge>,
    site: web::Data<RestServices>,
    rates: web::Data<Rates>,
    /// Turns true when the server stops: idle connections end then.
    pub(super) stopping: watch::Sender<bool>,
}

/// What the App is to the HTTP service: requests in, answers out.
pub(super) trait AppFactory:
    ServiceFactory<
        Request,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = actix_web::Error,
        InitError = (),
        Service: Service<Request, Future: 'static>,
    >
{
}
impl<F> AppFactory for F where
    F: ServiceFactory<
            Request,
            Config = (),
            Response = ServiceResponse<BoxBody>,
            Error = actix_web::Error,
            InitError = (),
            Service: Service<Request, Future: 'static>,
        >
{
}

/// HTTP over a byte stream, answered by an App.
pub(super) type Http<T, A, U> = HttpService<T, A, BoxBody, h1::ExpectHandler, U>;

/// What an App is made of: routes, and whatever is wrapped around them.
pub(super) trait AppRoutes:
    ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = actix_web::Error,
        InitError = (),
    > + 'static
{
}
impl<F> AppRoutes for F where
    F: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<BoxBody>,
            Error = actix_web::Error,
            InitError = (),
        > + 'static
{
}

/// How long the parts of a connection may take.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const LINGER: Duration = Duration::from_secs(1);

impl Gateway {
    /// Starts a node over a store.
    ///
    /// # Errors
    /// If the store cannot be read or the system gives no thread or randomness.
    pub async fn start(
        store: Sqlite,
        limits: Limits,
        clock: Arc<dyn Clock>,
        admission: GatewaySettings,
    ) -> Result<Gateway, Error> {
        let passwords = Passwords::new(&limits);
        let rates = web::Data::new(Rates::new(&limits, admission.addresses.clone()));
        let parts = Parts {
            log: Box::new(store.log),
            reads: Arc::new(store.reads),
            identity: store.identity,
            backplane: Box::new(|arrive| Box::new(Local(arrive))),
            limits,
            clock,
        };
        let node = Node::start(parts).await?;
        let logins: Arc<dyn Logins> = Arc::new(Accounts::new(Arc::clone(&node.reads), node.writer.clone()));
        let site = web::Data::new(RestServices {
            environment: admission.environment,
            links: admission.links,
            demo: admission.demo.clone(),
            passwords,
            oidc: admission.oidc.clone(),
            login_flows: LoginFlowCookies::new(Arc::clone(&admission.keys), admission.cookies),
            browsers: KnownBrowsers::new(Arc::clone(&admission.keys), admission.cookies),
            logins: Arc::clone(&logins),
            canary: Canary::default(),
        });
        let GatewaySettings { tokens, origins, create_users, query_tokens, .. } = &admission;
        let judge = Arc::new(Judge {
            logins: Arc::clone(&logins),
            last_use: LastUseRecorder::new(Arc::clone(&logins)),
            tokens: Arc::clone(tokens),
            clock: Arc::clone(&node.clock),
            create_users: *create_users,
            origins: origins.clone(),
            accepted: if *query_tokens { routes::accepted } else { routes::accepted_without_query_tokens },
        });
        Ok(Gateway { node, judge, admission, logins, site, rates, stopping: watch::Sender::new(false) })
    }

    /// The whole service over any byte stream: what the port gets, and what the probe asks.
    pub(super) async fn service<T: Wire>(
        &self,
        on_connect: fn(&T, &mut Extensions),
    ) -> Result<Http<T, impl AppFactory + use<T>, impl UpgradeFactory<T> + use<T>>, ()> {
        let app = self.app(routes::configure).wrap(self.stack()).wrap(self.cors()).wrap(self.telemetry());
        self.http_service(app, on_connect).await
    }

    /// The routes with what their handlers need, and nothing around them.
    pub(super) fn app<F: FnOnce(&mut web::ServiceConfig)>(&self, routes: F) -> App<impl AppRoutes + use<F>> {
        App::new().configure(|app| self.register_app_data(app)).configure(routes)
    }

    /// What the handlers of the routes need.
    pub(super) fn register_app_data(&self, app: &mut web::ServiceConfig) {
        let frame_bytes = usize::try_from(self.node.limits.frame_bytes).unwrap_or(usize::MAX);
        app.app_data(web::Data::from(Arc::clone(&self.node)))
            .app_data(web::Data::from(Arc::clone(&self.judge)))
            .app_data(self.site.clone())
            .app_data(self.rates.clone())
            .app_data(web::PayloadConfig::new(frame_bytes));
    }

    /// HTTP over any byte stream, answered by an App, upgrades too.
    pub(super) async fn http_service<T: Wire, R: AppRoutes>(
        &self,
        app: App<R>,
        on_connect: fn(&T, &mut Extensions),
    ) -> Result<Http<T, impl AppFactory + use<T, R>, impl UpgradeFactory<T> + use<T, R>>, ()> {
        // Made once: an App that is made a second time has no routes.
        let app = Rc::new(map_config(app, |()| AppConfig::default()).new_service(()).await?);
        let upgrades = upgrade::service(Rc::clone(&app));
        let stopping = self.stopping.subscribe();
        let http = HttpService::build()
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(Duration::from_millis(self.node.limits.head_ms))
            .client_disconnect_timeout(LINGER)
            // A client that has gone must not leave its long poll waiting.
            .h1_allow_half_closed(false)
            .tcp_nodelay(true)
            .graceful_shutdown_signal(move || {
                let mut stopping = stopping.clone();
                // A gateway that is gone has stopped too.
                async move { _ = stopping.wait_for(|stopping| *stopping).await }
            })
            .on_connect_ext(on_connect)
            .upgrade(upgrades)
            .finish(fn_factory(move || ready(Ok(Rc::clone(&app)))));
        Ok(http)
    }

    /// Session, then identity, then auth context.
    pub(super) fn stack(&self) -> super::stack::AuthStack<LoginSessions> {
        let (reseal, session) = self.session();
        Stack::new().session(reseal, session).identity(identity()).auth_context(self.auth_context())
    }

    /// The session layer, and the one around it that knows every key of its cookie.
    pub(super) fn session(&self) -> (Reseal, SessionMiddleware<LoginSessions>) {
        let sessions = LoginSessions::new(Arc::clone(&self.logins), Arc::clone(&self.node.clock));
        let GatewaySettings { keys, cookies, .. } = &self.admission;
        let reseal = Reseal::new(Arc::clone(keys), Arc::clone(&self.node.clock), *cookies);
        let session = reseal.session_layer(sessions);
        (reseal, session)
    }

    pub(super) fn auth_context(&self) -> AuthContextLayer {
        AuthContextLayer::new(Arc::clone(&self.judge))
    }

    /// Which credentials each path takes.
    pub(super) fn accepted(&self) -> fn(&str) -> AcceptedCredentials {
        self.judge.accepted
    }

    pub(super) fn telemetry(&self) -> Telemetry {
        Telemetry { quiet: self.admission.quiet, https: self.admission.https }
    }

    /// Answers browsers of the allowed origins.
    pub(super) fn cors(&self) -> CorsLayer {
        CorsLayer::new(self.admission.origins.clone())
    }
}

pub(super) fn identity() -> IdentityMiddleware {
    // Not a visit deadline: that writes the session at every request. Idle sessions end in the store.
    IdentityMiddleware::builder().login_deadline(Some(SESSION_MAX)).build()
}
