//! THE table of routes: every path in full, once. The service is configured from it, the probe walks it, and
//! nothing else in the program spells a path.

use actix_web::web;

use super::assets;
use crate::{
    auth::AcceptedCredentials,
    error::Code,
    rest::{admin, auth, demo, events, logins, messages, oidc, system, threads, tokens, users},
    wire::{
        Field,
        rest::{
            EditBody, EventsQuery, HealthAnswer, InfoAnswer, LinkBody, LoginBody, LoginsAnswer, MeAnswer, MembersAnswer,
            MembersQuery, MessagesAnswer, MessagesQuery, Nothing, PasswordBody, PollAnswer, PreflightAnswer, PresenceAnswer,
            PresenceQuery, ReadBody, RefreshBody, RevokedAnswer, SentAnswer, SocketQuery, StrictSendBody, ThreadBody,
            ThreadPatch, ThreadsAnswer, ThreadsQuery, TicketAnswer, TokensAnswer, UsersAnswer, UsersQuery,
        },
        shape::{MarkerShape, MessageShape, ThreadShape},
    },
    ws::admission,
};

/// Who may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// Anybody, where it is set up; elsewhere it is not there.
    Configured,
    /// A user: without credentials 401, never 404.
    Protected,
    /// A user with a WebSocket upgrade.
    Upgrade,
    /// Anybody, with whatever credentials an upgrade takes, which are judged and not used up.
    Preflight,
    /// A user, by a ticket too.
    Stream,
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// In lower case: `get`, `post`, ...
    pub method: &'static str,
    /// With its parameters in braces.
    pub path: &'static str,
    /// Who may come in.
    pub access: Access,
    /// Who answers, as the table spells it: the name by which the probe asks for a certain route.
    pub handler: &'static str,
    /// Fields of its body, or of its query if it is read by `get`; empty if it takes neither.
    pub takes: &'static [Field],
    /// Status of success; `messages::send` and `threads::create` say 200 for what was there already.
    pub status: u16,
    /// Fields of the JSON object that it answers with; empty if it answers with none.
    pub gives: &'static [Field],
}

impl Access {
    /// What nobody in particular is told; none where anybody may come in.
    pub fn refusal(self) -> Option<Code> {
        match self {
            Access::Public | Access::Configured | Access::Preflight => None,
            Access::Protected | Access::Stream | Access::Upgrade => Some(Code::Unauthenticated),
        }
    }
}

impl Route {
    /// The row of a handler.
    ///
    /// # Panics
    /// If the table has none: the name is a constant of the program, and the probe asks at every start.
    pub fn of(handler: &str) -> &'static Route {
        TABLE.iter().find(|route| route.handler == handler).expect("a handler of the table")
    }

    /// The path with something in place of each parameter: the name of a file of the page, which is no id of anything.
    pub fn example(&self) -> String {
        let part = |part| match part {
            "{version}" => assets::version(),
            part if part.starts_with('{') => "page.js",
            part => part,
        };
        self.path.split('/').map(part).collect::<Vec<_>>().join("/")
    }
}

macro_rules! routes {
    ($($path:literal { $($access:ident $method:ident $handler:path, $takes:ident => $status:literal $gives:ident;)+ })+) => {
        /// Every route.
        pub const TABLE: &[Route] =
            &[$($(Route { method: stringify!($method), path: $path, access: Access::$access,
                handler: stringify!($handler), takes: $takes::FIELDS, status: $status, gives: $gives::FIELDS }),+),+];

        /// Configures an App with the table. One resource a path, so that another method is answered 405, not 404.
        pub fn configure(app: &mut web::ServiceConfig) {
            $({
                let resource = web::resource($path);
                $(let resource = offered!(resource, $method, $handler);)+
                app.service(resource);
            })+
        }
    };
}

/// A resource with one more method. `HEAD` works wherever `GET` does (RFC 9110 section 9.1): the same handler answers it, and
/// the telemetry layer leaves the body out.
macro_rules! offered {
    ($resource:ident, get, $handler:path) => {
        $resource.route(web::get().to($handler)).route(web::head().to($handler))
    };
    ($resource:ident, $method:ident, $handler:path) => {
        $resource.route(web::$method().to($handler))
    };
}

routes! {
    "/ws"                                   { Upgrade    get    admission::connect,    SocketQuery    => 101 Nothing; }
    "/api/auth/login"                       { Public     post   auth::login,           LoginBody      => 200 MeAnswer; }
    "/api/auth/link"                        { Public     post   auth::link,            LinkBody       => 200 MeAnswer; }
    "/api/auth/demo/{user_id}"              { Configured post   demo::sign_in,         Nothing        => 200 MeAnswer; }
    "/api/auth/oidc/login"                  { Configured get    oidc::login,           Nothing        => 303 Nothing; }
    "/api/auth/oidc/callback"               { Configured get    oidc::callback,        Nothing        => 303 Nothing; }
    "/api/auth/logout"                      { Protected  post   auth::logout,          Nothing        => 204 Nothing; }
    "/api/auth/me"                          { Protected  get    auth::me,              Nothing        => 200 MeAnswer; }
    "/api/auth/password"                    { Protected  post   logins::password,      PasswordBody   => 204 Nothing; }
    "/api/auth/sessions"                    { Protected  get    logins::list,          Nothing        => 200 LoginsAnswer; }
    "/api/auth/sessions/{session_id}"       { Protected  delete logins::end,           Nothing        => 204 Nothing; }
    "/api/auth/token"                       { Protected  post   tokens::issue,         Nothing        => 200 TokensAnswer; }
    "/api/auth/refresh"                     { Public     post   tokens::refresh,       RefreshBody    => 200 TokensAnswer; }
    "/api/ws/ticket"                        { Protected  post   tokens::ticket,        Nothing        => 200 TicketAnswer; }
    "/api/ws/preflight"                     { Preflight  post   admission::preflight,  Nothing        => 200 PreflightAnswer; }
    "/api/admin/users/{user_id}/revoke"     { Protected  post   admin::revoke,         Nothing        => 200 RevokedAnswer; }
    "/api/threads"                          { Protected  get    threads::list,         ThreadsQuery   => 200 ThreadsAnswer;
                                              Protected  post   threads::create,       ThreadBody     => 201 ThreadShape; }
    "/api/threads/{thread_id}"              { Protected  get    threads::get,          Nothing        => 200 ThreadShape;
                                              Protected  patch  threads::update,       ThreadPatch    => 200 ThreadShape;
                                              Protected  delete threads::delete,       Nothing        => 204 Nothing; }
    "/api/threads/{thread_id}/members"      { Protected  get    threads::members,      MembersQuery   => 200 MembersAnswer; }
    "/api/threads/{thread_id}/members/{user_id}"
                                            { Protected  put    threads::add,          Nothing        => 204 Nothing;
                                              Protected  delete threads::remove,       Nothing        => 204 Nothing; }
    "/api/threads/{thread_id}/read"         { Protected  put    threads::read,         ReadBody       => 200 MarkerShape; }
    "/api/messages"                         { Protected  get    messages::list,        MessagesQuery  => 200 MessagesAnswer;
                                              Protected  post   messages::send,        StrictSendBody => 201 SentAnswer; }
    "/api/messages/{message_id}"            { Protected  get    messages::get,         Nothing        => 200 MessageShape;
                                              Protected  patch  messages::edit,        EditBody       => 200 MessageShape;
                                              Protected  delete messages::delete,      Nothing        => 200 MessageShape; }
    "/api/events"                           { Stream     get    events::receive,       EventsQuery    => 200 PollAnswer; }
    "/api/users"                            { Protected  get    users::find,           UsersQuery     => 200 UsersAnswer; }
    "/api/presence"                         { Protected  get    users::presence,       PresenceQuery  => 200 PresenceAnswer; }
    "/api/system/info"                      { Public     get    system::info,          Nothing        => 200 InfoAnswer; }
    "/health"                               { Public     get    system::live,          Nothing        => 200 HealthAnswer; }
    "/health/live"                          { Public     get    system::live,          Nothing        => 200 HealthAnswer; }
    "/health/ready"                         { Public     get    system::ready,         Nothing        => 200 HealthAnswer; }
    "/"                                     { Public     get    assets::page,          Nothing        => 200 Nothing; }
    "/hailgate.js"                          { Public     get    assets::client,        Nothing        => 200 Nothing; }
    "/favicon.ico"                          { Public     get    assets::icon,          Nothing        => 200 Nothing; }
    "/static/{file}"                        { Public     get    assets::file,          Nothing        => 200 Nothing; }
    "/static/{version}/{file}"              { Public     get    assets::versioned,     Nothing        => 200 Nothing; }
}

/// Whether a path names a file of the page by its version: pages of other origins have no use for it.
pub fn is_versioned_file(path: &str) -> bool {
    let (folder, _) = Route::of("assets::versioned").path.split_once('{').expect("its path has parameters");
    path.strip_prefix(folder).and_then(|rest| rest.split_once('/')).is_some_and(|(version, _)| version == assets::version())
}

/// Which credentials a path takes beside cookie and bearer.
pub fn accepted(path: &str) -> AcceptedCredentials {
    let upgrade = AcceptedCredentials {
        subprotocol: true,
        query_token: true,
        ticket: true,
        peek_only: false,
        upgrades: true,
        streams: false,
    };
    match TABLE.iter().find(|route| route.path == path).map(|route| route.access) {
        Some(Access::Upgrade) => upgrade,
        Some(Access::Preflight) => AcceptedCredentials { peek_only: true, ..upgrade },
        Some(Access::Stream) => AcceptedCredentials { ticket: true, streams: true, ..AcceptedCredentials::default() },
        Some(Access::Public | Access::Configured | Access::Protected) | None => AcceptedCredentials::default(),
    }
}

/// The same, where `HAILGATE_QUERY_TOKENS` is off.
pub fn accepted_without_query_tokens(path: &str) -> AcceptedCredentials {
    AcceptedCredentials { query_token: false, ..accepted(path) }
}
