//! `${env:NAME}` and `${file:path}`: values that do not stand in the file itself.

use std::path::Path;

/// Where references look.
pub struct References<'a> {
    /// The process's environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The configuration file's folder: relative paths start here.
    pub folder: &'a Path,
}

/// What stands for a topic's name.
pub const TOPIC: &str = "${topic}";

/// What looks like a reference and stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    None,
    /// [`TOPIC`].
    Topic,
}

impl Kept {
    /// In the value of a key.
    pub fn of(key: &str) -> Self {
        match key {
            "table" => Self::Topic,
            _ => Self::None,
        }
    }
}

impl References<'_> {
    /// `text` with every reference replaced, or `None` if it has none. Errors name the reference, never a value.
    pub fn resolve(&self, text: &str, kept: Kept) -> Result<Option<String>, String> {
        let mut resolved = String::new();
        let mut rest = text;
        while let Some((before, from)) = rest.split_once("${") {
            let Some((reference, after)) = from.split_once('}') else {
                return Err(
                    "a reference has no closing brace; write `${env:NAME}` or `${file:path}`".to_owned(),
                );
            };
            resolved.push_str(before);
            match (reference, kept) {
                ("topic", Kept::Topic) => resolved.push_str(TOPIC),
                _ => resolved.push_str(&self.look_up(reference)?),
            }
            rest = after;
        }
        if rest.len() == text.len() {
            return Ok(None);
        }
        resolved.push_str(rest);
        Ok(Some(resolved))
    }

    fn look_up(&self, reference: &str) -> Result<String, String> {
        match reference.split_once(':') {
            Some(("env", name)) => {
                (self.env)(name).ok_or_else(|| format!("the environment variable {name} is not set; set it"))
            }
            Some(("file", path)) => {
                let path = self.folder.join(path);
                match std::fs::read_to_string(&path) {
                    // Editors and `echo` end a file with a newline that is no part of a password.
                    Ok(content) => Ok(content.trim_end_matches(['\r', '\n']).to_owned()),
                    Err(error) => Err(format!("cannot read {}: {error}", path.display())),
                }
            }
            None if reference == "topic" => Err(
                "`${topic}` may stand in a topic's `table` only; write what is meant in its place".to_owned(),
            ),
            _ => Err(format!(
                "`${{{reference}}}` is not a reference; write `${{env:NAME}}` or `${{file:path}}`"
            )),
        }
    }
}
