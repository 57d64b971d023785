//! What somebody may have meant.

/// How alike two names must be to be worth a mention.
const ALIKE: f64 = 0.75;

/// Up to three of `known` that are like `name`, the nearest first; ones that differ only in case are nearest.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<String> {
    let lower = name.to_lowercase();
    let mut found: Vec<(f64, &str)> = known
        .map(|other| (strsim::jaro_winkler(&lower, &other.to_lowercase()), other))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    found.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(right.1)));
    found.truncate(3);
    // Where one is clearly meant, the others only distract.
    let clear = found.first().is_some_and(|(likeness, _)| *likeness >= 0.95);
    found.truncate(if clear { 1 } else { 3 });
    found.into_iter().map(|(_, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_comes_first_and_what_is_far_not_at_all() {
        let known = ["orders", "orders__ledger", "payments"];
        assert_eq!(nearest("ordes", known.into_iter())[0], "orders");
        assert_eq!(nearest("ORDERS", known.into_iter()), ["orders"]);
        assert!(nearest("xyzzy", known.into_iter()).is_empty());
    }
}
