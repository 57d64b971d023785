//! An error in one sentence.

/// The error and its causes, without those that the words before them tell already.
pub fn sentence(error: &anyhow::Error) -> String {
    error
        .chain()
        .map(ToString::to_string)
        .fold(String::new(), |told, cause| match told.as_str() {
            "" => cause,
            _ if told.contains(&cause) => told,
            _ => format!("{told}: {cause}"),
        })
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let store = anyhow!("the store is away").context("request failed: the store is away");
        let error = store.context("cannot write");
        assert_eq!(
            sentence(&error),
            "cannot write: request failed: the store is away"
        );
    }
}
