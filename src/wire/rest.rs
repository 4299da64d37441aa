//! REST bodies and answers. Unknown fields of a body are refused; the same rules hold for a frame's data,
//! where they are ignored.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    metadata,
    shape::{MarkerShape, MessageShape, OnlineShape, ThreadShape, UserShape},
};
use crate::{
    domain::{Content, Draft, Limits, RetryKey, ThreadId, UserId},
    error::{Code, Error},
};

/// Reads JSON text and names the field that is wrong.
///
/// # Errors
/// `invalid` with the field; text that is not JSON has the field `body`.
pub fn from_json<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| json_error(&error))?;
    reader.end().map_err(|error| Error::field("body", format!("there is more after the JSON text: {error}")))?;
    Ok(value)
}

/// Reads a query string; unknown names are refused.
///
/// # Errors
/// `invalid`.
pub fn from_query<T: for<'de> Deserialize<'de>>(query: &str) -> Result<T, Error> {
    actix_web::web::Query::from_query(query).map(actix_web::web::Query::into_inner).map_err(|error| {
        let told = error.to_string();
        named(told.strip_prefix("Query deserialize error: ").unwrap_or(&told), "query")
    })
}

/// What a reader says, with the field it speaks of, and without its own places and names.
fn named(told: &str, otherwise: &str) -> Error {
    let told = told.split(" at line ").next().unwrap_or(told);
    let quoted = |before: &str| told.strip_prefix(before)?.split_once('`');
    let (field, reason) = match (quoted("missing field `"), quoted("unknown field `")) {
        (Some((field, _)), _) => (field, "is missing".to_owned()),
        (_, Some((field, rest))) => (field, format!("is not known here{rest}")),
        _ => (otherwise, told.to_owned()),
    };
    Error::field(field.to_owned(), reason)
}

fn json_error(error: &serde_path_to_error::Error<serde_json::Error>) -> Error {
    let (path, inner) = (error.path().to_string(), error.inner());
    if inner.is_data() {
        let field = if path == "." { "body".to_owned() } else { path };
        return named(&inner.to_string(), &field);
    }
    Error::field("body", format!("is not JSON: {inner}"))
}

shapes! {
    /// `message.send` and `POST /api/messages`.
    #[derive(Debug, Deserialize)]
    pub struct SendBody {
        thread_id: String,
        content: String,
        #[serde(default)]
        client_message_id: Option<String>,
        #[serde(default)]
        metadata: Option<Box<RawValue>>,
    }
}

impl SendBody {
    /// The draft in it.
    ///
    /// # Errors
    /// `invalid` with the field.
    pub fn accept(self, limits: &Limits) -> Result<(ThreadId, Draft, Option<RetryKey>), Error> {
        let thread = ThreadId::parse(&self.thread_id).map_err(|reason| Error::field("thread_id", reason))?;
        let named = |(field, reason)| Error::field(field, reason);
        let metadata = self.metadata.map(|written| metadata::read(&written, limits)).transpose()?;
        let draft = Draft::new(self.content, metadata, limits).map_err(named)?;
        let key = self.client_message_id.as_deref().map(RetryKey::new).transpose();
        Ok((thread, draft, key.map_err(|reason| Error::field("client_message_id", reason))?))
    }
}

macro_rules! bodies {
    ($($(#[$doc:meta])* $name:ident { $($(#[$at:meta])* $field:ident: $type:ty),* $(,)? })*) => {$(
        shapes! {
            $(#[$doc])*
            #[derive(Debug, Deserialize)]
            #[serde(deny_unknown_fields)]
            #[allow(missing_docs, reason = "named as on the wire")]
            pub struct $name { $($(#[$at])* pub $field: $type),* }
        }
    )*};
}

bodies! {
    /// `POST /api/messages`: as [`SendBody`], but unknown fields are refused.
    StrictSendBody {
        thread_id: String,
        content: String,
        #[serde(default)] client_message_id: Option<String>,
        #[serde(default)] metadata: Option<Box<RawValue>>,
    }
    /// `PATCH /api/messages/{id}`.
    EditBody { content: String }
    /// `POST /api/auth/login`.
    LoginBody { username: String, password: String }
    /// `POST /api/auth/link`.
    LinkBody { code: String }
    /// `POST /api/auth/password`.
    PasswordBody { current_password: String, new_password: String }
    /// `POST /api/auth/refresh`.
    RefreshBody { refresh_token: String }
    /// `POST /api/threads`.
    ThreadBody { #[serde(default)] title: Option<String>, members: Vec<String> }
    /// `PATCH /api/threads/{id}`: `title: null` removes the title.
    ThreadPatch {
        #[serde(default, deserialize_with = "present")] title: Option<Option<String>>,
        #[serde(default)] owner: Option<String>,
    }
    /// `PUT /api/threads/{id}/read`.
    ReadBody { sequence: u64 }
    /// `GET /api/threads`.
    ThreadsQuery { #[serde(default)] limit: Option<u64>, #[serde(default)] after: Option<String> }
    /// `GET /api/threads/{id}/members`.
    MembersQuery { #[serde(default)] limit: Option<u64>, #[serde(default)] after: Option<String> }
    /// `GET /api/messages`.
    MessagesQuery {
        #[serde(default)] thread_id: Option<String>,
        #[serde(default)] before: Option<String>,
        #[serde(default)] after: Option<String>,
        #[serde(default)] limit: Option<u64>,
    }
    /// `GET /api/users`.
    UsersQuery { q: String }
    /// `GET /api/presence`.
    PresenceQuery { thread_id: String }
    /// `GET /api/events`.
    EventsQuery {
        #[serde(default)] since: Option<String>,
        #[serde(default)] timeout_ms: Option<u64>,
        #[serde(default)] ticket: Option<String>,
    }
}

shapes! {
    /// `GET /ws`. Other fields are ignored: client libraries add their own, like a version or a number against caches.
    #[derive(Debug, Deserialize)]
    pub struct SocketQuery {
        /// The cursor to resume from.
        #[serde(default)]
        pub since: Option<String>,
    }
}

impl From<StrictSendBody> for SendBody {
    fn from(body: StrictSendBody) -> SendBody {
        let StrictSendBody { thread_id, content, client_message_id, metadata } = body;
        SendBody { thread_id, content, client_message_id, metadata }
    }
}

/// Tells `null` from a field that is not there.
fn present<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Option<Option<String>>, D::Error> {
    Deserialize::deserialize(reader).map(Some)
}

/// What a message shall say instead.
///
/// # Errors
/// `invalid`, as for a message that is sent.
pub fn content(content: String, limits: &Limits) -> Result<Content, Error> {
    Content::new(content, limits).map_err(|(field, reason)| Error::field(field, reason))
}

/// A title within its limit: `None` if it is blank.
///
/// # Errors
/// `invalid`, if it is too long or holds control characters.
pub fn title(title: Option<String>, limits: &Limits) -> Result<Option<String>, Error> {
    let Some(title) = title else { return Ok(None) };
    if title.chars().count() as u64 > limits.title_chars {
        return Err(Error::field("title", format!("must be at most {} characters", limits.title_chars)));
    }
    if title.chars().any(char::is_control) {
        return Err(Error::field("title", "must not hold control characters"));
    }
    Ok(Some(title.trim().to_owned()).filter(|t| !t.is_empty()))
}

/// User ids out of a body's list.
///
/// # Errors
/// `unknown_user` for text that cannot be one: nobody has it.
pub fn members(members: &[String]) -> Result<Vec<UserId>, Error> {
    let parse = |text: &String| {
        UserId::parse(text)
            .map_err(|_| Error::new(Code::UnknownMember, "One of the members is no user. Nothing was created."))
    };
    members.iter().map(parse).collect()
}

shapes! {
    /// `GET /api/auth/me`, and the answer to a login: the auth context.
    #[derive(Debug, Serialize)]
    #[allow(missing_docs, reason = "named as on the wire")]
    pub struct MeAnswer<'a> {
        pub user_id: &'a str,
        pub name: &'a str,
        pub email: Option<&'a str>,
        pub session_id: Option<String>,
        pub auth_method: &'a str,
        pub customer_tier: &'a str,
        pub permissions: Vec<&'a str>,
        pub expires_at: String,
        pub request_id: &'a str,
    }

    /// `GET /api/auth/sessions`.
    #[derive(Debug, Serialize)]
    #[allow(missing_docs, reason = "named as on the wire")]
    pub struct LoginsAnswer {
        pub sessions: Vec<LoginShape>,
    }

    /// One login of a user.
    #[derive(Debug, Serialize)]
    #[allow(missing_docs, reason = "named as on the wire")]
    pub struct LoginShape {
        pub session_id: String,
        pub created_at: String,
        pub last_seen_at: String,
        pub expires_at: String,
        pub user_agent: String,
        pub current: bool,
    }

    /// `POST /api/auth/token` and `POST /api/auth/refresh`.
    #[derive(Serialize)]
    #[allow(missing_docs, reason = "named as on the wire")]
    pub struct TokensAnswer {
        pub access_token: String,
        pub expires_at: String,
        pub refresh_token: String,
        pub refresh_expires_at: String,
    }

    /// `POST /api/ws/ticket`.
    #[derive(Serialize)]
    #[allow(missing_docs, reason = "named as on the wire")]
    pub struct TicketAnswer {
        pub ticket: String,
        pub expires_at: String,
    }

    /// `POST /api/ws/preflight`.
    #[derive(Debug, Serialize)]
    #[allow(missing_docs, reason = "named as on the wire")]
    pub struct PreflightAnswer<'a> {
        pub accepted: bool,
        pub code: &'static str,
        pub reason: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub retry_after_ms: Option<u64>,
    }

    /// `POST /api/admin/users/{id}/revoke`.
    #[derive(Debug, Serialize)]
    #[allow(missing_docs, reason = "named as on the wire")]
    pub struct RevokedAnswer {
        pub sockets: u64,
        pub sessions: u64,
    }

    /// `POST /api/messages`.
    #[derive(Debug, Serialize)]
    #[allow(missing_docs, reason = "named as on the wire")]
    pub struct SentAnswer<'a> {
        pub message: MessageShape<'a>,
        pub duplicate: bool,
    }

    /// `GET /api/messages`.
    #[derive(Debug, Serialize)]
    #[allow(missing_docs, reason = "named as on the wire")]
    pub struct MessagesAnswer<'a> {
        pub messages: Vec<MessageShape<'a>>,
        pub has_more: bool,
        pub cursor: String,
        /// Page keys for `before` and `after`, where the list goes over all threads.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub before: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub after: Option<String>,
    }

    /// `GET /api/threads`.
    #[derive(Debug, Serialize)]
    #[allow(missing_docs, reason = "named as on the wire")]
    pub struct ThreadsAnswer<'a> {
        pub threads: Vec<ThreadShape<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub cursor: Option<String>,
    }

    /// `GET /api/threads/{id}/members`.
    #[derive(Debug, Serialize)]
    #[allow(missing_docs, reason = "named as on the wire")]
    pub struct MembersAnswer<'a> {
        pub members: Vec<UserShape<'a>>,
    }

    /// `GET /api/users`.
    #[derive(Debug, Serialize)]
    #[allow(missing_docs, reason = "named as on the wire")]
    pub struct UsersAnswer<'a> {
        pub users: Vec<UserShape<'a>>,
    }
}

shapes! {
    /// A body, a query or an answer without fields.
    #[derive(Debug)]
    pub struct Nothing {}

    /// `GET /api/events` as a long poll. The events are JSON already, so it is written by [`PollAnswer::text`].
    #[derive(Debug)]
    #[allow(missing_docs, reason = "named as on the wire")]
    pub struct PollAnswer<'a> {
        pub events: Vec<&'a str>,
        pub read: Vec<MarkerShape>,
        pub cursor: &'a str,
    }
}

impl PollAnswer<'_> {
    /// The JSON text. The alphabet of cursors needs no escape.
    ///
    /// # Panics
    /// Never: the shapes hold text and numbers only.
    pub fn text(&self) -> String {
        let PollAnswer { events, read, cursor } = self;
        let read = serde_json::to_string(read).expect("text and numbers");
        format!(r#"{{"events":[{}],"read":{read},"cursor":"{cursor}"}}"#, events.join(","))
    }
}

shapes! {
    /// `GET /api/presence`: members who are here, how many they are, and whether a socket is told of those who come and go.
    #[derive(Debug, Serialize)]
    #[allow(missing_docs, reason = "named as on the wire")]
    pub struct PresenceAnswer<'a> {
        pub users: Vec<OnlineShape<'a>>,
        pub online: u64,
        pub live: bool,
    }

    /// `GET /api/system/info`; what only signed-in users see is left out for others.
    #[derive(Debug, Serialize)]
    #[allow(missing_docs, reason = "named as on the wire")]
    pub struct InfoAnswer<'a> {
        pub name: &'static str,
        pub environment: &'a str,
        pub sign_in: SignInWays<'a>,
        #[serde(flatten, skip_serializing_if = "Option::is_none")]
        pub build: Option<BuildInfo<'a>>,
    }

    /// How people sign in: with a password, at a provider where one is set, by its name, and in a demo as one of its accounts: those that
    /// this browser may choose.
    #[derive(Debug, Serialize)]
    #[allow(missing_docs, reason = "named as on the wire")]
    pub struct SignInWays<'a> {
        pub password: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub oidc: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub demo: Option<Vec<UserShape<'a>>>,
    }

    /// Which program answers.
    #[derive(Debug, Serialize)]
    #[allow(missing_docs, reason = "named as on the wire")]
    pub struct BuildInfo<'a> {
        pub version: &'static str,
        pub git_commit: &'static str,
        pub build_time: &'static str,
        pub started_at: String,
        pub node_id: &'a str,
    }

    /// `/health*`.
    #[derive(Debug, Serialize)]
    #[allow(missing_docs, reason = "named as on the wire")]
    pub struct HealthAnswer {
        pub status: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub failing: Option<&'static str>,
    }
}
