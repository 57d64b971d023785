//! librdkafka's error codes in our terms.

use rdkafka::error::RDKafkaErrorCode;

use crate::{EpochEnd, PartitionError};

/// Why a partition stopped.
pub(super) fn partition_error(code: RDKafkaErrorCode, message: String, offset: i64) -> PartitionError {
    use RDKafkaErrorCode as Code;
    match code {
        // With `auto.offset.reset=error` both reasons for a lost position come under this code, the
        // reason itself only in the text, as the description of its own code.
        Code::AutoOffsetReset if message.contains(&description(Code::LogTruncation)) => {
            PartitionError::Truncated {
                epoch_end: epoch_end(&message),
                detail: message,
            }
        }
        Code::AutoOffsetReset if message.contains(&description(Code::OffsetOutOfRange)) => {
            PartitionError::OutOfRange { offset }
        }
        Code::OffsetOutOfRange => PartitionError::OutOfRange { offset },
        Code::UnknownTopicOrPartition
        | Code::UnknownTopic
        | Code::UnknownPartition
        | Code::UnknownTopicId => PartitionError::UnknownTopicOrPartition,
        Code::TopicAuthorizationFailed => PartitionError::Unauthorized,
        Code::BadCompression => PartitionError::Decompression { detail: message },
        code => PartitionError::Other {
            code: format!("{code:?}"),
            message,
        },
    }
}

/// The leader's answer, which librdkafka gives to nobody but the reader of its text.
fn epoch_end(text: &str) -> Option<EpochEnd> {
    let (_, answer) = text.split_once("broker end offset is ")?;
    let (offset, answer) = answer.split_once(" (offset leader epoch ")?;
    let (leader_epoch, _) = answer.split_once(')')?;
    let end = EpochEnd {
        leader_epoch: leader_epoch.parse().ok()?,
        offset: offset.parse().ok()?,
    };
    // It says -1 where the leader knows no such epoch.
    (end.leader_epoch >= 0 && end.offset >= 0).then_some(end)
}

/// librdkafka's own words for a code; the crate prints them in parentheses after the code's name.
fn description(code: RDKafkaErrorCode) -> String {
    let printed = code.to_string();
    let words = printed
        .split_once(" (")
        .and_then(|(_, words)| words.strip_suffix(')'));
    words.unwrap_or(&printed).to_owned()
}

/// Whether asking again with the same credentials is in vain.
pub(super) fn is_refusal(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::GroupAuthorizationFailed | Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts that librdkafka 2.12.1 makes in `rd_kafka_offset_reset`.
    #[test]
    fn a_lost_position_is_told_apart_by_its_reason() {
        let reset = |text: &str| partition_error(RDKafkaErrorCode::AutoOffsetReset, text.to_owned(), 7);
        assert_eq!(
            reset(
                "fetch failed due to requested offset not available on the broker: Broker: Offset out of range (broker 0)"
            ),
            PartitionError::OutOfRange { offset: 7 }
        );
        let cut = "Partition log truncation detected at offset 9 (leader epoch 1): broker end offset is 5 \
                   (offset leader epoch 2). Reset to INVALID.: Local: Partition log truncation detected (broker 0)";
        assert_eq!(
            reset(cut),
            PartitionError::Truncated {
                epoch_end: Some(EpochEnd {
                    leader_epoch: 2,
                    offset: 5
                }),
                detail: cut.to_owned()
            }
        );
        let nothing_left = "No epoch found less or equal to offset 9 (leader epoch 1): broker end offset is -1 (offset \
                            leader epoch -1). Reset using configured policy.: Local: Partition log truncation detected \
                            (broker 0)";
        assert_eq!(
            reset(nothing_left),
            PartitionError::Truncated {
                epoch_end: None,
                detail: nothing_left.to_owned()
            }
        );
        assert!(matches!(
            reset("no previously committed offset"),
            PartitionError::Other { .. }
        ));
    }
}
