//! Deletion vectors: the positions that are deleted from one data file, as a bitmap in a Puffin file ("Deletion Vectors"
//! of the Iceberg specification, version 3; `deletion-vector-v1` of the Puffin specification).
//!
//! A manifest says where the blob stands, so that the file's footer is not read.

use std::sync::Arc;

use iceberg::io::FileIO;
use iceberg::spec::{DataFile, DataFileFormat};
use roaring::RoaringTreemap;

use super::ReadError;
use super::memory::{Memory, Reservation};

/// What a blob has beside its bitmap, in bytes: the length of the rest, the magic, and a checksum.
const LENGTH: usize = 4;
const MAGIC: [u8; 4] = [0xD1, 0xD3, 0x39, 0x64];
const CHECKSUM: usize = 4;

/// Bytes of a blob at most: Iceberg's Java library writes no larger one, since its length has to be an `int` there.
const LARGEST: u64 = i32::MAX as u64;

/// Memory that a bitmap takes, for each byte of its blob, at most about: its smallest parts have a structure each.
const MEMORY: usize = 8;

/// Where a deletion vector stands, as its manifest entry has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VectorBlob {
    /// The data file that it is of.
    pub data_file: String,
    /// Bytes from the start of the Puffin file.
    pub offset: u64,
    pub length: u64,
    /// How many positions it has.
    pub cardinality: u64,
}

impl VectorBlob {
    /// `None`: the delete file is none.
    ///
    /// # Errors
    /// An entry that does not say where it stands, or that says what cannot be.
    pub(super) fn of(file: &DataFile) -> Result<Option<Self>, ReadError> {
        if file.file_format() != DataFileFormat::Puffin {
            return Ok(None);
        }
        let unfit = |reason: &str| ReadError::DeleteFile {
            file: file.file_path().to_owned(),
            reason: reason.to_owned(),
        };
        let bytes = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
        let (Some(data_file), Some(offset), Some(length)) = (
            file.referenced_data_file(),
            bytes(file.content_offset()),
            bytes(file.content_size_in_bytes()),
        ) else {
            return Err(unfit(
                "its manifest entry does not say which data file the deletion vector is of, or where it stands",
            ));
        };
        let end = offset.checked_add(length);
        if end.is_none_or(|end| end > file.file_size_in_bytes()) {
            let size = file.file_size_in_bytes();
            return Err(unfit(&format!(
                "its deletion vector of {data_file} is said to have {length} bytes from byte {offset} on, and the file has \
                 {size}"
            )));
        }
        if length > LARGEST {
            return Err(unfit(&format!(
                "its deletion vector of {data_file} is said to have {length} bytes, and none has more than {LARGEST}"
            )));
        }
        Ok(Some(Self {
            data_file,
            offset,
            length,
            cardinality: file.record_count(),
        }))
    }
}

/// The positions that are deleted from one data file.
#[derive(Debug)]
pub struct DeletionVector {
    positions: RoaringTreemap,
    _memory: Box<dyn Reservation>,
}

impl DeletionVector {
    /// Reads the blob alone. Its memory is taken before it is read.
    pub(super) async fn read(
        file_io: &FileIO,
        path: &str,
        blob: &VectorBlob,
        memory: &dyn Memory,
    ) -> Result<Arc<Self>, ReadError> {
        let unfit = |reason: String| ReadError::DeleteFile {
            file: path.to_owned(),
            reason: format!("its deletion vector of {}: {reason}", blob.data_file),
        };
        let length = usize::try_from(blob.length).map_err(|error| unfit(error.to_string()))?;
        let mut memory = memory.reserve();
        memory.try_grow(length.saturating_mul(MEMORY))?;
        let file = file_io.new_input(path)?.reader().await?;
        let bytes = file.read(blob.offset..blob.offset + blob.length).await?;
        let positions = decode(&bytes).map_err(unfit)?;
        if positions.len() != blob.cardinality {
            return Err(unfit(format!(
                "it has {} positions, and its manifest entry says {}",
                positions.len(),
                blob.cardinality
            )));
        }
        Ok(Arc::new(Self {
            positions,
            _memory: memory,
        }))
    }

    pub(super) fn has(&self, position: u64) -> bool {
        self.positions.contains(position)
    }
}

/// The bitmap of a blob: length and checksum are big-endian, and of magic and bitmap together.
fn decode(blob: &[u8]) -> Result<RoaringTreemap, String> {
    let too_short = || format!("it has {} bytes, which is too short for one", blob.len());
    let (length, rest) = blob.split_first_chunk::<LENGTH>().ok_or_else(too_short)?;
    let (body, checksum) = rest.split_last_chunk::<CHECKSUM>().ok_or_else(too_short)?;
    let length = u32::from_be_bytes(*length);
    if u64::from(length) != body.len() as u64 {
        return Err(format!(
            "it says that it has {length} bytes, and there are {}",
            body.len()
        ));
    }
    let bitmap = body
        .strip_prefix(&MAGIC)
        .ok_or_else(|| "it does not begin as one does".to_owned())?;
    let (said, computed) = (u32::from_be_bytes(*checksum), crc32fast::hash(body));
    if said != computed {
        return Err(format!(
            "its checksum is {said:08x}, and that of its bytes {computed:08x}: it is damaged"
        ));
    }
    let mut reader = bitmap;
    let positions = RoaringTreemap::deserialize_from(&mut reader)
        .map_err(|error| format!("its bitmap cannot be read: {error}"))?;
    match reader.len() {
        0 => Ok(positions),
        left => Err(format!("{left} bytes follow its bitmap")),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use iceberg::spec::{DataContentType, DataFileBuilder};
    use proptest::prelude::*;

    use super::*;
    use crate::read::tests::Bounded;

    const PATH: &str = "memory:///t/deletes.puffin";
    const DATA: &str = "memory:///t/data.parquet";

    /// As Iceberg's Java library writes it.
    pub fn encode(positions: impl IntoIterator<Item = u64>) -> Vec<u8> {
        let mut bitmap: RoaringTreemap = positions.into_iter().collect();
        bitmap.optimize();
        let mut body = MAGIC.to_vec();
        bitmap.serialize_into(&mut body).unwrap();
        sealed(&body)
    }

    fn sealed(body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u32).to_be_bytes();
        [&length, body, &crc32fast::hash(body).to_be_bytes()].concat()
    }

    fn blob(bytes: &[u8], cardinality: u64) -> VectorBlob {
        VectorBlob {
            data_file: DATA.to_owned(),
            offset: 4,
            length: bytes.len() as u64,
            cardinality,
        }
    }

    /// A file with a vector of another data file before it.
    async fn read(bytes: &[u8], cardinality: u64, memory: &Bounded) -> Result<Vec<u64>, ReadError> {
        let file_io = FileIO::new_with_memory();
        let file = [b"PFA1", bytes, &encode([9])].concat();
        file_io
            .new_output(PATH)
            .unwrap()
            .write(file.into())
            .await
            .unwrap();
        let vector = DeletionVector::read(&file_io, PATH, &blob(bytes, cardinality), memory).await?;
        Ok(vector.positions.iter().collect())
    }

    async fn refusal(bytes: &[u8], cardinality: u64) -> String {
        let refused = read(bytes, cardinality, &Bounded::new(1 << 20)).await;
        let said = refused.unwrap_err().to_string();
        assert!(said.contains(PATH) && said.contains(DATA), "{said}");
        said
    }

    /// What the tests of Iceberg's Java library (`TestBitmapPositionDeleteIndex`) have as resources.
    #[test]
    fn what_java_writes_is_read() {
        let read = |hex: &str| -> Vec<u64> {
            let bytes = hex.as_bytes().chunks(2);
            let bytes = bytes.map(|byte| u8::from_str_radix(str::from_utf8(byte).unwrap(), 16).unwrap());
            decode(&bytes.collect::<Vec<u8>>()).unwrap().iter().collect()
        };
        let empty = "0000000cd1d339640000000000000000bf18480c";
        assert_eq!(read(empty), [0; 0]);
        let alternating = "0000002ad1d339640100000000000000000000003a3000000100000000000400\
                       1000000001000300050007000900b3fb20be";
        assert_eq!(read(alternating), [1, 3, 5, 7, 9]);
        let all_containers = "00000056d1d339640200000000000000000000003b30020006000001000100e6\
                       030200fdff0500070001000100e60301000100fdff010000003b300200060000\
                       01000100e9010200fdff0a00140001000a00e90101000100fdffc89be397";
        let (container, bitmap) = (1 << 16, 1 << 32);
        let expected = [5, 7]
            .into_iter()
            .chain(container + 1..container + 1000)
            .chain(2 * container + 1..3 * container - 1)
            .chain([bitmap + 10, bitmap + 20])
            .chain(bitmap + container + 10..bitmap + container + 500)
            .chain(bitmap + 2 * container + 1..bitmap + 3 * container - 1);
        assert_eq!(read(all_containers), expected.collect::<Vec<u64>>());
    }

    #[tokio::test]
    async fn the_blob_alone_is_read_and_its_memory_is_held() {
        let bytes = encode([0, 3, 1 << 40]);
        let memory = Bounded::new(1 << 20);
        assert_eq!(read(&bytes, 3, &memory).await.unwrap(), [0, 3, 1 << 40]);
        assert_eq!(memory.held(), 0, "it was dropped");
    }

    #[tokio::test]
    async fn what_is_damaged_is_refused() {
        let whole = encode([0, 3, 70_000]);
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            refusal(&damaged, 3).await;
        }
        for short in [0, 3, 7, 11, whole.len() - 1] {
            refusal(&whole[..short], 3).await;
        }
    }

    #[tokio::test]
    async fn each_fault_is_named() {
        let whole = encode([0, 3]);
        assert!(
            refusal(&whole, 3)
                .await
                .contains("2 positions, and its manifest entry says 3")
        );
        let mut damaged = whole.clone();
        let last = damaged.len() - 1;
        damaged[last] ^= 1;
        assert!(refusal(&damaged, 2).await.contains("checksum"));
        let body = &whole[LENGTH..whole.len() - CHECKSUM];
        assert!(refusal(&sealed(&body[1..]), 2).await.contains("does not begin"));
        assert!(
            refusal(&sealed(&[body, &[0]].concat()), 2)
                .await
                .contains("1 bytes follow")
        );
        assert!(
            refusal(&sealed(&body[..body.len() - 2]), 2)
                .await
                .contains("cannot be read")
        );
        // It claims more bitmaps than there are bytes.
        let many = [&MAGIC[..], &u64::MAX.to_le_bytes(), &body[12..]].concat();
        assert!(refusal(&sealed(&many), 2).await.contains("cannot be read"));
    }

    #[tokio::test]
    async fn one_without_memory_is_not_read() {
        let bytes = encode(0..1000);
        let little = Bounded::new(bytes.len());
        let refused = read(&bytes, 1000, &little).await;
        assert!(matches!(refused, Err(ReadError::Memory(_))), "{refused:?}");
        assert_eq!(little.held(), 0);
    }

    #[test]
    fn an_entry_that_says_what_cannot_be_is_refused() {
        let entry = |offset, length, data: Option<&str>| {
            let mut file = DataFileBuilder::default();
            file.content(DataContentType::PositionDeletes)
                .file_path(PATH.to_owned())
                .file_format(DataFileFormat::Puffin)
                .record_count(1)
                .file_size_in_bytes(1 << 33)
                .content_offset(offset)
                .content_size_in_bytes(length)
                .referenced_data_file(data.map(str::to_owned));
            VectorBlob::of(&file.build().unwrap())
        };
        let right = entry(Some(4), Some(10), Some(DATA)).unwrap();
        assert_eq!(
            right,
            Some(VectorBlob {
                cardinality: 1,
                ..blob(&[0; 10], 1)
            })
        );
        let refused = [
            (None, Some(10), Some(DATA)),
            (Some(4), None, Some(DATA)),
            (Some(4), Some(10), None),
            (Some(-1), Some(10), Some(DATA)),
            (Some(4), Some(-1), Some(DATA)),
            (Some(1 << 33), Some(1), Some(DATA)),
            (Some(i64::MAX), Some(i64::MAX), Some(DATA)),
            (Some(4), Some(1 << 32), Some(DATA)),
        ];
        for (offset, length, data) in refused {
            let said = entry(offset, length, data).unwrap_err().to_string();
            assert!(said.contains(PATH), "{said}");
        }
    }

    proptest! {
        #[test]
        fn any_positions_come_back(positions in prop::collection::btree_set(0..(1_u64 << 34), 0..200), run in 0..100_000_u64) {
            let all: std::collections::BTreeSet<u64> = positions.into_iter().chain(0..run).collect();
            let read: Vec<u64> = decode(&encode(all.iter().copied())).unwrap().iter().collect();
            prop_assert_eq!(read, all.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn no_bytes_are_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&sealed(&[&MAGIC[..], &bytes].concat()));
        }
    }
}
