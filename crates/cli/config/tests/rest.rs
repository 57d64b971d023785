//! `[catalog]` with `type = "rest"`.

use super::*;

/// [`SMALLEST`] with another `[catalog]`.
fn with(catalog: &str) -> Result<Config, String> {
    let (before, rest) = SMALLEST.split_once("[catalog]").unwrap();
    let (_, after) = rest.split_once("[[topic]]").unwrap();
    parse(&format!(
        "{before}[catalog]\ntype = \"rest\"\n{catalog}\n[[topic]]{after}"
    ))
}

#[test]
fn a_server_may_name_the_tables_and_say_where_they_are() {
    let config = with(
        "uri = \"https://catalog.example.com/api/\"\nwarehouse = \"lake\"\ntls.ca = \"ca.pem\"\n\
         [catalog.properties]\ncredential = \"id:s3cret\"\nscope = \"PRINCIPAL_ROLE:ALL\"\nheader.X-Realm = \"s3cret\"\n\
         rest.client.proxy.hostname = \"proxy\"\nrest.client.proxy.port = 3128\n\
         [storage]\ns3.region = \"eu-central-1\"\n",
    );
    let config = config.unwrap();
    assert_eq!(config.catalog.place(), "https://catalog.example.com/api");
    assert_eq!(
        config.catalog.warehouse,
        Warehouse::OfCatalog(Some("lake".to_owned()))
    );
    assert!(matches!(config.storage, Storage::OfCatalog(_)));
    let shown = format!("{config:?}");
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn what_is_wrong_with_it_is_said_where_it_stands() {
    for (catalog, expected) in [
        ("", "catalog.uri: is missing; write where the server answers"),
        ("uri = \"lake.db\"", "7: catalog.uri: is not a URL"),
        (
            "uri = \"http://c\"\ntls.ca = \"ca.pem\"",
            "8: catalog.tls: `uri` does not begin with https://",
        ),
        (
            "uri = \"http://c\"\nproperties.tokken = \"s3cret\"",
            "catalog.properties.tokken: is no such property; did you mean token?",
        ),
        (
            "uri = \"http://c\"\n[storage]\ns3.regoin = \"s3cret\"",
            "storage.s3.regoin: is no such property; did you mean s3.region?",
        ),
    ] {
        let refused = with(catalog).unwrap_err();
        assert!(refused.contains(expected), "{catalog}: {refused}");
        assert!(!refused.contains("s3cret"), "{refused}");
    }
    let file = SMALLEST.replace("[[topic]]", "properties.token = \"s3cret\"\n[[topic]]");
    let refused = parse(&file).unwrap_err();
    assert!(refused.contains("a file needs none"), "{refused}");
}

#[test]
fn the_examples_of_servers_work() {
    for (example, service) in [
        (include_str!("../../../../examples/rest/tabletopic.toml"), None),
        (
            include_str!("../../../../examples/glue/tabletopic.toml"),
            Some("glue"),
        ),
        (
            include_str!("../../../../examples/s3-tables/tabletopic.toml"),
            Some("s3tables"),
        ),
    ] {
        let config = parse_with(example, &|_| Some("id:secret".to_owned())).unwrap();
        match config.catalog.kind {
            CatalogKind::Rest(settings) => {
                let signed = settings.aws().map(|login| login.service.as_str());
                assert_eq!(signed, service);
            }
            other => panic!("{other:?}"),
        }
    }
}
