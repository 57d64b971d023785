//! Finds assertions, and reads their files.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::{AssertError, Assertion, csv, rows::Rows};

/// Bytes of a query, and of what it is expected to answer.
const MOST_QUERY: u64 = 1 << 20;
const MOST_EXPECTED: u64 = 16 << 20;

/// Nothing to judge is an error: a run that judges nothing would pass.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error("cannot read {}: {error}", .path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("{} is no .sql file", .0.display())]
    NotSql(PathBuf),
    #[error("there is no .sql file in {}", .0.display())]
    Empty(PathBuf),
}

/// The assertions of files, and of folders with the folders in them, sorted by path, each once. Names that begin with
/// a dot are left out of folders, and links to other folders are not followed.
///
/// # Errors
/// A path that is not there, or has no query.
pub fn find(paths: &[PathBuf]) -> Result<Vec<Assertion>, FindError> {
    let mut queries = BTreeSet::new();
    for path in paths {
        let failed = |error| FindError::Read {
            path: path.clone(),
            error,
        };
        if path.metadata().map_err(failed)?.is_dir() {
            let mut found = BTreeSet::new();
            in_folder(path, &mut found)?;
            if found.is_empty() {
                return Err(FindError::Empty(path.clone()));
            }
            queries.append(&mut found);
        } else if is_query(path) {
            queries.insert(path.clone());
        } else {
            return Err(FindError::NotSql(path.clone()));
        }
    }
    Ok(queries.into_iter().map(assertion).collect())
}

fn in_folder(folder: &Path, found: &mut BTreeSet<PathBuf>) -> Result<(), FindError> {
    let failed = |error| FindError::Read {
        path: folder.to_owned(),
        error,
    };
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if entry.file_type().map_err(failed)?.is_dir() {
            in_folder(&path, found)?;
        } else if is_query(&path) {
            found.insert(path);
        }
    }
    Ok(())
}

fn is_query(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "sql")
}

fn assertion(query: PathBuf) -> Assertion {
    let expected = query.with_extension("csv");
    Assertion {
        name: query.with_extension("").display().to_string(),
        expected: expected.exists().then_some(expected),
        query,
    }
}

/// The text of a query's file.
pub fn query(file: &Path) -> Result<String, AssertError> {
    read(file, MOST_QUERY)
}

/// What a file expects.
pub fn expected(file: &Path) -> Result<Rows, AssertError> {
    csv::parse(&read(file, MOST_EXPECTED)?).map_err(|error| AssertError::Expected {
        file: file.to_owned(),
        line: error.line,
        reason: error.reason,
    })
}

fn read(file: &Path, most: u64) -> Result<String, AssertError> {
    let failed = |error| AssertError::Read {
        file: file.to_owned(),
        error,
    };
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(failed)?;
    opened.take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most {
        return Err(AssertError::TooLarge {
            file: file.to_owned(),
            most,
        });
    }
    String::from_utf8(bytes).map_err(|_| failed(io::Error::new(ErrorKind::InvalidData, "it is not UTF-8")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_searched_and_each_query_is_found_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(path("more/.hidden")).unwrap();
        for name in [
            "b.sql",
            "b.csv",
            "a.txt",
            ".c.sql",
            "more/a.sql",
            "more/.hidden/d.sql",
        ] {
            std::fs::write(path(name), "").unwrap();
        }
        let found = find(&[folder.path().to_owned(), path("b.sql")]).unwrap();
        let names: Vec<&str> = found.iter().map(|assertion| assertion.name.as_str()).collect();
        assert_eq!(
            names,
            [path("b").to_str().unwrap(), path("more/a").to_str().unwrap()]
        );
        assert_eq!(found[0].expected, Some(path("b.csv")));
        assert_eq!(found[1].expected, None);
    }

    #[test]
    fn nothing_to_judge_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        assert!(matches!(
            find(std::slice::from_ref(&path)),
            Err(FindError::Empty(_))
        ));
        assert!(matches!(find(&[path.join("no")]), Err(FindError::Read { .. })));
        std::fs::write(path.join("a.txt"), "").unwrap();
        assert!(matches!(find(&[path.join("a.txt")]), Err(FindError::NotSql(_))));
    }

    #[test]
    fn more_than_is_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.sql");
        std::fs::write(&file, vec![b' '; MOST_QUERY as usize + 1]).unwrap();
        assert!(matches!(query(&file), Err(AssertError::TooLarge { .. })));
        std::fs::write(&file, [0xff]).unwrap();
        assert!(matches!(query(&file), Err(AssertError::Read { .. })));
    }
}
