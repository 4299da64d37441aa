//! The tables of `src/docs/protocol.md`, written from the tables of the program.

use hailgate::{
    domain::{Fact, Limits},
    error::Code,
    http::routes::{self, Access, Route},
    wire::{Field, command, frame, problem::Problem, rest, seal, shape},
};

use crate::settings::{code, table};

const PAGE: &str = "src/docs/protocol.md";
const END: &str = "<!-- end of generated -->\n";

/// `{a, b?, c[]}`: a question mark where the field may be missing, brackets where it is a list.
fn fields(fields: &[Field]) -> String {
    fn names(fields: &[Field]) -> Vec<String> {
        let name = |field: &Field| {
            if field.attributes.contains("flatten") {
                return names(rest::BuildInfo::FIELDS).into_iter().map(|name| format!("{name}?")).collect();
            }
            let missing = field.attributes.contains("skip_serializing_if") || field.attributes.contains("default");
            let list = field.of.replace(' ', "");
            let list = if list.contains("Vec<") { "[]" } else { "" };
            vec![format!("{}{list}{}", field.name.trim_start_matches("r#"), if missing { "?" } else { "" })]
        };
        fields.iter().flat_map(name).collect()
    }
    if fields.is_empty() { String::new() } else { format!("{{{}}}", names(fields).join(", ")) }
}

/// Shapes that several rows have, by the name that the page gives them.
const SHAPES: &[(&str, &[Field])] = &[
    ("user", shape::UserShape::FIELDS),
    ("online user", shape::OnlineShape::FIELDS),
    ("thread", shape::ThreadShape::FIELDS),
    ("message", shape::MessageShape::FIELDS),
    ("read marker", shape::MarkerShape::FIELDS),
    ("auth context", rest::MeAnswer::FIELDS),
    ("session", rest::LoginShape::FIELDS),
    ("sign-in of the system information", rest::SignInWays::FIELDS),
    ("problem document", Problem::FIELDS),
];

/// The name of a shape, or the fields themselves as code.
fn data(of: &[Field]) -> String {
    let shape = SHAPES.iter().find(|(_, shape)| *shape == of);
    shape.map_or_else(|| code(&fields(of)), |(name, _)| format!("[{name}](#shapes)"))
}

fn access(access: Access) -> &'static str {
    match access {
        Access::Public => "anyone",
        Access::Configured => "anyone, where it is configured; else 404",
        Access::Protected => "a user",
        Access::Upgrade => "a user, by any credential",
        Access::Preflight => "anyone; any credential is checked",
        Access::Stream => "a user, a ticket too",
    }
}

fn routes() -> String {
    let row = |route: &Route| {
        let takes = match (route.method, fields(route.takes)) {
            ("get", query) if !query.is_empty() => format!("query {}", code(&query)),
            (_, body) => code(&body),
        };
        let gives = if route.gives.is_empty() { String::new() } else { format!(" {}", data(route.gives)) };
        let gives = format!("{}{gives}", route.status);
        let asked = format!("{} {}", route.method.to_uppercase(), route.path);
        vec![code(&asked), access(route.access).to_owned(), takes, gives]
    };
    table(&["Method and path", "Access", "Query or body", "Success"], routes::TABLE.iter().map(row))
}

fn shapes() -> String {
    table(&["Shape", "Fields"], SHAPES.iter().map(|(name, of)| vec![(*name).to_owned(), code(&fields(of))]))
}

fn commands() -> String {
    let row = |row: &command::CommandType| {
        let answer = row.answer.map_or_else(|| "none".to_owned(), |(name, of)| format!("`{name}` {}", data(of)));
        vec![code(row.name), code(&fields(row.data)), answer, row.meaning.to_owned()]
    };
    table(&["Type", "Data", "Answer", "What it does"], command::TABLE.iter().map(row))
}

fn server_frames() -> String {
    let row = |(name, of, meaning): &(&str, &[Field], &str)| vec![code(name), data(of), (*meaning).to_owned()];
    let error = ("error", command::ERROR_FIELDS, "a frame of the client was refused; has the frame's `id`");
    table(&["Type", "Data", "Meaning"], frame::TABLE.iter().chain([&error]).map(row))
}

fn events() -> String {
    let row = |(name, meaning): &(&str, &str)| vec![code(name), data(seal::data_fields(name)), (*meaning).to_owned()];
    let frame = format!("An event is {}.\n\n", code(&fields(seal::EVENT_FIELDS)));
    frame + &table(&["Type", "Data", "Meaning"], Fact::TABLE.iter().map(row))
}

fn codes() -> String {
    let row = |row: &Code| {
        let status = match (row.status(), row.close()) {
            (500, Some(_)) if *row != Code::Internal => "-".to_owned(),
            (status, _) => status.to_string(),
        };
        let close = row.close().map_or_else(|| "-".to_owned(), |close| close.to_string());
        let retry = if row.retryable() { "yes" } else { "no" }.to_owned();
        vec![code(row.name()), status, close, retry, row.title().to_owned(), row.remedy().text().to_owned()]
    };
    table(&["Code", "HTTP", "Close", "Retryable", "Meaning", "What a client does"], Code::ALL.iter().map(row))
}

fn limits() -> String {
    let defaults = Limits::default();
    let told: Vec<&str> = defaults.told().into_iter().map(|(name, _)| name).collect();
    let rows = Limits::TABLE.iter().filter(|(name, ..)| told.contains(name)).map(|(name, default, unit, meaning)| {
        let variable = format!("HAILGATE_LIMIT_{}", name.to_uppercase());
        vec![code(name), default.to_string(), (*unit).to_owned(), (*meaning).to_owned(), code(&variable)]
    });
    table(&["Name", "Default", "Unit", "Meaning", "Setting"], rows)
}

/// The page with each marked block replaced by its table.
fn page(written: &str) -> String {
    let blocks = [
        ("routes", routes()),
        ("shapes", shapes()),
        ("client frames", commands()),
        ("server frames", server_frames()),
        ("events", events()),
        ("codes", codes()),
        ("limits", limits()),
    ];
    blocks.into_iter().fold(written.to_owned(), |page, (name, block)| {
        let start = format!("<!-- generated: {name} -->\n");
        let (before, rest) = page.split_once(&start).unwrap_or_else(|| panic!("{PAGE} has no block `{name}`"));
        let (_, after) = rest.split_once(END).unwrap_or_else(|| panic!("the block `{name}` has no end"));
        format!("{before}{start}{block}{END}{after}")
    })
}

#[test]
fn the_page_of_the_protocol_says_what_the_tables_say() {
    let path = format!("{}/{PAGE}", env!("CARGO_MANIFEST_DIR"));
    let written = std::fs::read_to_string(&path).expect("the page");
    let right = page(&written);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &right).expect("the page is written");
        return;
    }
    let differs = right.lines().zip(written.lines().chain(std::iter::repeat(""))).find(|(right, written)| right != written);
    assert!(
        written == right,
        "{PAGE} is not what the tables say; `BLESS=1 cargo test --test gateway protocol` writes it. First difference: {differs:#?}"
    );
}
