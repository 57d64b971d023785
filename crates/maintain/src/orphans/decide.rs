//! What becomes of a file that lies below a table's location: pure.

use serde::Serialize;
use tabletopic_clock::Millis;
use tabletopic_table::storage::Listed;

use super::name::Names;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fate {
    /// The table leads to it.
    Reachable,
    /// Somebody hides it from tables.
    Hidden,
    /// A commit that is under way may yet bring it in.
    Young,
    Orphan,
}

/// `before`: files that were last changed earlier than this are old enough.
pub(super) fn decide(file: &Listed, reachable: &Names, before: Millis) -> Fate {
    if reachable.has(&file.location) {
        Fate::Reachable
    } else if reachable.hides(&file.location) {
        Fate::Hidden
    } else if file.modified >= before {
        Fate::Young
    } else {
        Fate::Orphan
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FOLDER: &str = "s3://lake/shop/orders";

    /// As a writer may have spelled a file of the table.
    fn spelled(name: &str, how: u8) -> String {
        let escaped = name.replace('%', "%25").replace(' ', "%20");
        match how % 8 {
            0 => format!("{FOLDER}/{name}"),
            1 => format!("s3a://lake/shop/orders/{name}"),
            2 => format!("{FOLDER}//{name}"),
            3 => format!("{FOLDER}/{escaped}"),
            4 => format!("s3n://lake//shop/./orders/{escaped}"),
            5 => format!("{FOLDER}/data/../{}", name.replace('/', "%2F")),
            6 => format!("/shop/orders/{name}"),
            _ => format!("s3://alias/another/folder/{name}"),
        }
    }

    fn names() -> impl Strategy<Value = String> {
        "(data|metadata)(/[a-c]=[a-c %]{1,3}){0,2}/[a-c %0-9=#-]{1,6}[.](parquet|avro)"
    }

    proptest! {
        #[test]
        fn what_is_needed_or_young_is_no_orphan(
            needed in prop::collection::vec((names(), any::<u8>()), 0..20),
            listed in prop::collection::vec((names(), 0..100_i64), 0..40),
            now in 0..100_i64,
            age in 0..100_i64,
        ) {
            let mut reachable = Names::below(FOLDER).unwrap();
            for (name, how) in &needed {
                prop_assert!(reachable.insert(&spelled(name, *how)));
            }
            let times = listed.iter().map(|(_, modified)| *modified).chain([0; 20]);
            let names = listed.iter().map(|(name, _)| name).chain(needed.iter().map(|(name, _)| name));
            for (name, modified) in names.zip(times) {
                let file = Listed { location: format!("{FOLDER}/{name}"), bytes: 1, modified };
                let fate = decide(&file, &reachable, now - age);
                let is_needed = needed.iter().any(|(other, _)| other == name);
                if is_needed {
                    prop_assert_eq!(fate, Fate::Reachable, "{}", file.location);
                }
                if fate == Fate::Orphan {
                    prop_assert!(now - modified > age, "{} of {modified} at {now}", file.location);
                }
                // And it is not that nothing ever goes: readings of escapes apart, the rest does.
                let plain = needed.iter().all(|(other, _)| !other.contains('%')) && !name.contains('%');
                let namesake = needed.iter().any(|(other, _)| other.rsplit('/').next() == name.rsplit('/').next());
                if plain && !namesake && now - modified > age {
                    prop_assert_eq!(fate, Fate::Orphan, "{}", file.location);
                }
            }
        }
    }
}
