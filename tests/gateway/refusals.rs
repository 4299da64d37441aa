//! THE table of admission: every way to show who one is, everything that can be wrong with it, and the answer of every
//! place. The matrix asks the real program for each cell, and src/auth/REFUSALS.md is written from it.

/// How a request says who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Session,
    Bearer,
    Subprotocol,
    QueryToken,
    Ticket,
}

impl Way {
    pub const ALL: [Way; 5] = [Way::Session, Way::Bearer, Way::Subprotocol, Way::QueryToken, Way::Ticket];

    /// As `auth_method` says it.
    pub fn name(self) -> &'static str {
        match self {
            Way::Session => "session",
            Way::Bearer => "bearer",
            Way::Subprotocol => "subprotocol",
            Way::QueryToken => "query_token",
            Way::Ticket => "ticket",
        }
    }

    fn form(self) -> &'static str {
        match self {
            Way::Session => "the session cookie",
            Way::Bearer => "`Authorization: Bearer`",
            Way::Subprotocol => "`Sec-WebSocket-Protocol: jwt-auth, jwt.<token>`",
            Way::QueryToken => "`?token=`",
            Way::Ticket => "`?ticket=`",
        }
    }
}

/// Where it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A request that changes nothing.
    Read,
    /// A request that changes something.
    Change,
    Events,
    Upgrade,
    /// Always answers 200; it says what the upgrade would.
    Preflight,
}

impl Place {
    /// In the order of asking: a preflight and a refused upgrade leave a ticket as it is, and what comes next shows it.
    pub const ALL: [Place; 5] = [Place::Read, Place::Change, Place::Preflight, Place::Upgrade, Place::Events];

    /// The method and path that stand for it.
    pub fn route(self) -> (&'static str, &'static str) {
        match self {
            Place::Read => ("GET", "/api/auth/me"),
            Place::Change => ("POST", "/api/threads"),
            Place::Events => ("GET", "/api/events"),
            Place::Upgrade => ("GET", "/ws"),
            Place::Preflight => ("POST", "/api/ws/preflight"),
        }
    }

    /// Whether a way is taken here.
    pub fn takes(self, way: Way) -> bool {
        match way {
            Way::Session | Way::Bearer => true,
            Way::Subprotocol | Way::QueryToken => matches!(self, Place::Upgrade | Place::Preflight),
            Way::Ticket => matches!(self, Place::Events | Place::Upgrade | Place::Preflight),
        }
    }
}

/// What is wrong with a credential or with what stands beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Nothing,
    ShownBefore,
    ShownByForeignPage,
    Missing,
    Empty,
    Malformed,
    Truncated,
    Tampered,
    OtherKey,
    AlgNone,
    PublicKeyAsSecret,
    OtherAlgorithm,
    Issuer,
    Audience,
    Kid,
    NotYetValid,
    IssuedLater,
    Over,
    LoginOver,
    TokenOver,
    Revoked,
    LoggedOut,
    Disabled,
    UnknownUser,
    ForeignOrigin,
    NoOrigin,
    OwnCookie,
    BentCookie,
    OtherCookie,
    Twice,
    TwoWays,
    OtherScheme,
    BesideOtherScheme,
}

/// The answer to one way with one fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// Let in, wherever the way is taken.
    Accepted,
    /// Refused with this code, wherever the way is taken.
    Refused(&'static str),
    /// Refused with this code everywhere: the way itself does not matter.
    Everywhere(&'static str),
    /// Let in where nothing is changed and no socket opened, elsewhere refused with `foreign_origin`.
    ReadsOnly,
    /// The same, but nothing is waited for either.
    PlainReadsOnly,
    /// There is no such thing, and why.
    No(&'static str),
}

/// One fault, and the answer by what is shown. One token travels in three ways, and the answer is one.
pub struct Row {
    pub fault: Fault,
    pub words: &'static str,
    session: Cell,
    token: Cell,
    ticket: Cell,
}

impl Row {
    pub fn cell(&self, way: Way) -> Cell {
        match way {
            Way::Session => self.session,
            Way::Bearer | Way::Subprotocol | Way::QueryToken => self.token,
            Way::Ticket => self.ticket,
        }
    }
}

/// What is refused where the way is not taken: an unlisted way cannot verify, and is never ignored.
const NOT_TAKEN: &str = "bad_credentials";

/// What a place answers to a cell: `None`, it lets in; else the code of the refusal.
pub fn expected(place: Place, way: Way, cell: Cell, taken: bool) -> Option<&'static str> {
    match cell {
        Cell::Everywhere(code) => Some(code),
        _ if !(taken && place.takes(way)) => Some(NOT_TAKEN),
        Cell::Refused(code) => Some(code),
        Cell::ReadsOnly if !matches!(place, Place::Read | Place::Events) => Some("foreign_origin"),
        Cell::PlainReadsOnly if place != Place::Read => Some("foreign_origin"),
        Cell::Accepted | Cell::ReadsOnly | Cell::PlainReadsOnly | Cell::No(_) => None,
    }
}

/// The status of a refusal with this code.
pub fn status(code: &str) -> u16 {
    match code {
        "several_credentials" => 400,
        "foreign_origin" => 403,
        _ => 401,
    }
}

const OK: Cell = Cell::Accepted;
const BAD: Cell = Cell::Refused("bad_credentials");
const ENDED: Cell = Cell::Refused("signed_out");
const LATE: Cell = Cell::Refused("token_expired");
const SEVERAL: Cell = Cell::Everywhere("several_credentials");
/// A cookie that opens nothing is as good as none.
const NOBODY: Cell = Cell::Refused("unauthenticated");
const NONE: Cell = Cell::Everywhere("unauthenticated");
const NO_CLAIMS: Cell = Cell::No("a cookie or a ticket is a random key: it says nothing and is signed by nobody");
const NOT_USED_UP: Cell = Cell::No("only a ticket is used up");
const NO_ORIGINAL: Cell = Cell::No("only a ticket is made from a token");
const NO_ACCOUNT: Cell = Cell::No("a cookie or a ticket is only ever given for an account, and accounts stay");
const NOT_BESIDE: Cell = Cell::No("the cookie is no explicit way: this is about what stands beside one");

const fn row(fault: Fault, words: &'static str, session: Cell, token: Cell, ticket: Cell) -> Row {
    Row { fault, words, session, token, ticket }
}

#[rustfmt::skip]
pub const TABLE: &[Row] = &[
    //   fault                      what is wrong                                    cookie     token      ticket
    row(Fault::Nothing,            "nothing",                                        OK,        OK,        OK),
    row(Fault::ShownBefore,        "it was shown before, to an upgrade",             OK,        OK,        BAD),
    row(Fault::ShownByForeignPage, "it was shown before, by a foreign page to `GET /api/events`",
                                                                                     NOT_USED_UP, NOT_USED_UP, BAD),
    row(Fault::Missing,            "nothing is shown",                               NONE,      NONE,      NONE),
    row(Fault::Empty,              "it is empty",                                    NOBODY,    BAD,       BAD),
    row(Fault::Malformed,          "it is something else",                           NOBODY,    BAD,       BAD),
    row(Fault::Truncated,          "its end is missing",                             NOBODY,    BAD,       BAD),
    row(Fault::Tampered,           "a character of it was changed",                  NOBODY,    BAD,       BAD),
    row(Fault::OtherKey,           "it is of another server, with other keys",       NOBODY,    BAD,       BAD),
    row(Fault::AlgNone,            "unsigned: `alg` is `none`",                      NO_CLAIMS, BAD,       NO_CLAIMS),
    row(Fault::PublicKeyAsSecret,  "HS256 with the text of an RSA public key as the secret",
                                                                                     NO_CLAIMS, BAD,       NO_CLAIMS),
    row(Fault::OtherAlgorithm,     "`alg` says RS256 above an HS256 signature",      NO_CLAIMS, BAD,       NO_CLAIMS),
    row(Fault::Issuer,             "`iss` is not trusted",                           NO_CLAIMS, BAD,       NO_CLAIMS),
    row(Fault::Audience,           "`aud` is somebody else",                         NO_CLAIMS, BAD,       NO_CLAIMS),
    row(Fault::Kid,                "`kid` is not known",                             NO_CLAIMS, BAD,       NO_CLAIMS),
    row(Fault::NotYetValid,        "`nbf` is to come",                               NO_CLAIMS, BAD,       NO_CLAIMS),
    row(Fault::IssuedLater,        "`iat` is to come",                               NO_CLAIMS, BAD,       NO_CLAIMS),
    row(Fault::Over,               "its time is over",                               NOBODY,    LATE,      BAD),
    row(Fault::LoginOver,          "the time of the login it comes from is over",    NOBODY,    ENDED,     ENDED),
    row(Fault::TokenOver,          "the time of the token it comes from is over",    NO_ORIGINAL, NO_ORIGINAL, LATE),
    row(Fault::Revoked,            "everything of its user was revoked since",       NOBODY,    ENDED,     BAD),
    row(Fault::LoggedOut,          "the login it comes from signed out",             NOBODY,    ENDED,     BAD),
    row(Fault::Disabled,           "its user was disabled since",           NOBODY, Cell::Refused("disabled"), BAD),
    row(Fault::UnknownUser,        "there is no such user",     NO_ACCOUNT, Cell::Refused("unknown_user"), NO_ACCOUNT),
    row(Fault::ForeignOrigin,      "it comes with a foreign `Origin`",      Cell::PlainReadsOnly, Cell::ReadsOnly, Cell::ReadsOnly),
    row(Fault::NoOrigin,           "it comes without an `Origin`",                   Cell::ReadsOnly, OK, OK),
    row(Fault::OwnCookie,          "beside it, the user's own cookie, and no `Origin`", NOT_BESIDE, OK,     OK),
    row(Fault::BentCookie,         "beside it, a cookie that opens nothing",         NOT_BESIDE, OK,       OK),
    row(Fault::OtherCookie,        "beside it, another user's cookie",               NOT_BESIDE, BAD,      BAD),
    row(Fault::Twice,              "the same way twice",                             NOT_BESIDE, SEVERAL,  SEVERAL),
    row(Fault::TwoWays,            "two explicit ways at once",                      NOT_BESIDE, SEVERAL,  SEVERAL),
    row(Fault::OtherScheme,        "nothing but `Authorization` in another scheme, like Basic", NONE, NONE, NONE),
    row(Fault::BesideOtherScheme,  "beside it, `Authorization` in another scheme, like Basic", OK,    OK,       OK),
];

fn refusal(code: &str) -> String {
    format!("{} `{code}`", status(code))
}

impl Cell {
    fn text(self) -> String {
        match self {
            Cell::Accepted => "let in".to_owned(),
            Cell::Refused(code) => refusal(code),
            Cell::Everywhere(code) => format!("{}, everywhere", refusal(code)),
            Cell::ReadsOnly => format!("reads let in, else {}", refusal("foreign_origin")),
            Cell::PlainReadsOnly => format!("reads let in but for events, else {}", refusal("foreign_origin")),
            Cell::No(_) => "–".to_owned(),
        }
    }
}

const BEGINNING: &str = "\
# What each way is refused with

One decision judges every way on every path. A refusal is a problem document with a status and a `code`; a 401 carries
`WWW-Authenticate`. An upgrade is refused before it is answered with 101. `POST /api/ws/preflight` always answers 200 and says
the `code` that the upgrade would be refused with; it uses no ticket up.

This page is written from the table in `tests/gateway/refusals.rs`, and every cell is asked of the running program by
`tests/gateway/matrix.rs`. After a change of the table, `BLESS=1 cargo test --test gateway refusals` writes it again.

## Where each way is taken
";

const BETWEEN: &str = "\
A cookie that opens nothing is as good as none. So is an `Authorization` in another scheme than Bearer: it is for a proxy in
front. What a revocation, a sign-out or a disabled account takes out of the store is unknown from then on. A dash where there
is no such thing:";

/// A line of a Markdown table.
fn line(cells: &[String]) -> String {
    format!("| {} |", cells.join(" | "))
}

/// Under the head of a Markdown table.
fn rule(columns: usize) -> String {
    format!("|{}", "---|".repeat(columns))
}

/// The lines about where each way is taken.
fn places() -> Vec<String> {
    let named = Place::ALL.map(|place| {
        let (method, path) = place.route();
        let others = match place {
            Place::Read => " and what else reads",
            Place::Change => " and what else changes",
            Place::Events | Place::Upgrade | Place::Preflight => "",
        };
        format!("`{method} {path}`{others}")
    });
    let head = [&["`auth_method`".to_owned(), "Shown as".to_owned()], &named[..]].concat();
    let rows = Way::ALL.map(|way| {
        let taken = Place::ALL.map(|place| if place.takes(way) { "taken".to_owned() } else { refusal(NOT_TAKEN) });
        line(&[&[format!("`{}`", way.name()), way.form().to_owned()], &taken[..]].concat())
    });
    [&[line(&head), rule(head.len())], &rows[..]].concat()
}

/// The lines about what is refused, and why some things cannot be.
fn faults() -> Vec<String> {
    let head = ["What is wrong", "Session cookie", "Bearer, subprotocol, query token", "Ticket"].map(str::to_owned);
    let mut lines = vec![line(&head), rule(head.len())];
    let mut reasons = Vec::new();
    for row in TABLE {
        let cells = [row.session, row.token, row.ticket];
        lines.push(line(&[&[row.words.to_owned()], &cells.map(Cell::text)[..]].concat()));
        for cell in cells {
            if let Cell::No(reason) = cell
                && !reasons.contains(&format!("- {reason}"))
            {
                reasons.push(format!("- {reason}"));
            }
        }
    }
    [lines, vec![String::new(), BETWEEN.to_owned(), String::new()], reasons].concat()
}

/// The document.
fn document() -> String {
    let off = format!("With `HAILGATE_QUERY_TOKENS=off` a query token is taken nowhere: {}.", refusal(NOT_TAKEN));
    let middle = format!("\n{off}\n\n## What it is refused with where it is taken\n");
    let lines = [vec![BEGINNING.to_owned()], places(), vec![middle], faults()].concat();
    lines.join("\n") + "\n"
}

#[test]
fn the_document_of_refusals_says_what_the_table_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/auth/REFUSALS.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, document()).expect("the document is written");
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    let right = document();
    let differs = right.lines().zip(written.lines().chain(std::iter::repeat(""))).find(|(right, written)| right != written);
    assert!(
        written == right,
        "src/auth/REFUSALS.md is not what the table says; BLESS=1 writes it. First difference: {differs:#?}"
    );
}

#[test]
fn every_fault_stands_in_the_table_once_and_every_code_is_one_of_the_wire() {
    for (number, row) in TABLE.iter().enumerate() {
        assert!(TABLE[..number].iter().all(|before| before.fault != row.fault), "{:?} stands twice", row.fault);
        for way in Way::ALL {
            if let Cell::Refused(code) | Cell::Everywhere(code) = row.cell(way) {
                let code = hailgate::error::Code::ALL.iter().find(|known| known.name() == code).expect("a known code");
                assert_eq!(code.status(), status(code.name()), "{code:?}");
            }
        }
    }
}
