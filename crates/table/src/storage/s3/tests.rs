use std::collections::BTreeMap;

use super::super::settings::StorageSettings;
use super::*;

fn settings(warehouse: &str, properties: &[(&str, &str)]) -> Result<S3Settings, SettingsError> {
    let properties: BTreeMap<String, String> = properties
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    StorageSettings::new(warehouse, &properties).map(|settings| match settings {
        StorageSettings::S3(settings) => settings,
        other => panic!("{other:?}"),
    })
}

fn environment<'e>(variables: &'e [(&'e str, &'e str)]) -> impl Fn(&str) -> Option<String> + 'e {
    |name| {
        let found = variables.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| (*value).to_owned())
    }
}

#[test]
fn a_bucket_is_addressed_in_the_style_that_is_asked_for() {
    let url = |bucket: &str, properties: &[(&str, &str)], region: &str| {
        let settings = settings(&format!("s3://{bucket}/lake"), properties).unwrap();
        settings.bucket_url(settings.endpoint.as_deref(), region).unwrap()
    };
    let path_style = ("s3.path-style-access", "true");
    assert_eq!(url("b", &[], "eu-west-1"), "https://b.s3.eu-west-1.amazonaws.com");
    assert_eq!(
        url("b.c", &[], "eu-west-1"),
        "https://s3.eu-west-1.amazonaws.com/b.c"
    );
    assert_eq!(
        url("b", &[path_style], "cn-north-1"),
        "https://s3.cn-north-1.amazonaws.com.cn/b"
    );
    let endpoint = ("s3.endpoint", "https://s3.example.com:9000/");
    assert_eq!(url("b", &[endpoint], "x"), "https://b.s3.example.com:9000");
    assert_eq!(
        url("b", &[endpoint, path_style], "x"),
        "https://s3.example.com:9000/b"
    );
}

#[test]
fn credentials_are_taken_from_the_first_place_that_has_some() {
    let plain = settings("s3://b", &[("s3.region", "x")]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    std::fs::write(
        &file,
        "[p]\naws_access_key_id = OF_PROFILE\naws_secret_access_key = s\n",
    )
    .unwrap();
    let file = ("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap());
    let key_id = |settings: &S3Settings, variables: &[(&str, &str)]| {
        let opened = settings.open(None, &environment(variables), Arc::default());
        let (store, _) = opened.map_err(|error| error.to_string())?;
        let shown = format!("{store:?}");
        let (_, after) = shown.split_once("key_id: \"").unwrap_or(("", "none\""));
        Ok::<_, String>(after.split('"').next().unwrap().to_owned())
    };
    let keys = [("AWS_ACCESS_KEY_ID", "OF_ENV"), ("AWS_SECRET_ACCESS_KEY", "s")];
    let profile = [file, ("AWS_PROFILE", "p")];
    assert_eq!(key_id(&plain, &keys).unwrap(), "OF_ENV");
    assert_eq!(key_id(&plain, &profile).unwrap(), "OF_PROFILE");
    assert_eq!(
        key_id(&plain, &[keys.as_slice(), &profile].concat()).unwrap(),
        "OF_ENV"
    );
    let named = settings("s3://b", &[("s3.region", "x"), ("s3.profile-name", "p")]).unwrap();
    assert_eq!(
        key_id(&named, &[keys.as_slice(), &[file]].concat()).unwrap(),
        "OF_PROFILE"
    );

    let missing = key_id(&plain, &[file, ("AWS_PROFILE", "q")]).unwrap_err();
    assert!(missing.contains("no profile q"), "{missing}");
    let disabled = key_id(&plain, &[file, ("AWS_EC2_METADATA_DISABLED", "true")]).unwrap_err();
    assert!(disabled.contains("no credentials for S3"), "{disabled}");
    let nowhere = settings("s3://b", &[]).unwrap();
    let nowhere = key_id(&nowhere, &keys).unwrap_err();
    assert!(nowhere.contains("s3.region"), "{nowhere}");
}

#[test]
fn what_does_not_fit_is_refused_with_what_to_write() {
    let refused = |properties: &[(&str, &str)]| {
        let error = settings("s3://b/lake", properties).unwrap_err();
        (error.property.unwrap_or_default(), error.message)
    };
    for (properties, property, words) in [
        (
            &[("s3.endpont", "https://x")][..],
            "s3.endpont",
            "did you mean s3.endpoint?",
        ),
        (&[("gcs.no-auth", "true")], "gcs.no-auth", "begin with s3."),
        (
            &[("s3.endpoint", "http://127.0.0.1:9000")],
            "s3.endpoint",
            "s3.path-style-access = true",
        ),
        (
            &[("s3.endpoint", "s3.example.com")],
            "s3.endpoint",
            "is not the URL",
        ),
        (
            &[("s3.path-style-access", "yes")],
            "s3.path-style-access",
            "neither true nor false",
        ),
        (&[("s3.access-key-id", "A")], "s3.access-key-id", "is one of two"),
        (
            &[("s3.session-token", "A")],
            "s3.secret-access-key",
            "is one of two",
        ),
        (
            &[("s3.sse.type", "custom")],
            "s3.sse.type",
            "none, s3, kms, dsse-kms",
        ),
        (
            &[("s3.sse.type", "s3"), ("s3.sse.key", "k")],
            "s3.sse.key",
            "s3.sse.type = \"kms\"",
        ),
        (
            &[("s3.write.storage-class", "GLACIER")],
            "s3.write.storage-class",
            "write one of STANDARD",
        ),
        (
            &[("s3.multipart.abort-after", "0s")],
            "s3.multipart.abort-after",
            "above zero",
        ),
        (&[("s3.write.tags.", "x")], "s3.write.tags.", "s3.write.tags.NAME"),
    ] {
        let (at, message) = refused(properties);
        assert_eq!(at, property, "{message}");
        assert!(message.contains(words), "{message}");
    }
    for warehouse in [
        "s3://",
        "s3:///lake",
        "s3://b/a//b",
        "s3://b/a%20b",
        "s3://b/../c",
        "s3a://b/lake",
    ] {
        let error = settings(warehouse, &[]).unwrap_err();
        assert_eq!(error.property, None, "{warehouse}: {error}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let login = [
        ("s3.access-key-id", "AKIA"),
        ("s3.secret-access-key", "wJalr"),
        ("s3.session-token", "FwoG"),
    ];
    let shown = format!("{:?}", settings("s3://b", &login).unwrap());
    assert!(
        shown.contains("AKIA") && !shown.contains("wJalr") && !shown.contains("FwoG"),
        "{shown}"
    );
}
