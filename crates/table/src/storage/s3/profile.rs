//! Credentials from the files that AWS's tools share, `~/.aws/credentials` and `~/.aws/config`
//! (<https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>), which others may rewrite at any time: they are
//! read for each request. That is a small file beside a request over the network, and nothing can be stale.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;

use super::super::settings::{Environment, OpenError};

/// Where the two files are. Either may not be there.
#[derive(Debug, Clone)]
pub(super) struct SharedFiles {
    credentials: PathBuf,
    config: PathBuf,
}

/// What a profile says, by key; keys of the credentials file before those of the configuration.
type Profile = BTreeMap<String, String>;

/// Ways to get credentials that a profile can name and that are not known here.
const OTHER_WAYS: [&str; 8] = [
    "role_arn",
    "source_profile",
    "credential_source",
    "credential_process",
    "sso_session",
    "sso_start_url",
    "web_identity_token_file",
    "login_session",
];

impl SharedFiles {
    pub(super) fn of(environment: &Environment<'_>) -> Self {
        let home = environment("HOME").unwrap_or_default();
        let file = |variable: &str, name: &str| match environment(variable) {
            Some(path) if !path.is_empty() => PathBuf::from(path),
            _ => Path::new(&home).join(".aws").join(name),
        };
        Self {
            credentials: file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
            config: file("AWS_CONFIG_FILE", "config"),
        }
    }

    /// Whether either file has this profile with anything that leads to credentials.
    pub(super) fn has(&self, profile: &str) -> bool {
        let found = self.read(profile).unwrap_or_default();
        found.contains_key("aws_access_key_id") || OTHER_WAYS.iter().any(|way| found.contains_key(*way))
    }

    pub(super) fn region(&self, profile: &str) -> Option<String> {
        self.read(profile).ok()?.remove("region")
    }

    fn read(&self, profile: &str) -> io::Result<Profile> {
        let text = |path: &Path| match std::fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            read => read,
        };
        let mut found = section(&text(&self.config)?, |name| {
            name.strip_prefix("profile ").map(str::trim) == Some(profile)
                || (name == profile && name == "default")
        });
        found.extend(section(&text(&self.credentials)?, |name| name == profile));
        Ok(found)
    }

    /// # Errors
    /// In words, with what to do.
    fn credential(&self, profile: &str) -> Result<AwsCredential, String> {
        let files = format!("{} and {}", self.credentials.display(), self.config.display());
        let found = self.read(profile).map_err(|error| {
            format!("cannot read {files}: {error}; give this process's user the right to")
        })?;
        if let Some(way) = OTHER_WAYS.iter().find(|way| found.contains_key(**way)) {
            return Err(format!(
                "profile {profile} in {files} gets its credentials by {way}, which is not supported; have something \
                 that can (`aws configure export-credentials`) write keys into a profile, whose changes are followed"
            ));
        }
        match (found.get("aws_access_key_id"), found.get("aws_secret_access_key")) {
            (Some(key_id), Some(secret_key)) => Ok(AwsCredential {
                key_id: key_id.clone(),
                secret_key: secret_key.clone(),
                token: found.get("aws_session_token").cloned(),
            }),
            _ => Err(format!(
                "{files} have no profile {profile} with aws_access_key_id and aws_secret_access_key; add them, or \
                 correct s3.profile-name or AWS_PROFILE"
            )),
        }
    }
}

/// The keys of the section whose name `is` the right one. Keys that stand further in belong to the one above them, and
/// none of these is of interest.
fn section(text: &str, is: impl Fn(&str) -> bool) -> Profile {
    let mut found = Profile::new();
    let mut within = false;
    for line in text.lines() {
        let plain = line.split(" #").next().unwrap_or(line);
        let plain = plain.split(" ;").next().unwrap_or(plain);
        if let Some(name) = plain
            .trim()
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'))
        {
            within = is(name.trim());
        } else if within
            && !line.starts_with([' ', '\t', '#', ';'])
            && let Some((key, value)) = plain.split_once('=')
        {
            found.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    found
}

/// The credentials of a profile, as its files have them now.
#[derive(Debug)]
pub(super) struct ProfileCredentials {
    files: SharedFiles,
    profile: String,
    last: Mutex<Last>,
}

#[derive(Debug)]
struct Last {
    credential: Arc<AwsCredential>,
    /// Whether the files have been unreadable since, which is said once.
    unreadable: bool,
}

impl ProfileCredentials {
    /// # Errors
    /// If there are none now.
    pub(super) fn open(files: SharedFiles, profile: &str) -> Result<Self, OpenError> {
        let credential = files.credential(profile).map_err(OpenError)?;
        Ok(Self {
            files,
            profile: profile.to_owned(),
            last: Mutex::new(Last {
                credential: Arc::new(credential),
                unreadable: false,
            }),
        })
    }

    /// The newest that could be read: whoever rewrites a file may have it half done.
    fn newest(&self, read: Result<AwsCredential, String>) -> Arc<AwsCredential> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(credential) => {
                if *last.credential != credential {
                    tracing::info!(profile = %self.profile, "credentials have changed");
                    last.credential = Arc::new(credential);
                }
                last.unreadable = false;
            }
            Err(problem) => {
                if !last.unreadable {
                    tracing::warn!("going on with the credentials that were there before: {problem}");
                }
                last.unreadable = true;
            }
        }
        last.credential.clone()
    }
}

#[async_trait]
impl CredentialProvider for ProfileCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let (files, profile) = (self.files.clone(), self.profile.clone());
        let read = tokio::task::spawn_blocking(move || files.credential(&profile)).await?;
        Ok(self.newest(read))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(credentials: &str, config: &str) -> (tempfile::TempDir, SharedFiles) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".aws")).unwrap();
        std::fs::write(folder.path().join(".aws/credentials"), credentials).unwrap();
        std::fs::write(folder.path().join(".aws/config"), config).unwrap();
        let home = folder.path().to_str().unwrap().to_owned();
        let files = SharedFiles::of(&move |name: &str| (name == "HOME").then(|| home.clone()));
        (folder, files)
    }

    fn keys(credential: &AwsCredential) -> (&str, &str, Option<&str>) {
        (
            &credential.key_id,
            &credential.secret_key,
            credential.token.as_deref(),
        )
    }

    #[test]
    fn profiles_are_read_as_aws_tools_write_them() {
        let (_folder, files) = files(
            "# comment\n[default]\naws_access_key_id=A\naws_secret_access_key = s3=cret/+  # rotated\n\n\
             [ other ]\nAWS_ACCESS_KEY_ID = B\naws_secret_access_key = t\naws_session_token = u\n",
            "[default]\nregion = eu-central-1\ns3 =\n    aws_access_key_id = nested\n\
             [profile third]\naws_access_key_id = C\naws_secret_access_key = v\n[third]\naws_access_key_id = no\n",
        );
        assert_eq!(
            keys(&files.credential("default").unwrap()),
            ("A", "s3=cret/+", None)
        );
        assert_eq!(keys(&files.credential("other").unwrap()), ("B", "t", Some("u")));
        assert_eq!(keys(&files.credential("third").unwrap()), ("C", "v", None));
        assert_eq!(files.region("default").as_deref(), Some("eu-central-1"));
        assert!(files.has("third") && !files.has("fourth"));
        let missing = files.credential("fourth").unwrap_err();
        assert!(missing.contains("no profile fourth"), "{missing}");
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let (_folder, files) = files("", "[profile work]\nsso_session = corp\nregion = x\n");
        assert!(files.has("work"));
        let refused = ProfileCredentials::open(files, "work").unwrap_err().to_string();
        assert!(
            refused.contains("by sso_session, which is not supported"),
            "{refused}"
        );
    }

    #[tokio::test]
    async fn a_rewritten_file_is_followed_and_a_half_written_one_is_not() {
        let text = |key: &str| format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = s\n");
        let (folder, files) = files(&text("A"), "");
        let provider = ProfileCredentials::open(files, "default").unwrap();
        let path = folder.path().join(".aws/credentials");
        for (written, expected) in [
            (text("B"), "B"),
            ("[default]\naws_access_key_id = C\n".to_owned(), "B"),
            (text("C"), "C"),
        ] {
            std::fs::write(&path, written).unwrap();
            assert_eq!(provider.get_credential().await.unwrap().key_id, expected);
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(provider.get_credential().await.unwrap().key_id, "C");
    }
}
