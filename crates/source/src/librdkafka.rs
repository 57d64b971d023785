//! The calls that the `rdkafka` crate does not offer: all `unsafe` code of this crate, each block
//! with the reason why it is sound. Contracts are those of `rdkafka.h` in librdkafka 2.12.1.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka_sys::bindings as rd;
use tabletopic_offsets::TopicPartition;
use tabletopic_records::{Headers, Record};

use crate::{Position, Token, gzip};

/// The one queue that all partitions of a client are read from.
///
/// A raw pointer makes it neither `Send` nor `Sync`, as it should be: batches, seeks and rebalances
/// of a source happen on one thread.
pub(crate) struct DataQueue {
    queue: NonNull<rd::rd_kafka_queue_t>,
    /// Room for one batch, reused.
    messages: Vec<*mut rd::rd_kafka_message_t>,
}

impl DataQueue {
    /// `batch` is the largest number of records taken at once. The queue must be dropped before the
    /// consumer, like everything that was made with a client.
    pub(crate) fn new<C: ConsumerContext>(consumer: &BaseConsumer<C>, batch: usize) -> Option<Self> {
        // SAFETY: the consumer's handle is valid while it is borrowed. The queue is ours alone.
        let queue = unsafe { rd::rd_kafka_queue_new(consumer.client().native_ptr()) };
        Some(Self {
            queue: NonNull::new(queue)?,
            messages: Vec::with_capacity(batch),
        })
    }

    /// Sends what is fetched of a partition here instead of to the consumer's own queue. What waits
    /// in the partition's queue moves along. False for a name that cannot be a topic.
    pub(crate) fn forward<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        tp: &TopicPartition,
    ) -> bool {
        let Ok(topic) = CString::new(&*tp.topic) else {
            return false;
        };
        // SAFETY: handle and string are valid for the call, which copies the string. The partition's
        // queue is a counted reference, given back here; forwarding counts a reference of its own
        // on our queue, so that either side may go first.
        unsafe {
            let partition = rd::rd_kafka_queue_get_partition(
                consumer.client().native_ptr(),
                topic.as_ptr(),
                tp.partition,
            );
            if partition.is_null() {
                return false;
            }
            rd::rd_kafka_queue_forward(partition, self.queue.as_ptr());
            rd::rd_kafka_queue_destroy(partition);
        }
        true
    }

    /// Takes what is there, waiting up to `wait` for a full batch.
    pub(crate) fn consume(&mut self, wait: Duration) -> Batch<'_> {
        let wait = c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: `messages` is empty between batches (`Batch` empties it, and it is also cleared
        // here in case one was leaked), so up to its capacity may be written. The call returns how
        // many pointers it wrote, each to a message that is now ours, or -1 and none.
        unsafe {
            self.messages.clear();
            let taken = rd::rd_kafka_consume_batch_queue(
                self.queue.as_ptr(),
                wait,
                self.messages.as_mut_ptr(),
                self.messages.capacity(),
            );
            self.messages.set_len(usize::try_from(taken).unwrap_or(0));
        }
        Batch {
            messages: &mut self.messages,
        }
    }
}

impl Drop for DataQueue {
    fn drop(&mut self) {
        // SAFETY: our only reference, given back once. What still waits in the queue goes with the
        // last reference.
        unsafe { rd::rd_kafka_queue_destroy(self.queue.as_ptr()) }
    }
}

/// Messages, owned until this is dropped; everything that is read of them borrows from it.
pub(crate) struct Batch<'q> {
    messages: &'q mut Vec<*mut rd::rd_kafka_message_t>,
}

impl Batch<'_> {
    pub(crate) fn messages(&self) -> &[Message<'_>] {
        // SAFETY: `Message` is a transparent wrapper of a non-null message pointer. librdkafka
        // writes no null pointers, and the messages live until the batch is dropped, which the
        // lifetime forbids while they are borrowed.
        unsafe { slice::from_raw_parts(self.messages.as_ptr().cast(), self.messages.len()) }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        for message in self.messages.drain(..) {
            // SAFETY: ours since `consume`, and no borrow is left. Drained, so destroyed once.
            unsafe { rd::rd_kafka_message_destroy(message) }
        }
    }
}

/// A record, or an error event of a partition.
#[repr(transparent)]
pub(crate) struct Message<'b> {
    message: NonNull<RawMessage>,
    batch: PhantomData<&'b ()>,
}

/// Identifies the topic of a message within one batch: comparing it is cheaper than comparing names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TopicHandle(*mut rd::rd_kafka_topic_t);

/// The message itself, of which `&dyn Headers` can point right at it.
#[repr(transparent)]
pub(crate) struct RawMessage(rd::rd_kafka_message_t);

// SAFETY: reading the plain fields is reading immutable memory. The one call that writes through a
// shared reference, parsing the headers, is serialised by `PARSING`.
unsafe impl Sync for RawMessage {}

/// librdkafka parses headers at the first question, inside the message. `Headers` may be shared
/// between threads, so two first questions must not overlap. Hardly ever contended: a batch is read
/// by the thread that consumed it.
static PARSING: Mutex<()> = Mutex::new(());

impl<'b> Message<'b> {
    fn raw(&self) -> &'b RawMessage {
        // SAFETY: the message lives as long as the batch, `'b`, and is not written meanwhile (but
        // for headers, see `PARSING`).
        unsafe { self.message.as_ref() }
    }

    pub(crate) fn topic(&self) -> TopicHandle {
        TopicHandle(self.raw().0.rkt)
    }

    pub(crate) fn topic_name(&self) -> &'b str {
        let topic = self.raw().0.rkt;
        if topic.is_null() {
            return "";
        }
        // SAFETY: the message holds a reference on its topic, whose name is an immutable string.
        let name = unsafe { CStr::from_ptr(rd::rd_kafka_topic_name(topic)) };
        // Kafka allows only ASCII letters, digits, '.', '_' and '-' in topic names.
        name.to_str().unwrap_or_default()
    }

    pub(crate) fn partition(&self) -> i32 {
        self.raw().0.partition
    }

    pub(crate) fn offset(&self) -> i64 {
        self.raw().0.offset
    }

    pub(crate) fn leader_epoch(&self) -> Option<i32> {
        // SAFETY: a read of a live message.
        let epoch = unsafe { rd::rd_kafka_message_leader_epoch(&self.raw().0) };
        (epoch >= 0).then_some(epoch)
    }

    /// The error code and librdkafka's description, if it is an event.
    pub(crate) fn error(&self) -> Option<(RDKafkaErrorCode, String)> {
        let message = &self.raw().0;
        if message.err == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        // SAFETY: for an event the payload is its description, which this call returns; else it
        // returns a static string. Either is null or terminated, and copied here.
        let text = unsafe {
            let text = rd::rd_kafka_message_errstr(message);
            if text.is_null() {
                String::new()
            } else {
                CStr::from_ptr(text).to_string_lossy().into_owned()
            }
        };
        Some((message.err.into(), text))
    }

    /// The record; only for a message without error.
    pub(crate) fn record(&self) -> Record<'b> {
        let raw = self.raw();
        let message = &raw.0;
        let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: a read of a live message, and a place to write the kind to.
        let timestamp = unsafe { rd::rd_kafka_message_timestamp(message, &mut kind) };
        Record {
            partition: message.partition,
            offset: message.offset,
            timestamp: (kind != rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE)
                .then_some(timestamp),
            // SAFETY: null or `key_len` bytes that live and rest as long as the message.
            key: unsafe { bytes(message.key.cast(), message.key_len) },
            // SAFETY: the same for `payload` and `len`.
            value: unsafe { bytes(message.payload.cast(), message.len) },
            headers: raw,
        }
    }
}

/// # Safety
/// `start` is null or points at `len` bytes that nobody writes or frees during `'a`.
unsafe fn bytes<'a>(start: *const u8, len: usize) -> Option<&'a [u8]> {
    // SAFETY: as the caller promises.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start, len) })
}

impl Headers for RawMessage {
    fn for_each(&self, visit: &mut dyn FnMut(&str, Option<&[u8]>)) {
        let mut headers = ptr::null_mut();
        let parsed = {
            let _parsing = PARSING.lock().unwrap_or_else(PoisonError::into_inner);
            // SAFETY: a live message; the call may parse and cache its headers in it, which the lock
            // keeps to one thread. They belong to the message.
            unsafe { rd::rd_kafka_message_headers(&self.0, &mut headers) }
        };
        if parsed != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return; // it has none
        }
        for index in 0.. {
            let (mut name, mut value, mut len) = (ptr::null(), ptr::null(), 0);
            // SAFETY: parsed headers are not written any more; the out-pointers are valid, and an
            // index past the end is answered with an error.
            let found =
                unsafe { rd::rd_kafka_header_get_all(headers, index, &mut name, &mut value, &mut len) };
            if found != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                return;
            }
            // SAFETY: name is a terminated string, value is null or `len` bytes, both of the message.
            let (name, value) = unsafe { (CStr::from_ptr(name).to_string_lossy(), bytes(value.cast(), len)) };
            visit(&name, value);
        }
    }
}

/// A list to assign or seek, with leader epochs, which the `rdkafka` crate cannot set.
pub(crate) fn start_list<'a>(at: impl Iterator<Item = (&'a TopicPartition, Position)>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (tp, position) in at {
        list.add_partition(&tp.topic, tp.partition);
        // SAFETY: the list is valid and ours, and its last element is the one just added.
        unsafe {
            let raw = &*list.ptr();
            let Ok(count) = usize::try_from(raw.cnt) else {
                continue;
            };
            let added = raw.elems.add(count - 1);
            (*added).offset = position.offset;
            rd::rd_kafka_topic_partition_set_leader_epoch(added, position.leader_epoch.unwrap_or(-1));
        }
    }
    list
}

/// Where the application stands in each partition of the list, in its order: past everything that
/// was handed out, control records and aborted ones included. `None`: nothing handed out since it
/// was started.
pub(crate) fn positions<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    list: &mut TopicPartitionList,
) -> impl Iterator<Item = Option<Position>> {
    // SAFETY: valid handle and list; the call writes offset, epoch and error of each element and
    // keeps their order.
    let elements = unsafe {
        rd::rd_kafka_position(consumer.client().native_ptr(), list.ptr());
        let raw = &*list.ptr();
        match usize::try_from(raw.cnt) {
            Ok(count) if count > 0 => slice::from_raw_parts(raw.elems, count),
            _ => &[],
        }
    };
    elements.iter().map(|element| {
        // SAFETY: an element of a list that is still borrowed.
        let epoch = unsafe { rd::rd_kafka_topic_partition_get_leader_epoch(element) };
        (element.offset >= 0).then(|| Position::new(element.offset, (epoch >= 0).then_some(epoch)))
    })
}

/// The leader epoch that an answer has of a topic partition.
pub(crate) fn leader_epoch(answered: &TopicPartitionList, tp: &TopicPartition) -> Option<i32> {
    let topic = CString::new(tp.topic.as_bytes()).ok()?;
    // SAFETY: a valid list and string; the element is the list's own, which is still borrowed.
    let epoch = unsafe {
        let element = rd::rd_kafka_topic_partition_list_find(answered.ptr(), topic.as_ptr(), tp.partition);
        let element = element.as_ref()?;
        rd::rd_kafka_topic_partition_get_leader_epoch(element)
    };
    (epoch >= 0).then_some(epoch)
}

/// The broker that a mock cluster names as its controller. It numbers its brokers from 1, so that none has this id.
const MOCK_CONTROLLER: i32 = 0;

/// Readies the client's own mock cluster: a group waits for `group_delay` before its first rebalance; and the cluster
/// gets a controller, without which DescribeTopics waits in vain.
pub(crate) fn ready_mock_cluster<C: ClientContext>(
    client: &Client<C>,
    group_delay: Duration,
) -> Result<(), RDKafkaErrorCode> {
    let delay = i32::try_from(group_delay.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client's handle is valid while it is borrowed. The cluster is null, or the client's own, which lives as
    // long as it does. The first call writes the number under the cluster's own lock, the second hands the id to the
    // cluster's thread and waits for its answer.
    let added = unsafe {
        let cluster = rd::rd_kafka_handle_mock_cluster(client.native_ptr());
        if cluster.is_null() {
            return Err(RDKafkaErrorCode::InvalidArgument);
        }
        rd::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, delay);
        rd::rd_kafka_mock_broker_add(cluster, MOCK_CONTROLLER)
    };
    match added {
        rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
        error => Err(error.into()),
    }
}

/// A topic by DescribeTopics.
pub(crate) struct DescribedTopic {
    /// As Kafka's tools print it; `None` where the broker has no ids.
    pub(crate) id: Option<String>,
    pub(crate) partitions: Vec<i32>,
}

pub(crate) type AdminError = (RDKafkaErrorCode, String);

/// Asks the brokers, waiting up to `timeout`. Answers stand in the order of the names.
pub(crate) fn describe_topics<C: ClientContext>(
    client: &Client<C>,
    names: &[CString],
    timeout: Duration,
) -> Result<Vec<Result<DescribedTopic, AdminError>>, AdminError> {
    let timeout = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let mut reason = [0; 256];
    // SAFETY: `client` is valid throughout. Request: names are copied into the collection; options
    // and collection are copied by DescribeTopics, and destroyed here. Answer: polled from a queue
    // of our own, so it is this request's; if none comes in time, destroying the queue drops a late
    // one. The result's arrays and strings live as long as the event, which is destroyed after they
    // were copied.
    unsafe {
        let handle = client.native_ptr();
        let options =
            rd::rd_kafka_AdminOptions_new(handle, rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        rd::rd_kafka_AdminOptions_set_request_timeout(options, timeout, reason.as_mut_ptr(), reason.len());
        let topics = rd::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        let queue = rd::rd_kafka_queue_new(handle);
        rd::rd_kafka_DescribeTopics(handle, topics, options, queue);
        rd::rd_kafka_TopicCollection_destroy(topics);
        rd::rd_kafka_AdminOptions_destroy(options);

        let event = rd::rd_kafka_queue_poll(queue, timeout);
        let answer = describe_result(event);
        if !event.is_null() {
            rd::rd_kafka_event_destroy(event);
        }
        rd::rd_kafka_queue_destroy(queue);
        answer
    }
}

/// # Safety
/// `event` is null or a live event.
unsafe fn describe_result(
    event: *mut rd::rd_kafka_event_t,
) -> Result<Vec<Result<DescribedTopic, AdminError>>, AdminError> {
    if event.is_null() {
        return Err((
            RDKafkaErrorCode::OperationTimedOut,
            "no answer in time".to_owned(),
        ));
    }
    // SAFETY: a live event; a result of another kind is answered with null. Arrays have the lengths
    // that are written beside them, and hold no null pointers.
    unsafe {
        let code = rd::rd_kafka_event_error(event);
        if code != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err((code.into(), text(rd::rd_kafka_event_error_string(event))));
        }
        let result = rd::rd_kafka_event_DescribeTopics_result(event);
        if result.is_null() {
            return Err((
                RDKafkaErrorCode::BadMessage,
                "an answer of another kind".to_owned(),
            ));
        }
        let mut count = 0;
        let topics = rd::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        Ok((0..count).map(|index| described(*topics.add(index))).collect())
    }
}

/// # Safety
/// `topic` is a live topic description.
unsafe fn described(topic: *const rd::rd_kafka_TopicDescription_t) -> Result<DescribedTopic, AdminError> {
    // SAFETY: as the caller promises; error, id and partitions belong to the description.
    unsafe {
        let error = rd::rd_kafka_TopicDescription_error(topic);
        if !error.is_null()
            && rd::rd_kafka_error_code(error) != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
        {
            return Err((
                rd::rd_kafka_error_code(error).into(),
                text(rd::rd_kafka_error_string(error)),
            ));
        }
        let id = rd::rd_kafka_TopicDescription_topic_id(topic);
        // Brokers without topic ids send the zero UUID.
        let known = !id.is_null()
            && (
                rd::rd_kafka_Uuid_most_significant_bits(id),
                rd::rd_kafka_Uuid_least_significant_bits(id),
            ) != (0, 0);
        let mut count = 0;
        let partitions = rd::rd_kafka_TopicDescription_partitions(topic, &mut count);
        Ok(DescribedTopic {
            id: known.then(|| text(rd::rd_kafka_Uuid_base64str(id))),
            partitions: (0..count)
                .map(|index| rd::rd_kafka_TopicPartitionInfo_partition(*partitions.add(index)))
                .collect(),
        })
    }
}

/// Has a client log in with a token from now on.
///
/// # Errors
/// librdkafka does not take it; why.
pub(crate) fn set_token<C: ClientContext>(client: &Client<C>, token: &Token) -> Result<(), String> {
    let string = |text: &str| CString::new(text).map_err(|error| error.to_string());
    let (value, principal) = (string(&token.text)?, string(&token.principal)?);
    let mut reason = [0; 512];
    // SAFETY: handle, strings and the buffer are valid for the call, which copies the strings. There are no extensions.
    unsafe {
        let code = rd::rd_kafka_oauthbearer_set_token(
            client.native_ptr(),
            value.as_ptr(),
            token.ends,
            principal.as_ptr(),
            ptr::null_mut(),
            0,
            reason.as_mut_ptr(),
            reason.len(),
        );
        match code {
            rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            _ => Err(text(reason.as_ptr())),
        }
    }
}

/// # Safety
/// `string` is null or terminated.
unsafe fn text(string: *const c_char) -> String {
    if string.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(string) }.to_string_lossy().into_owned()
}

/// Takes the place of librdkafka's function of this name (`rdgz.c`), which takes as much memory as a batch wants: the
/// linker finds this one first, and leaves that one in its archive.
///
/// Null means that the batch cannot be decompressed. The partition then stops with `_BAD_COMPRESSION` at its offset.
///
/// # Safety
/// As librdkafka calls it: `compressed` points to `length` bytes, `size` to a number. What is returned belongs to the
/// caller, who frees it with C's `free`.
#[unsafe(no_mangle)]
unsafe extern "C" fn rd_gz_decompress(
    compressed: *const c_void,
    length: c_int,
    size: *mut u64,
) -> *mut c_void {
    // A message of the oldest formats may have no value.
    let (Ok(length), false) = (usize::try_from(length), compressed.is_null()) else {
        return ptr::null_mut();
    };
    // SAFETY: not null, and otherwise as the caller promises.
    let compressed = unsafe { slice::from_raw_parts(compressed.cast::<u8>(), length) };
    let refused = |reason: String| {
        gzip::say_once(reason);
        ptr::null_mut()
    };
    let claimed = match gzip::claimed_size(compressed, gzip::most()) {
        Ok(claimed) => claimed,
        Err(reason) => return refused(reason),
    };
    // SAFETY: of at least one byte, all of them zero, so that they may be borrowed as bytes. It is returned, or freed by the allocator
    // that it is from.
    unsafe {
        let memory = libc::calloc(claimed.max(1), 1);
        if memory.is_null() {
            return refused(format!("no memory for {claimed} bytes"));
        }
        let into = slice::from_raw_parts_mut(memory.cast::<u8>(), claimed);
        if let Err(reason) = gzip::decompress(compressed, into) {
            libc::free(memory);
            return refused(reason);
        }
        *size = claimed as u64;
        memory
    }
}
