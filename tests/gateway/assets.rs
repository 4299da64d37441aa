//! The files of the page: their addresses name their version, so that page, modules and server are never of two.

use crate::{people::Person, server::Server};

/// The address by which the page names a file.
pub async fn versioned(person: &Person, name: &str) -> String {
    let page = person.get("/").await.body;
    let end = page.find(&format!("/{name}\"")).unwrap_or_else(|| panic!("{name} is not named")) + name.len() + 1;
    page[page[..end].rfind('"').expect("quoted") + 1..end].to_owned()
}

#[tokio::test]
async fn the_page_names_every_file_by_one_version_and_the_server_has_no_other() {
    let nobody = Server::shared().nobody();
    let page = nobody.get("/").await.body;
    let addresses: Vec<&str> = page.split('"').filter(|text| text.starts_with("/static/")).collect();
    assert!(addresses.len() > 30, "{addresses:?}");
    let version = addresses[0].split('/').nth(2).expect("a version");
    assert!(version.len() == 16 && version.bytes().all(|byte| byte.is_ascii_hexdigit()), "{version}");
    for address in addresses {
        assert!(address.starts_with(&format!("/static/{version}/")), "{address}");
        let answer = nobody.get(address).await;
        assert_eq!(answer.status, 200, "{address}");
        assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable", "{address}");
        assert!(answer.varies_by("accept-encoding") && !answer.varies_by("origin"), "{address}: it would be loaded twice");
        let name = address.rsplit('/').next().expect("a name");
        let same = nobody.get(&format!("/static/{name}")).await;
        assert_eq!((same.body == answer.body, same.header("cache-control")), (true, "no-cache"), "{name}");
        let other = nobody.get(&format!("/static/0123456789abcdef/{name}")).await;
        other.problem(404, "not_found");
        assert_eq!(other.header("cache-control"), "no-store", "what is not there may be there tomorrow");
    }
    nobody.get(&format!("/static/{version}/nothing.js")).await.problem(404, "not_found");
}

#[tokio::test]
async fn the_client_library_stands_at_the_root_and_imports_its_parts() {
    let nobody = Server::shared().nobody();
    let library = nobody.get("/hailgate.js").await.body;
    let parts: Vec<&str> = library.split("from '").skip(1).map(|rest| rest.split('\'').next().expect("quoted")).collect();
    assert!(parts.len() > 3, "{parts:?}");
    for part in parts {
        assert!(part.starts_with("/static/"), "{part}");
        assert_eq!(nobody.get(part).await.status, 200, "{part}");
    }
}
