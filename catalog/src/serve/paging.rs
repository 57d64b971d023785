//! Lists in pages. A page token is the last name of the page before, so that nothing is skipped or told twice when
//! names come and go between two pages.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::error::Refusal;
use super::request::Asked;

/// Names of one page, if the client asks for pages without saying how large.
const PAGE: usize = 1000;

/// What a client asks of a list.
#[derive(Debug)]
pub struct Page {
    after: Option<String>,
    size: usize,
}

impl Page {
    /// All of the list, unless the client speaks of pages.
    pub fn of(asked: &Asked) -> Result<Self, Refusal> {
        let token = asked.query("pageToken");
        let size = match asked.query("pageSize") {
            Some(size) => size.parse().ok().filter(|size| *size > 0).ok_or_else(|| {
                Refusal::bad_request(format!("{size:?} is no pageSize; write a number from 1 on"))
            })?,
            None if token.is_some() => PAGE,
            None => usize::MAX,
        };
        let after = token.filter(|token| !token.is_empty()).map(decode).transpose()?;
        Ok(Self { after, size })
    }

    /// This page of a sorted list, and the token of the next one, if there is one.
    pub fn cut<T>(&self, sorted: Vec<T>, name: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
        let begin = match &self.after {
            Some(after) => sorted.partition_point(|one| name(one) <= *after),
            None => 0,
        };
        let more = sorted.len().saturating_sub(begin) > self.size;
        let page: Vec<T> = sorted.into_iter().skip(begin).take(self.size).collect();
        let next = page.last().filter(|_| more);
        let next = next.map(|last| URL_SAFE_NO_PAD.encode(name(last)));
        (page, next)
    }
}

fn decode(token: &str) -> Result<String, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| {
            Refusal::bad_request("this pageToken is not of this server; begin with the first page")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(after: Option<&str>, size: usize, names: &[&str]) -> (Vec<String>, Option<String>) {
        let page = Page {
            after: after.map(|token| decode(token).unwrap()),
            size,
        };
        page.cut(
            names.iter().map(|name| (*name).to_owned()).collect(),
            Clone::clone,
        )
    }

    #[test]
    fn pages_follow_each_other_whatever_comes_and_goes() {
        let (first, next) = cut(None, 2, &["a", "b", "c", "d", "e"]);
        assert_eq!(first, ["a", "b"]);
        let (second, next) = cut(next.as_deref(), 2, &["a", "aa", "c", "d", "e"]);
        assert_eq!(second, ["c", "d"]);
        let (third, next) = cut(next.as_deref(), 2, &["c", "d", "e"]);
        assert_eq!((third, next), (vec!["e".to_owned()], None));
        assert_eq!(cut(None, usize::MAX, &[]), (Vec::new(), None));
        assert_eq!(cut(None, 2, &["a", "b"]).1, None);
    }

    #[test]
    fn a_token_of_somebody_else_is_refused() {
        assert!(decode("%%").is_err());
    }
}
