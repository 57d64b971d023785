//! librdkafka's error codes in our terms.

use rdkafka::error::RDKafkaErrorCode;

use crate::PartitionError;

/// Why a partition stopped.
pub(super) fn partition_error(code: RDKafkaErrorCode, message: String, offset: i64) -> PartitionError {
    use RDKafkaErrorCode as Code;
    match code {
        // With `auto.offset.reset=error` both reasons for a lost position come under this code, the
        // reason itself only in the text, as the description of its own code.
        Code::AutoOffsetReset if message.contains(&Code::LogTruncation.to_string()) => {
            PartitionError::Truncated { detail: message }
        }
        Code::AutoOffsetReset if message.contains(&Code::OffsetOutOfRange.to_string()) => {
            PartitionError::OutOfRange { offset }
        }
        Code::OffsetOutOfRange => PartitionError::OutOfRange { offset },
        Code::UnknownTopicOrPartition
        | Code::UnknownTopic
        | Code::UnknownPartition
        | Code::UnknownTopicId => PartitionError::UnknownTopicOrPartition,
        Code::TopicAuthorizationFailed => PartitionError::Unauthorized,
        code => PartitionError::Other {
            code: format!("{code:?}"),
            message,
        },
    }
}

/// Whether the whole client is held up until somebody mends it, rather than one broker of many.
pub(super) fn is_outage(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::AllBrokersDown
            | Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::SSL
            | Code::GroupAuthorizationFailed
            | Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::UnknownTopicOrPartition
            | Code::PollExceeded
    )
}

/// Whether asking again with the same credentials is in vain.
pub(super) fn is_refusal(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::GroupAuthorizationFailed
            | Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
    )
}
