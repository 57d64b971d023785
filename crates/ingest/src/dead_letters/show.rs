//! One dead letter, whole.

use arrow::array::{Array, AsArray, LargeBinaryArray};
use iceberg::TableIdent;
use iceberg::expr::Reference;
use iceberg::spec::Datum;
use tabletopic_offsets::Offset;
use tabletopic_records::Headers;
use tabletopic_table::Lake;
use tabletopic_table::commit::CommitError;
use tabletopic_table::follower::letters::{Addresses, Letters};

use super::error::DeadLettersError;
use super::letter::{Letter, LetterHeaders, WholeLetter};
use super::list::{Rows, main_table};
use super::selection::{Records, Selection};

/// Letters that an error names.
const NEAREST: usize = 3;

/// The letters of these records. A topic that was created again has the same offsets once more.
///
/// # Errors
/// [`DeadLettersError::NoSuchLetter`]; those of reading the tables.
pub async fn show(
    lake: &Lake,
    table: &TableIdent,
    records: &Records,
) -> Result<Vec<WholeLetter>, DeadLettersError> {
    let base = main_table(lake, table).await?;
    let letters = Letters::open(lake, &base).await?;
    let selection = Selection {
        records: vec![records.clone()],
        ..Selection::default()
    };
    let rows = Rows::of(lake, &base, &letters, &selection).await?;
    let columns: Vec<&str> = Letter::COLUMNS
        .into_iter()
        .chain(["key", "value", "headers"])
        .collect();
    let mut found = Vec::new();
    let mut reading = letters.read(&columns, selection.predicate()).await?;
    while let Some(batch) = reading.next().await? {
        let letters = Letter::of(&batch, |topic, partition, offset| {
            rows.holds(topic, partition, offset)
        });
        let (keys, values) = (batch.column(9).as_binary(), batch.column(10).as_binary());
        for (row, letter) in letters.into_iter().enumerate() {
            let mut headers = Vec::new();
            LetterHeaders::of(batch.column(11), row).for_each(&mut |key, value| {
                headers.push((key.to_owned(), value.map(<[u8]>::to_vec)));
            });
            found.push(WholeLetter {
                letter,
                key: bytes(keys, row),
                value: bytes(values, row),
                headers,
            });
        }
    }
    match found.is_empty() {
        false => Ok(found),
        true => Err(DeadLettersError::NoSuchLetter {
            table: table.to_string(),
            records: records.clone(),
            nearest: nearest(&letters, records).await?,
        }),
    }
}

fn bytes(column: &LargeBinaryArray, row: usize) -> Option<Vec<u8>> {
    column.is_valid(row).then(|| column.value(row).to_vec())
}

/// Letters of the same topic partition.
async fn nearest(letters: &Letters<'_>, records: &Records) -> Result<Vec<String>, CommitError> {
    let of_partition = Reference::new("topic")
        .equal_to(Datum::string(&*records.topic))
        .and(Reference::new("partition").equal_to(Datum::int(records.partition)));
    let mut nearest: Vec<Offset> = Vec::new();
    let mut reading = letters.read(&[], of_partition).await?;
    while let Some(batch) = reading.next().await? {
        nearest.extend(Addresses::of(&batch).iter().map(|letter| letter.offset));
        nearest.sort_by_key(|offset| offset.abs_diff(records.range.start));
        nearest.truncate(NEAREST);
    }
    let address = |offset: &Offset| format!("{}/{}@{offset}", records.topic, records.partition);
    Ok(nearest.iter().map(address).collect())
}
