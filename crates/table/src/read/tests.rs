//! Files as other engines write them, read back.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Float64Type, Schema as ArrowSchema};
use futures::TryStreamExt;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::io::FileIO;
use iceberg::spec::{
    DataContentType, FormatVersion, NestedField, PartitionSpec, PrimitiveType, Schema, SortOrder,
    TableMetadataBuilder, TableMetadataRef, Type,
};
use parquet::arrow::{ArrowWriter, PARQUET_FIELD_ID_META_KEY};

use super::{DeleteFile, DeleteFiles, Memory, OpenFile, ReadError, Reservation, row_schema};

/// The reserved field ids of the columns of position delete files, as the specification has them.
const FILE_PATH: i32 = 2_147_483_546;
const POSITION: i32 = 2_147_483_545;

const DATA: &str = "memory:///t/data.parquet";
const BY_POSITION: &str = "memory:///t/by-position.parquet";
const BY_VALUE: &str = "memory:///t/by-value.parquet";

/// Memory that has an end, and knows what is held of it.
#[derive(Debug, Clone)]
pub struct Bounded {
    most: usize,
    held: Arc<AtomicUsize>,
}

impl Bounded {
    pub fn new(most: usize) -> Self {
        Self {
            most,
            held: Arc::default(),
        }
    }

    pub fn held(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }
}

impl Memory for Bounded {
    fn reserve(&self) -> Box<dyn Reservation> {
        Box::new(Held {
            of: self.clone(),
            bytes: 0,
        })
    }
}

#[derive(Debug)]
struct Held {
    of: Bounded,
    bytes: usize,
}

impl Reservation for Held {
    fn try_grow(&mut self, bytes: usize) -> Result<(), ReadError> {
        if self.of.held() + bytes > self.of.most {
            return Err(ReadError::Memory(format!("{bytes} bytes are not left")));
        }
        self.of.held.fetch_add(bytes, Ordering::SeqCst);
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.held.fetch_sub(self.bytes, Ordering::SeqCst);
    }
}

fn schema() -> Schema {
    let field = |id, name: &str, ty| Arc::new(NestedField::optional(id, name, Type::Primitive(ty)));
    let fields = [
        field(1, "id", PrimitiveType::Long),
        field(2, "x", PrimitiveType::Double),
    ];
    Schema::builder().with_fields(fields).build().unwrap()
}

fn metadata() -> TableMetadataRef {
    let builder = TableMetadataBuilder::new(
        schema(),
        PartitionSpec::unpartition_spec(),
        SortOrder::unsorted_order(),
        "memory:///t".to_owned(),
        FormatVersion::V2,
        HashMap::new(),
    );
    Arc::new(builder.unwrap().build().unwrap().metadata)
}

/// The bytes of the file.
async fn write(file_io: &FileIO, path: &str, columns: Vec<(i32, &str, ArrayRef)>) -> u64 {
    let fields = columns.iter().map(|(id, name, values)| {
        let id = HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())]);
        Field::new(*name, values.data_type().clone(), true).with_metadata(id)
    });
    let schema = Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()));
    let values = columns.iter().map(|(_, _, values)| values.clone()).collect();
    let batch = RecordBatch::try_new(schema.clone(), values).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let size = bytes.len() as u64;
    let output = file_io.new_output(path).unwrap();
    output.write(bytes.into()).await.unwrap();
    size
}

fn longs(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

/// Deletes the fourth row of the data file, and one of another file.
async fn by_position(file_io: &FileIO) -> DeleteFile {
    let paths = StringArray::from(vec![DATA, "memory:///t/other.parquet"]);
    let columns: Vec<(i32, &str, ArrayRef)> = vec![
        (FILE_PATH, "file_path", Arc::new(paths)),
        (POSITION, "pos", longs(&[3, 0])),
    ];
    DeleteFile {
        path: BY_POSITION.to_owned(),
        size: write(file_io, BY_POSITION, columns).await,
        content: DataContentType::PositionDeletes,
        equality_ids: Vec::new(),
        vector: None,
    }
}

/// Deletes rows of the id 4.
async fn by_value(file_io: &FileIO) -> DeleteFile {
    DeleteFile {
        path: BY_VALUE.to_owned(),
        size: write(file_io, BY_VALUE, vec![(1, "id", longs(&[4]))]).await,
        content: DataContentType::EqualityDeletes,
        equality_ids: vec![1],
        vector: None,
    }
}

#[tokio::test]
async fn deleted_rows_are_left_out_and_the_others_keep_their_bits() {
    let file_io = FileIO::new_with_memory();
    // A NaN with a sign and a payload, and both zeros.
    let values = [f64::from_bits(0xfff8_0000_0000_0001), -0.0, 0.0, 1.5, 2.5, 3.5];
    let columns: Vec<(i32, &str, ArrayRef)> = vec![
        (1, "id", longs(&[0, 1, 2, 3, 4, 5])),
        (2, "x", Arc::new(Float64Array::from(values.to_vec()))),
    ];
    let size = write(&file_io, DATA, columns).await;
    let deletes = [by_position(&file_io).await, by_value(&file_io).await];
    let files = DeleteFiles::new(file_io.clone(), metadata());
    let deletes = files.of(DATA, &deletes, &Bounded::new(usize::MAX)).await.unwrap();

    // The column that is compared is not among those that are wanted.
    let wanted = [schema_to_arrow_schema(&schema()).unwrap().fields()[1].clone()];
    let rows = Arc::new(row_schema(&schema()).unwrap().project(&[1]).unwrap());
    let file = OpenFile::open(&file_io, DATA, size).await.unwrap();
    let batches = file.rows(&wanted, rows, vec![0], deletes).unwrap();
    let batches: Vec<RecordBatch> = batches.try_collect().await.unwrap();
    let bits = batches.iter().flat_map(|batch| {
        let column = batch.column(0).as_primitive::<Float64Type>();
        column.values().iter().map(|x| x.to_bits())
    });
    let expected = [values[0], values[1], values[2], values[5]].map(f64::to_bits);
    assert_eq!(bits.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn memory_is_held_once_and_until_the_delete_files_are_dropped() {
    let file_io = FileIO::new_with_memory();
    let deletes = [by_position(&file_io).await, by_value(&file_io).await];
    let files = DeleteFiles::new(file_io, metadata());
    let memory = Bounded::new(1 << 20);
    files.of(DATA, &deletes[..1], &memory).await.unwrap();
    let positions = memory.held();
    assert_eq!(positions, 2 * size_of::<u64>());
    files.of(DATA, &deletes, &memory).await.unwrap();
    let both = memory.held();
    assert!(both > positions, "{both}");
    files
        .of("memory:///t/other.parquet", &deletes, &memory)
        .await
        .unwrap();
    assert_eq!(memory.held(), both, "each file is read once");
    drop(files);
    assert_eq!(memory.held(), 0);
}

#[tokio::test]
async fn delete_files_without_memory_are_an_error_and_can_be_asked_for_again() {
    let file_io = FileIO::new_with_memory();
    let deletes = [by_position(&file_io).await, by_value(&file_io).await];
    let files = DeleteFiles::new(file_io, metadata());
    for file in &deletes {
        let little = Bounded::new(size_of::<u64>());
        let refused = files.of(DATA, std::slice::from_ref(file), &little).await;
        assert!(matches!(refused, Err(ReadError::Memory(_))), "{refused:?}");
        assert_eq!(little.held(), 0);
    }
    let deletes = files.of(DATA, &deletes, &Bounded::new(1 << 20)).await.unwrap();
    assert_eq!(deletes.positions.listed, [3]);
    assert_eq!(deletes.values.len(), 1);
}

#[tokio::test]
async fn position_deletes_of_other_types_are_refused() {
    let file_io = FileIO::new_with_memory();
    let columns: Vec<(i32, &str, ArrayRef)> = vec![
        (POSITION, "pos", longs(&[3])),
        (FILE_PATH, "file_path", longs(&[0])),
    ];
    let file = DeleteFile {
        size: write(&file_io, BY_POSITION, columns).await,
        ..by_position(&FileIO::new_with_memory()).await
    };
    let files = DeleteFiles::new(file_io, metadata());
    let refused = files.of(DATA, &[file], &Bounded::new(1 << 20)).await;
    let said = refused.unwrap_err().to_string();
    assert!(
        said.contains(BY_POSITION) && said.contains("file_path") && said.contains("Int64"),
        "{said}"
    );
}

#[tokio::test]
async fn the_columns_of_position_deletes_may_stand_in_either_order() {
    let file_io = FileIO::new_with_memory();
    let columns: Vec<(i32, &str, ArrayRef)> = vec![
        (POSITION, "pos", longs(&[3])),
        (FILE_PATH, "file_path", Arc::new(StringArray::from(vec![DATA]))),
    ];
    let file = DeleteFile {
        size: write(&file_io, BY_POSITION, columns).await,
        ..by_position(&FileIO::new_with_memory()).await
    };
    let files = DeleteFiles::new(file_io, metadata());
    let deletes = files.of(DATA, &[file], &Bounded::new(1 << 20)).await.unwrap();
    assert_eq!(deletes.positions.listed, [3]);
}
